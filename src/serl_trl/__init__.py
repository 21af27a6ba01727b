"""SeRL on TRL: self-play reinforcement learning without labels (arXiv 2505.20347)."""

from typing import TYPE_CHECKING

from .answers import extract_answer, is_equivalent
from .rewards import GroundTruthReward, MajorityVoteReward
from .voting import Vote, majority_vote


if TYPE_CHECKING:
    from .self_instruct import SelfInstructDataset
    from .serl_config import SeRLConfig
    from .serl_trainer import SeRLTrainer

__version__ = "0.1.0"
__all__ = [
    "GroundTruthReward",
    "MajorityVoteReward",
    "SeRLConfig",
    "SeRLTrainer",
    "SelfInstructDataset",
    "Vote",
    "extract_answer",
    "is_equivalent",
    "majority_vote",
]
_LAZY = {"SelfInstructDataset": "self_instruct", "SeRLConfig": "serl_config", "SeRLTrainer": "serl_trainer"}


def __getattr__(name: str):
    """Imports what needs TRL only when it is asked for, so that a vote costs no start-up time."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
