"""SeRL on TRL: self-play reinforcement learning without labels (arXiv 2505.20347)."""

from typing import TYPE_CHECKING

from .moved import install


if TYPE_CHECKING:
    from .answers import extract_answer, is_equivalent
    from .evaluation import evaluate
    from .instructions import SelfInstructDataset
    from .monitoring import CollapseGuard
    from .prompts import PromptTemplate
    from .trainer import SeRLConfig, SeRLTrainer
    from .voting import GroundTruthReward, JudgeReward, MajorityVoteReward, Vote, majority_vote

__version__ = "0.1.0"
__all__ = [
    "CollapseGuard",
    "GroundTruthReward",
    "JudgeReward",
    "MajorityVoteReward",
    "PromptTemplate",
    "SeRLConfig",
    "SeRLTrainer",
    "SelfInstructDataset",
    "Vote",
    "evaluate",
    "extract_answer",
    "is_equivalent",
    "majority_vote",
]
_ROOMS = {
    "CollapseGuard": "monitoring",
    "GroundTruthReward": "voting",
    "JudgeReward": "voting",
    "MajorityVoteReward": "voting",
    "PromptTemplate": "prompts",
    "SeRLConfig": "trainer",
    "SeRLTrainer": "trainer",
    "SelfInstructDataset": "instructions",
    "Vote": "voting",
    "evaluate": "evaluation",
    "extract_answer": "answers",
    "is_equivalent": "answers",
    "majority_vote": "voting",
}
install()


def __getattr__(name: str):
    """Imports a room only when one of its names is asked for: a vote starts without TRL, `serl-trl --help` without a vote."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
