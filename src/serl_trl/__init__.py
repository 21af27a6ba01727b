"""SeRL on TRL: self-play reinforcement learning without labels (arXiv 2505.20347)."""

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from .answers import extract_answer, is_equivalent
    from .instructions import SelfInstructDataset
    from .trainer import SeRLConfig, SeRLTrainer
    from .voting import GroundTruthReward, MajorityVoteReward, Vote, majority_vote

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
_ROOMS = {
    "GroundTruthReward": "voting",
    "MajorityVoteReward": "voting",
    "SeRLConfig": "trainer",
    "SeRLTrainer": "trainer",
    "SelfInstructDataset": "instructions",
    "Vote": "voting",
    "extract_answer": "answers",
    "is_equivalent": "answers",
    "majority_vote": "voting",
}


def __getattr__(name: str):
    """Imports a room only when one of its names is asked for: a vote starts without TRL, `serl-trl --help` without a vote."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
