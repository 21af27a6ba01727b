"""Text through TRL's generation; batches filled; votes over whole groups."""

from .batch_source import InstructionFeed
from .fill_batch import Batch, gate_metrics
from .generate import greedy_sampling, policy_writing, rollouts, sampling_seed, whole_model, written_replies
from .group_votes import GroupVotes


__all__ = [
    "Batch",
    "GroupVotes",
    "InstructionFeed",
    "gate_metrics",
    "greedy_sampling",
    "policy_writing",
    "rollouts",
    "sampling_seed",
    "whole_model",
    "written_replies",
]
