"""The memory of a process in each phase of a run, by part. Arithmetic only."""

import math
from dataclasses import dataclass

from .plan_sizes import ModelSize, Setup
from .plan_work import WorkPlan


# TRL's fused LM head holds the logits of so many tokens and words at a time (trl/kernels/chunked_logprob.py), and without
# Triton so many float32 copies of them in its backward pass
TILE_TOKENS, TILE_WORDS, CPU_TILE_COPIES = 4096, 32768, 7.25
ZERO_BUCKET = 5e8  # elements of DeepSpeed's reduce bucket, its default
ZERO3_LIVE = 1e9  # most parameters that ZeRO-3 keeps gathered, DeepSpeed's default
SAMPLING_COPIES = 3  # float32 copies of the last position's logits while Transformers samples


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
        PyTorch's allocator loses between its blocks, CUDA's context and NCCL's buffers are not part of it.
    """
    states = _states(model, setup, plan)
    phases = {"rollout": states | _generation(model, setup, plan)}
    if plan.scored_by_policy or plan.scored_by_reference:
        phases["scoring"] = states | _scoring(model, setup, plan, bool(states["reference"]))
    phases["training"] = states | _training(model, setup, plan)
    return {name: Memory(parts) for name, parts in phases.items()}


def _states(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, float]:
    """What is there in every phase."""
    n, whole, trained = setup.num_processes, model.num_parameters, model.num_trainable
    is_deepspeed = setup.sharding.startswith("zero")
    share = n if setup.sharding in ("fsdp2", "zero3") else 1
    weight = setup.compute_bytes if is_deepspeed else setup.weight_bytes
    # FSDP2 keeps what is trained in float32, whatever it was loaded in; PEFT makes adapters float32, but for ZeRO-3
    trained_weight = weight if is_deepspeed or (setup.sharding == "ddp" and not model.is_adapted) else 4
    moments = (12 if is_deepspeed and setup.is_bf16 else 8) * trained / (1 if setup.sharding == "ddp" else n)
    return {
        "weights": ((whole - trained) * weight + trained * trained_weight) / share,
        "reference": weight * whole / share * (plan.scored_by_reference and not model.is_adapted),
        "optimiser": 0.0 if setup.is_optimiser_elsewhere else moments,
    }


def _scoring(model: ModelSize, setup: Setup, plan: WorkPlan, has_reference: bool) -> dict[str, float]:
    """Of the forward passes without gradients."""
    tokens = _tokens(setup, plan)
    # TRL wraps the reference of FSDP2 as a single unit, which is gathered whole
    reference = setup.compute_bytes * model.num_parameters if setup.sharding == "fsdp2" and has_reference else 0.0
    return {
        "weights gathered or cast": max(_gathered(model, setup), reference) + _cast(model, setup),
        "activations": tokens * (model.hidden_size * setup.residual_bytes + layer_bytes(model, setup) / 2),
        "LM head": _tile(model, setup, plan, copies=3),
        "vLLM": _awake(setup),
    }


def _training(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, float]:
    """Of a micro-batch, forward and backward."""
    tokens, layer = _tokens(setup, plan), layer_bytes(model, setup)
    kept = model.num_layers * (model.hidden_size * setup.residual_bytes if plan.is_recomputed else layer)
    head = _tile(model, setup, plan, copies=CPU_TILE_COPIES)
    head += 4.0 * model.head_parameters * (not model.is_adapted) + 2 * 4.0 * tokens * model.hidden_size
    at_work = tokens * layer * plan.is_recomputed + working_bytes(model, setup, tokens)
    return {
        "gradients": _gradients(model, setup, plan),
        "weights gathered or cast": _gathered(model, setup) + _cast(model, setup) * (not plan.is_recomputed),
        "activations": tokens * kept,
        "LM head or a layer": max(head, at_work),
        "vLLM": _awake(setup),
    }


def _tokens(setup: Setup, plan: WorkPlan) -> int:
    """Of a micro-batch, with its prompts."""
    return plan.micro_batch_size * (setup.prompt_tokens + plan.max_completion_length)


def _awake(setup: Setup) -> float:
    """What vLLM holds while it does not generate."""
    return 0.0 if setup.does_vllm_sleep else setup.vllm_share * setup.device_bytes


def _cast(model: ModelSize, setup: Setup) -> float:
    """Autocast's copies of the weights of linear layers, until the forward pass ends."""
    return float(setup.compute_bytes * model.num_layers * model.layer_parameters * setup.is_cast)


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
    if setup.sharding == "fsdp2":
        # this layer, its gradients and the next layer; the embedding; and the head, which TRL gathers in float32
        embedding = 0 if model.is_tied else setup.compute_bytes * model.head_parameters
        return 3.0 * setup.compute_bytes * model.layer_parameters + embedding + 4.0 * model.head_parameters
    return 0.0


def layer_bytes(model: ModelSize, setup: Setup) -> float:
    """
    Bytes for each token that a layer keeps for its backward pass.

    Its two norms keep a float32 copy of the input and the normalised input; its linear layers what they read, once for each
    where autocast casts it; attention its queries, keys, values and result, twice; the MLP four times its width.
    """
    narrow, wide = setup.compute_bytes, setup.residual_bytes
    norms = 2 * (4 + wide) + narrow * (5 if setup.is_cast else 2)
    attention = 5 * model.num_heads * model.head_dim
    return norms * model.hidden_size + narrow * (attention + 4 * model.intermediate_size)


def working_bytes(model: ModelSize, setup: Setup, tokens: int) -> float:
    """Bytes of the gradients inside a layer, and of its weights and their gradients where autocast casts them."""
    inside = 2 * setup.compute_bytes * tokens * (model.intermediate_size + model.hidden_size)
    return inside + 2 * setup.compute_bytes * model.layer_parameters * setup.is_cast


def _tile(model: ModelSize, setup: Setup, plan: WorkPlan, copies: float) -> float:
    """Bytes of the logits that exist at a time: a tile, whatever the batch. On a CPU prompts pass through the head, too."""
    tokens = _tokens(setup, plan) if setup.device == "cpu" else plan.micro_batch_size * plan.max_completion_length
    floats = copies * min(model.vocab_size, TILE_WORDS) if setup.device == "cpu" else 0
    return min(tokens, TILE_TOKENS) * (TILE_WORDS * setup.compute_bytes + 4 * floats)


def kv_bytes_per_token(model: ModelSize, setup: Setup) -> int:
    """Bytes of a token's keys and values in Transformers' cache; under autocast they are as wide as the residual stream."""
    width = max(setup.residual_bytes, setup.compute_bytes)
    return 2 * width * model.num_layers * model.num_kv_heads * model.head_dim


def _generation(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, float]:
    """Of rollouts."""
    if setup.does_vllm_roll_out:
        return {"vLLM": setup.vllm_share * setup.device_bytes}
    rows = math.ceil(plan.batch_size / setup.num_processes)
    whole = setup.compute_bytes * model.num_parameters if setup.sharding == "zero3" else _gathered(model, setup)
    return {
        "weights gathered or cast": whole,
        "KV cache": rows * (setup.prompt_tokens + plan.max_completion_length) * kv_bytes_per_token(model, setup),
        "sampling": 4.0 * SAMPLING_COPIES * rows * model.vocab_size,
    }


def vllm_memory(model: ModelSize, setup: Setup, plan: WorkPlan) -> dict[str, float]:
    """How vLLM's share of a device divides: bfloat16 weights, the rest for keys and values, and how many rows fit at once."""
    adapter = model.num_trainable if model.is_adapted else 0  # merged into the weights that vLLM gets
    weights = 2 * (model.num_parameters - adapter) / setup.vllm_parallel
    cache = setup.vllm_share * setup.device_bytes - weights
    row = 2 * 2 * model.num_layers * model.num_kv_heads * model.head_dim / setup.vllm_parallel
    row *= setup.prompt_tokens + plan.max_completion_length
    return {"weights": weights, "KV cache": cache, "rows at once": max(0.0, cache // row)}
