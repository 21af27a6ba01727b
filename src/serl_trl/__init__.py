"""SeRL on TRL: self-play reinforcement learning without labels (arXiv 2505.20347)."""

from typing import TYPE_CHECKING

from .answers import extract_answer, is_equivalent
from .voting import GroundTruthReward, MajorityVoteReward, Vote, majority_vote


if TYPE_CHECKING:
    from .instructions import SelfInstructDataset
    from .trainer import SeRLConfig, SeRLTrainer

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
_LAZY = {"SelfInstructDataset": "instructions", "SeRLConfig": "trainer", "SeRLTrainer": "trainer"}


def __getattr__(name: str):
    """Imports what needs TRL only when it is asked for, so that a vote costs no start-up time."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
