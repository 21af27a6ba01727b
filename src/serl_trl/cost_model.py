"""What a run takes: memory of a process by part, bytes sent by a step, size of a checkpoint. Arithmetic only."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .work_plan import WorkPlan


SHARDINGS = ("ddp", "fsdp2", "zero2", "zero3")

TILE_TOKENS, TILE_WORDS = 4096, 32768  # the logits that TRL's fused LM head holds at a time (trl/kernels/chunked_logprob.py)
CPU_TILE_COPIES = 7.25  # float32 copies of a tile in its backward pass without Triton, counted in the same file
ZERO_BUCKET = 5e8  # elements of DeepSpeed's reduce bucket, its default
ZERO3_LIVE = 1e9  # most parameters that ZeRO-3 keeps gathered, DeepSpeed's default
SAMPLING_COPIES = 3  # float32 copies of the last position's logits while Transformers samples


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
    def of(cls, model: Any) -> "ModelSize":
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


@dataclass(frozen=True)
class Memory:
    """
    The bytes that a process needs at a time, by part.

    Args:
        parts (`dict[str, float]`): Bytes.
    """

    parts: dict[str, float]

    @property
    def total(self) -> float:
        """Bytes of all parts."""
        return sum(self.parts.values())


def memory(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, Memory]:
    """
    The memory of a process in each phase of a run; it needs the largest.

    Args:
        model ([`ModelSize`]): What is trained.
        setup ([`Setup`]): Where.
        plan ([`WorkPlan`]): With which batches.

    Returns:
        `dict[str, Memory]`: For `"rollout"`, `"scoring"` (the forward passes without gradients) and `"training"`. What
        PyTorch's allocator loses between its blocks, CUDA's context and NCCL's buffers (1 to 2 GB) are not part of it.
    """
    n, whole, trained = setup.num_processes, model.num_parameters, model.num_trainable
    is_deepspeed, is_sharded = setup.sharding.startswith("zero"), setup.sharding in ("fsdp2", "zero3")
    weight = setup.compute_bytes if is_deepspeed else setup.weight_bytes
    share = n if is_sharded else 1
    # FSDP2 keeps what is trained in float32, whatever it was loaded in; PEFT makes adapters float32, but for ZeRO-3
    trained_weight = weight if is_deepspeed or (setup.sharding == "ddp" and not model.is_adapted) else 4
    states = {
        "weights": ((whole - trained) * weight + trained * trained_weight) / share,
        "reference": weight * whole / share * (plan.scored_by_reference and not model.is_adapted),
        "optimiser": 0.0
        if setup.is_optimiser_elsewhere
        else (12 if is_deepspeed and setup.is_bf16 else 8) * trained / (1 if setup.sharding == "ddp" else n),
    }
    rows, length = plan.micro_batch_size, setup.prompt_tokens + plan.max_completion_length
    tokens = rows * length
    reserved = setup.vllm_share * setup.device_bytes
    awake = 0.0 if setup.does_vllm_sleep else reserved
    casts = setup.compute_bytes * whole * setup.is_cast  # autocast's copies of the weights, until the forward pass ends
    gathered = _gathered(model, setup)
    scored = plan.scored_by_policy or plan.scored_by_reference
    # TRL wraps the reference of FSDP2 as a single unit, which is gathered whole
    reference = setup.compute_bytes * whole if setup.sharding == "fsdp2" and states["reference"] else 0.0
    layer = _layer(model, setup)
    phases = {
        "rollout": states | _generation(model, setup, plan, reserved),
        "scoring": {
            **states,
            "weights gathered or cast": max(gathered, reference) + casts,
            "activations": tokens * (model.hidden_size * setup.residual_bytes + layer / 2),
            "LM head": _tile(model, setup, rows * plan.max_completion_length, tokens, copies=3),
            "vLLM": awake,
        }
        if scored
        else {},
    }
    checkpoints = model.num_layers * model.hidden_size * setup.residual_bytes
    layers = checkpoints + layer if plan.is_recomputed else model.num_layers * layer
    head = _tile(model, setup, rows * plan.max_completion_length, tokens, copies=CPU_TILE_COPIES)
    head += 4.0 * model.head_parameters * (not model.is_adapted) + 2 * 4.0 * tokens * model.hidden_size
    held = checkpoints if plan.is_recomputed else layers  # while the LM head is at work
    phases["training"] = {
        **states,
        "gradients": _gradients(model, setup, plan),
        "weights gathered or cast": gathered + casts * (0 if plan.is_recomputed else 1),
        "activations": tokens * held,
        "LM head or a layer": max(head, tokens * (layers - held)),
        "vLLM": awake,
    }
    return {name: Memory(parts) for name, parts in phases.items() if parts}


def _gradients(model: ModelSize, setup: Setup, plan: WorkPlan) -> float:
    """With DDP's buckets, which hold them a second time, and what FSDP2 keeps whole until the last micro-batch."""
    n, trained = setup.num_processes, model.num_trainable
    if setup.sharding == "ddp":
        width = 4 if model.is_adapted else setup.weight_bytes
        return trained * width * (1 if n == 1 else 2)
    if setup.sharding == "fsdp2":
        return trained * (4 / n + (setup.compute_bytes if plan.accumulation > 1 else 0))
    return setup.compute_bytes * (trained / n + min(trained, ZERO_BUCKET))


def _gathered(model: ModelSize, setup: Setup) -> float:
    """Parameters of other processes that are here for the moment."""
    if setup.num_processes == 1:
        return 0.0
    if setup.sharding == "zero3":
        return setup.compute_bytes * min(model.num_parameters, ZERO3_LIVE)
    if setup.sharding == "fsdp2":  # this layer and the next, the embedding, and the head, which TRL gathers in float32
        embedding = 0 if model.is_tied else setup.compute_bytes * model.head_parameters
        return 2.0 * setup.compute_bytes * model.layer_parameters + embedding + 4.0 * model.head_parameters
    return 0.0


def _layer(model: ModelSize, setup: Setup) -> float:
    """
    Bytes for each token that a layer keeps for its backward pass.

    Its two norms keep a float32 copy of the input and the normalised input; its linear layers what they read, once for each
    where autocast casts it; attention its queries, keys, values and result, twice; the MLP four times its width.
    """
    narrow, wide = setup.compute_bytes, setup.residual_bytes
    norms = 2 * (4 + wide) + narrow * (5 if setup.is_cast else 2)
    attention = 5 * model.num_heads * model.head_dim
    return norms * model.hidden_size + narrow * (attention + 4 * model.intermediate_size)


def _tile(model: ModelSize, setup: Setup, completion_tokens: int, tokens: int, copies: float) -> float:
    """Bytes of the logits that exist at a time: a tile, whatever the batch. On a CPU prompts pass through the head, too."""
    height = min(tokens if setup.device == "cpu" else completion_tokens, TILE_TOKENS)
    floats = copies * min(model.vocab_size, TILE_WORDS) if setup.device == "cpu" else 0
    return height * (TILE_WORDS * setup.compute_bytes + 4 * floats)


def kv_bytes_per_token(model: ModelSize, setup: Setup) -> int:
    """Bytes of a token's keys and values in Transformers' cache; under autocast keys are as wide as the residual stream."""
    wide = setup.residual_bytes if setup.is_cast else setup.compute_bytes
    return model.num_layers * model.num_kv_heads * model.head_dim * (wide + setup.compute_bytes)


def _generation(model: ModelSize, setup: Setup, plan: WorkPlan, reserved: float) -> dict[str, float]:
    if setup.does_vllm_roll_out:
        return {"vLLM": reserved}
    rows = math.ceil(plan.batch_size / plan.num_processes)
    whole = setup.compute_bytes * model.num_parameters if setup.sharding == "zero3" else _gathered(model, setup)
    return {
        "weights gathered or cast": whole,
        "KV cache": rows * (setup.prompt_tokens + plan.max_completion_length) * kv_bytes_per_token(model, setup),
        "sampling": 4.0 * SAMPLING_COPIES * rows * model.vocab_size,
    }


def vllm_memory(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, float]:
    """How vLLM's share of a device divides: bfloat16 weights, the rest for keys and values, and how many rows fit at once."""
    weights = 2 * model.num_parameters / setup.vllm_parallel
    cache = setup.vllm_share * setup.device_bytes - weights
    row = 2 * 2 * model.num_layers * model.num_kv_heads * model.head_dim / setup.vllm_parallel
    row *= setup.prompt_tokens + plan.max_completion_length
    return {"weights": weights, "KV cache": cache, "rows at once": max(0.0, cache // row)}


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
        "fsdp2": narrow * (2 * whole * plan.accumulation + trained),  # the same, gradients on the last micro-batch only
    }[setup.sharding]
    is_sharded = setup.sharding in ("fsdp2", "zero3")
    chunks = math.ceil(plan.batch_size / n / plan.micro_batch_size) * (plan.scored_by_policy + plan.scored_by_reference)
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
    >>> readable(12_850_000_000), readable(3_440_000)
    ('12.9 GB', '3.4 MB')

    ```
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:.1f} {name}"
    return f"{num_bytes:.0f} B"


def largest(phases: Iterable[Memory]) -> float:
    """Bytes of the phase that needs most."""
    return max(phase.total for phase in phases)
