"""Sizes of a model and of a setup, and what they cost in communication and on the disk. Arithmetic only."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .plan_work import WorkPlan


if TYPE_CHECKING:
    from transformers import PreTrainedModel


SHARDINGS = ("ddp", "fsdp2", "zero2", "zero3")


@dataclass(frozen=True)
class ModelSize:
    """
    The sizes of a language model of the Llama kind.

    Args:
        num_parameters (`int`): All of them, tied ones once, adapters among them.
        num_trainable (`int`): Those that are trained.
        num_layers, hidden_size, intermediate_size, num_heads, num_kv_heads, head_dim, vocab_size (`int`): Its shape.
        is_tied (`bool`): Whether the LM head is the embedding.
    """

    num_parameters: int
    num_trainable: int
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    is_tied: bool

    @classmethod
    def of(cls, model: "PreTrainedModel") -> "ModelSize":
        """Those of a model, which may be on the meta device."""
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
        return cls(
            num_parameters=sum(size for size, _ in sizes),
            num_trainable=sum(size for size, is_trained in sizes if is_trained),
            num_layers=config.num_hidden_layers,
            hidden_size=config.hidden_size,
            intermediate_size=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
            num_heads=heads,
            num_kv_heads=getattr(config, "num_key_value_heads", None) or heads,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
            vocab_size=config.vocab_size,
            is_tied=bool(config.tie_word_embeddings),
        )

    @property
    def is_adapted(self) -> bool:
        """Whether an adapter is trained, and the reference is the model without it."""
        return self.num_trainable < self.num_parameters

    @property
    def head_parameters(self) -> int:
        """Of the LM head."""
        return self.vocab_size * self.hidden_size

    @property
    def layer_parameters(self) -> int:
        """Of one layer."""
        return (self.num_parameters - self.head_parameters * (1 if self.is_tied else 2)) // self.num_layers


@dataclass(frozen=True)
class Setup:
    """
    Where and how a run is trained.

    Args:
        num_processes (`int`): Processes, one a device.
        sharding (`str`): One of `"ddp"` (also for a single process), `"fsdp2"`, `"zero2"`, `"zero3"`.
        is_bf16 (`bool`): Whether it computes in bfloat16.
        weight_bytes (`int`): Bytes of a weight as it is loaded: 4, TRL's default, or 2.
        prompt_tokens (`int`): Of each prompt.
        device (`str`): `"cuda"`, or `"cpu"`, where TRL's LM head takes more.
        device_bytes (`float`): Memory of a device.
        vllm_share (`float`): Of the device for vLLM in colocate mode; 0 where it does not run there.
        does_vllm_sleep (`bool`): Whether vLLM gives its memory back while the model is trained.
        vllm_parallel (`int`): Devices that share vLLM's copy of the weights.
        does_vllm_roll_out (`bool`): Whether rollouts are vLLM's at all, here or on a server.
        is_optimiser_elsewhere (`bool`): Whether DeepSpeed keeps the optimiser in the host's memory, or on its disk.
    """

    num_processes: int = 1
    sharding: str = "ddp"
    is_bf16: bool = True
    weight_bytes: int = 4
    prompt_tokens: int = 1024
    device: str = "cuda"
    device_bytes: float = 0.0
    vllm_share: float = 0.0
    does_vllm_sleep: bool = False
    vllm_parallel: int = 1
    does_vllm_roll_out: bool = False
    is_optimiser_elsewhere: bool = False

    def __post_init__(self):
        if self.sharding not in SHARDINGS:
            raise ValueError(f"sharding is {self.sharding!r}; choose one of {', '.join(SHARDINGS)}.")

    @property
    def compute_bytes(self) -> int:
        """Bytes of an activation."""
        return 2 if self.is_bf16 else 4

    @property
    def residual_bytes(self) -> int:
        """Bytes of a number in the residual stream: autocast leaves it as wide as the weights."""
        return self.compute_bytes if self.sharding != "ddp" else self.weight_bytes

    @property
    def is_cast(self) -> bool:
        """Whether autocast makes copies of weights and of the inputs of linear layers."""
        return self.residual_bytes != self.compute_bytes


def communication(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, float]:
    """
    Bytes that a process sends, rings assumed.

    Returns:
        `dict[str, float]`: For `"an optimiser step"`; for `"a generation batch"` (scoring, where weights are sharded, and the
        weights for vLLM); and of it `"rollouts"`, the completions that every process gets (8 bytes a token).
    """
    n = setup.num_processes
    ring = (n - 1) / n
    narrow, whole, trained = setup.compute_bytes, model.num_parameters, model.num_trainable
    width = 4 if model.is_adapted else setup.weight_bytes
    step = {
        "ddp": 2 * width * trained,  # all-reduce
        "zero2": narrow * trained * (plan.accumulation + 1),  # reduce-scatter each micro-batch, all-gather the weights
        "zero3": narrow * plan.accumulation * (2 * whole + trained),  # all-gather forward and backward, reduce-scatter
        "fsdp2": narrow
        * (2 * whole * plan.accumulation + trained),  # the same, gradients on the last micro-batch only
    }[setup.sharding]
    is_sharded = setup.sharding in ("fsdp2", "zero3")
    chunks = math.ceil(plan.batch_size / n / plan.micro_batch_size) * (
        plan.scored_by_policy + plan.scored_by_reference
    )
    sync = (4 if setup.sharding == "fsdp2" else narrow) * whole * (is_sharded and setup.does_vllm_roll_out)
    rollouts = 8.0 * plan.batch_size * plan.max_completion_length * ring
    batch = (narrow * whole * chunks * is_sharded + sync) * ring + rollouts
    return {"an optimiser step": step * ring, "a generation batch": batch, "rollouts": rollouts}


def checkpoint_bytes(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, float]:
    """
    Bytes of a checkpoint on the disk, without the tokenizer, the logs and the instructions (some MB).

    Returns:
        `dict[str, float]`: `"weights"` (of an adapter only what is trained), `"optimiser"`, and the `"rollouts"` of a
        checkpoint within a generation batch that are still to be trained on.
    """
    trained = model.num_trainable
    is_deepspeed = setup.sharding.startswith("zero")
    weight = setup.compute_bytes if is_deepspeed else 4 if model.is_adapted else setup.weight_bytes
    # besides the model's own files DeepSpeed and FSDP2 save the weights once more, and DeepSpeed a float32 copy
    copies = 1 if setup.sharding == "ddp" else 2
    length = 2 * 8 * (setup.prompt_tokens + plan.max_completion_length) + 16 * plan.max_completion_length
    is_buffered = plan.num_steps_per_iteration > plan.num_batches_per_iteration
    return {
        "weights": float(weight * trained * copies),
        "optimiser": float((12 if is_deepspeed and setup.is_bf16 else 8) * trained),
        "rollouts": float(plan.batch_size * length * is_buffered),
    }


def readable(num_bytes: float) -> str:
    """
    Bytes in a unit that fits.

    Example:

    ```python
    >>> readable(12_900_000_000), readable(3_440_000)
    ('12.9 GB', '3.4 MB')

    ```
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:.1f} {name}"
    return f"{num_bytes:.0f} B"
