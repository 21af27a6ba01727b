"""Whether a model draws random numbers in a forward pass."""

from collections.abc import Iterator

from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import Module


class Dropouts:
    """
    The dropout of a model, looked for once; whether it is active is asked before each pass.

    Args:
        model (`torch.nn.Module`): The model, with or without PEFT's adapters.
    """

    def __init__(self, model: Module) -> None:
        self._found = [
            (module, adapted) for module, adapted in _with_adapted(model, None) if any(p > 0 for p in _shares(module))
        ]

    def are_active(self) -> bool:
        """Whether something is left out at random: in train mode, and not in adapters that are disabled."""
        return any(
            module.training and not (adapted is not None and adapted.disable_adapters)
            for module, adapted in self._found
        )


def _with_adapted(module: Module, adapted: BaseTunerLayer | None) -> Iterator[tuple[Module, BaseTunerLayer | None]]:
    """A module and all below it, each with the layer whose adapter it belongs to, if it does."""
    yield module, adapted
    for name, child in module.named_children():
        if isinstance(module, BaseTunerLayer):
            yield from _with_adapted(child, None if name == "base_layer" else module)
        else:
            yield from _with_adapted(child, adapted)


def _shares(module: Module) -> Iterator[float]:
    """
    How strong a module's own random numbers are.

    PyTorch's dropout has `p`, Transformers' attention a number of a name with dropout, routers one with jitter.
    """
    is_dropout = "Dropout" in type(module).__name__
    for name, value in vars(module).items():
        is_random = "dropout" in name or "jitter" in name or (is_dropout and name in ("p", "drop_prob"))
        if isinstance(value, int | float) and is_random:
            yield value
