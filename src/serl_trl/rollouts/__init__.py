"""Text through TRL's generation; batches filled; votes over whole groups."""

from .batch_source import InstructionFeed
from .fill_batch import Batch, Group, gate_metrics
from .generate import greedy_sampling, policy_writing, rollouts, sampling_seed, whole_model, written_replies
from .group_votes import VOTE_COLUMN, GroupVotes
from .policy import Policy
from .rollout_source import RolloutSource


__all__ = [
    "VOTE_COLUMN",
    "Batch",
    "Group",
    "GroupVotes",
    "InstructionFeed",
    "Policy",
    "RolloutSource",
    "gate_metrics",
    "greedy_sampling",
    "policy_writing",
    "rollouts",
    "sampling_seed",
    "whole_model",
    "written_replies",
]
