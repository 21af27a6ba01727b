"""Models whose positions in a row depend on the longest row of its batch."""

from typing import Any

from transformers import PretrainedConfig


def depend_on_batch(config: PretrainedConfig, num_tokens: int) -> bool:
    """
    Whether what a model makes of a row may depend on the longest row of its batch.

    Two kinds of rotary positions are scaled by it, once it passes the length of pretraining: `longrope` (Phi-3.5,
    Phi-4-mini) and `dynamic`. Rows must not leave such a batch, nor may its prompts be read before its completions.

    Source: `dynamic_rope_update` of Transformers, which takes the highest position of a batch.

    Args:
        config ([`~transformers.PretrainedConfig`]): Of the model.
        num_tokens (`int`): Most tokens of a row, padding included.

    Example:

    ```python
    >>> from transformers import LlamaConfig
    >>> config = LlamaConfig(
    ...     max_position_embeddings=64, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    ... )
    >>> depend_on_batch(config, 63), depend_on_batch(config, 65), depend_on_batch(LlamaConfig(), 10**6)
    (False, True, False)

    ```
    """
    sizes = config.get_text_config(decoder=True)
    rope: dict[str, Any] = getattr(sizes, "rope_parameters", None) or {}
    # one for all layers, or one for each type of them
    of_types = [value for value in rope.values() if isinstance(value, dict)] or [rope]
    for scaling in of_types:
        kind = scaling.get("rope_type") or ""
        limit = sizes.max_position_embeddings if "dynamic" in kind else scaling.get("original_max_position_embeddings")
        if ("dynamic" in kind or kind == "longrope") and num_tokens >= (limit or 0):
            return True
    return False
