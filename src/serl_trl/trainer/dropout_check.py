"""Whether a model draws random numbers in a forward pass."""

from collections.abc import Iterator

from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import Module


def has_dropout(model: Module) -> bool:
    """Whether a forward pass of a model draws random numbers to leave something out; adapters that are disabled do not."""
    return any(module.training and value > 0 for module in active_modules(model) for value in dropouts(module))


def active_modules(module: Module) -> Iterator[Module]:
    """A module and all below it, but for what belongs to adapters that are disabled."""
    yield module
    for name, child in module.named_children():
        if not (isinstance(module, BaseTunerLayer) and module.disable_adapters and name != "base_layer"):
            yield from active_modules(child)


def dropouts(module: Module) -> Iterator[float]:
    """Probabilities of a module's own: PyTorch's dropout has `p`, Transformers' attention a number of a name with dropout."""
    is_dropout = "Dropout" in type(module).__name__
    for name, value in vars(module).items():
        if isinstance(value, int | float) and ("dropout" in name or (is_dropout and name in ("p", "drop_prob"))):
            yield value
