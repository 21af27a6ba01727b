"""The checks of optional settings of novelty: crowding, a cap per seed, embeddings."""

import math
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from .serl_config import SeRLConfig


def check_novelty_options(args: "SeRLConfig") -> None:
    """
    Checks them.

    Raises:
        ValueError: If one is out of range, or needs another that is not set.
    """
    if not 0 <= args.novelty_crowding_penalty < math.inf:
        raise ValueError(
            f"novelty_crowding_penalty is {args.novelty_crowding_penalty}; it is 0 (off) or a positive number."
        )
    if args.max_instructions_per_seed is not None and args.max_instructions_per_seed < 1:
        raise ValueError(
            f"max_instructions_per_seed is {args.max_instructions_per_seed}, which keeps nothing; it is at least 1, or "
            "None for any number."
        )
    threshold = args.semantic_novelty_threshold
    if threshold is not None and not 0 < threshold <= 1:
        raise ValueError(f"semantic_novelty_threshold is {threshold}; cosines that reject lie in (0, 1].")
    if threshold is not None and args.embedding_model is None:
        raise ValueError(
            f"semantic_novelty_threshold={threshold} needs embedding_model, such as "
            "'sentence-transformers/all-MiniLM-L6-v2'."
        )
