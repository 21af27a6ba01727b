"""Classes -> vote, rewards, gate, what votes look like."""

from .difficulty_gate import DifficultyGate, is_in_band
from .judge import JudgeReward
from .majority_vote import Vote, majority_vote
from .rewards import GroundTruthReward, MajorityVoteReward
from .vote_metrics import (
    NUM_SHARE_BINS,
    ExtractionReport,
    extraction_report,
    reward_alignment,
    share_bins,
    vote_metrics,
)
from .winner_changes import WinnerMemory


__all__ = [
    "NUM_SHARE_BINS",
    "DifficultyGate",
    "ExtractionReport",
    "GroundTruthReward",
    "JudgeReward",
    "MajorityVoteReward",
    "Vote",
    "WinnerMemory",
    "extraction_report",
    "is_in_band",
    "majority_vote",
    "reward_alignment",
    "share_bins",
    "vote_metrics",
]
