"""`WeightsCheck`: weights that are loaded as they were saved, and compared afterwards."""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from accelerate.logging import get_logger
from safetensors import safe_open
from transformers import PreTrainedModel, Trainer
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from ..runtime import run_on_all_ranks
from . import checkpoint_files as checkpoints


MAX_NAMES = 3  # in a message

logger = get_logger(__name__)


class WeightsCheck:
    """
    Compares the parameters of a policy, once it is loaded from a checkpoint, with those that were saved.

    Transformers saves some models under the names and in the shapes of their first release (the experts of Qwen3-MoE
    and Mixtral one by one, the head of GPT-NeoX as `embed_out`). Its Trainer loads what has a name that the model
    knows; the rest keeps the values that it had, with no more than a warning. [`mend`] loads such a checkpoint by
    `from_pretrained`, as it was meant to be. Whatever the way, the hashes of all parameters are in the checkpoint, and
    a load that does not give them back is an error.

    Args:
        trainer ([`ResumableGRPOTrainer`]): Whose policy is saved and loaded.

    Source: transformers issue 48805.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._frozen: dict[str, str] | None = None  # hashes of what is not trained, taken once a run

    @property
    def is_partitioned(self) -> bool:
        """Whether a process may hold a part of a parameter; parts are saved and loaded under the model's own names."""
        is_distributed = getattr(self.trainer, "is_distributed_loading_by_transformers", False)
        return self.trainer.is_deepspeed_enabled or self.trainer.is_fsdp_enabled or is_distributed

    @property
    def _file_name(self) -> str:
        """Where the hashes are: of parameters in parts, each process has its own."""
        return f"weights_{self.trainer.accelerator.process_index}" if self.is_partitioned else "weights"

    def start(self) -> None:
        """
        Takes the hashes of what is not trained, before the first step.

        The base of an adapter is most of a model: once is enough. And it may move by a rounding when an adapter is
        merged into it for vLLM and taken out again, which is in no checkpoint.
        """
        self._frozen = tensor_hashes({name: p for name, p in self._parameters() if not p.requires_grad})

    def write(self, folder: Path) -> None:
        """Writes the hashes of all parameters, those of each process where they are in parts."""
        if self.is_partitioned or self.trainer.args.should_save:
            checkpoints.write_state(folder, self._file_name, {"hashes": self._hashes()})

    def mend(self, checkpoint: Path) -> None:
        """Loads a checkpoint with renamed weights as it was saved; one that Trainer loads rightly is left alone."""
        if not self.is_partitioned:
            load_if_renamed(self.trainer.model, checkpoint)

    def check(self, checkpoint: Path) -> None:
        """
        Compares all parameters with the hashes in the checkpoint from which they were loaded.

        Raises:
            ValueError: If one is not what was saved, with the names of some.
        """
        folder = checkpoint / checkpoints.STATE
        if not checkpoints.has_state(folder, self._file_name):
            logger.warning(f"{checkpoint} was written without hashes of its weights: they cannot be compared.")
            return

        def check() -> None:
            saved, loaded = checkpoints.read_state(folder, self._file_name)["hashes"], self._hashes()
            wrong = [name for name in saved | loaded if saved.get(name) != loaded.get(name)]
            if wrong:
                more = ", ..." if len(wrong) > MAX_NAMES else ""
                raise ValueError(
                    f"{checkpoint} was loaded, but {len(wrong)} of {len(saved)} parameters are not what was saved "
                    f"({', '.join(wrong[:MAX_NAMES])}{more}). Use the base model and the versions that it was saved "
                    "with, or start a new run from its model by from_pretrained."
                )

        run_on_all_ranks(check)

    def _parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        model = self.trainer.model
        assert model is not None  # Trainer allows it for `model_init` alone
        return model.named_parameters()

    def _hashes(self) -> dict[str, str]:
        if self._frozen is None:
            self.start()
        known = self._frozen or {}
        return {**known, **tensor_hashes({name: p for name, p in self._parameters() if name not in known})}


def load_if_renamed(model: object, checkpoint: Path) -> bool:
    """
    Loads a checkpoint with names that the model does not have, as it was saved: by `from_pretrained`, into a copy on
    the CPU.

    The copy takes no more than what Trainer reads anyway, and values go over unrounded: it has the widest type among
    the parameters.

    Args:
        model ([`~transformers.PreTrainedModel`]): Whose parameters take the values.
        checkpoint (`Path`): A folder that `save_pretrained` has written.

    Returns:
        `bool`: `False`, with nothing done, for other kinds of models and where all names are the model's.

    Raises:
        ValueError: If the checkpoint does not hold the model, with the names that are missing or too many.
    """
    if not isinstance(model, PreTrainedModel) or saved_names(checkpoint) <= model.state_dict().keys():
        return False
    types = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    dtype = functools.reduce(torch.promote_types, types)
    load: Any = type(model).from_pretrained
    copy, report = load(str(checkpoint), dtype=dtype, local_files_only=True, output_loading_info=True)
    wrong = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    if wrong:
        raise ValueError(
            f"{checkpoint} does not hold the weights of a {type(model).__name__}: {', '.join(wrong[:MAX_NAMES])} are "
            "missing, or have names that it does not know. Load the model without key_mapping, and with the class that "
            "it was saved by."
        )
    model.load_state_dict(copy.state_dict())
    return True


def saved_names(checkpoint: Path) -> set[str]:
    """The names of the tensors in a checkpoint's safetensors files; empty where there are none."""
    index, file = checkpoint / SAFE_WEIGHTS_INDEX_NAME, checkpoint / SAFE_WEIGHTS_NAME
    if index.is_file():
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    if not file.is_file():
        return set()
    with safe_open(file, framework="pt") as tensors:
        return set(tensors.keys())


def tensor_hashes(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """
    A hash of the bytes of each tensor, as far as this process holds them.

    Under ZeRO-3 and FSDP that is its shard. What has no bytes here (on the meta device, or in a format of a
    quantisation library) is left out. A thread for each core holds one tensor at a time.

    Args:
        tensors (`Mapping[str, torch.Tensor]`): The tensors, by name.

    Example:

    ```python
    >>> one, other = (tensor_hashes({"a": torch.tensor([1.0, value])}) for value in (0.0, -0.0))
    >>> one == other
    False

    ```
    """
    own = {name: _own_part(tensor) for name, tensor in tensors.items()}
    plain = {name: tensor for name, tensor in own.items() if type(tensor) is torch.Tensor and not tensor.is_meta}
    with ThreadPoolExecutor() as pool:
        return dict(zip(plain, pool.map(_hash_of, plain.values()), strict=True))


def _own_part(tensor: torch.Tensor) -> torch.Tensor:
    if hasattr(tensor, "ds_tensor"):  # ZeRO-3 leaves parameters empty, and their shards in an attribute
        return tensor.ds_tensor.data
    return tensor.to_local().data if hasattr(tensor, "to_local") else tensor.data


def _hash_of(tensor: torch.Tensor) -> str:
    values = tensor.reshape(-1).contiguous().cpu().view(torch.uint8)
    return hashlib.sha256(values.numpy().data).hexdigest()[:16]
