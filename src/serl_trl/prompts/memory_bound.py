"""How many rows a device can hold while they are written: estimated before, from the sizes of the model."""

import os
from pathlib import Path
from typing import Any

import torch
from transformers import PretrainedConfig


# Of the memory that is free; the rest is for activations and what an allocator loses between its blocks
USED_SHARE = 0.8
# Times the last position's float32 logits that drawing a token takes: measured are 3.1, and 5.6 with top-p
SAMPLING_COPIES = 6


def row_bytes(config: PretrainedConfig, num_tokens: int, dtype: torch.dtype) -> int:
    """
    Bytes that a row takes while it is written: its keys and values, and its logits while a token is drawn.

    Args:
        config ([`~transformers.PretrainedConfig`]): Of the model.
        num_tokens (`int`): Tokens of the prompt and the longest completion.
        dtype (`torch.dtype`): In which keys and values are kept.

    Returns:
        `int`: 0 for a model whose configuration does not name its sizes.
    """
    sizes = config.get_text_config(decoder=True)
    num_layers, words = getattr(sizes, "num_hidden_layers", None), getattr(sizes, "vocab_size", None)
    if not num_layers or not words:
        return 0
    of_layers = getattr(sizes, "per_layer_config", None) or [sizes] * num_layers  # Gemma 4 has heads of two sizes
    of_token = [_kept_numbers(of_layers[i]) for i in range(num_layers)]
    if 0 in of_token:
        return 0
    return sum(of_token) * num_tokens * dtype.itemsize + words * (dtype.itemsize + 4 * SAMPLING_COPIES)


def _kept_numbers(layer: PretrainedConfig) -> int:
    """How many numbers the keys and values of a token are in one layer; 0 where its configuration does not say."""
    heads = getattr(layer, "num_attention_heads", None)
    if not heads:
        return 0
    latent = getattr(layer, "kv_lora_rank", None)
    if latent:  # DeepSeek keeps what all heads' keys and values are made of
        return latent + layer.qk_rope_head_dim
    size = getattr(layer, "head_dim", None) or layer.hidden_size // heads
    if getattr(layer, "multi_query", False) and not getattr(layer, "new_decoder_architecture", False):
        return 2 * size  # Falcon and StarCoder
    return 2 * size * (getattr(layer, "num_key_value_heads", None) or getattr(layer, "num_kv_heads", None) or heads)


def free_bytes(device: torch.device) -> int | None:
    """Bytes that this process may still take on a device, or None where that cannot be asked."""
    if device.type == "cpu":
        return _free_host_bytes() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return None


def _free_host_bytes() -> int:
    """What the machine has left, and what the container that this process may be in has."""
    import psutil

    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no control groups of version 2
    return max(free, 0)


def most_rows(model: Any, num_tokens: int) -> int | None:
    """
    The most rows of a model that fit into memory while they are written; at least 1, or None where that is not known.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model, on its device.
        num_tokens (`int`): Tokens of the prompt and the longest completion.
    """
    device = model.device
    is_mixed = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type) if is_mixed else model.dtype
    free, each = free_bytes(device), row_bytes(model.config, num_tokens, dtype)
    return None if free is None or each == 0 else max(1, int(USED_SHARE * free / each))
