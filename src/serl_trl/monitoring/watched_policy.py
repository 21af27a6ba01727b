"""`WatchedPolicy`: what a guard needs to know of a trainer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..rollouts import Policy
from ..types import Prompt
from ..voting import MajorityVoteReward


class WatchedPolicy(Policy, Protocol):
    """
    A [`Policy`] in training whose votes can be watched, and that can go back to a checkpoint.

    Args:
        shared_states (`dict[str, Any]`): What has a `state_dict` that checkpoints hold, by name.
        kept_checkpoints (`list[Callable[[], list[Path]]]`): Functions that say which checkpoints are not rotated away.
    """

    shared_states: dict[str, Any]
    kept_checkpoints: list[Callable[[], list[Path]]]

    @property
    def vote_reward(self) -> MajorityVoteReward | None:
        """Who votes, if a reward does."""

    def seed_prompts(self) -> list[Prompt]:
        """What the policy is asked for each seed."""

    def pending_metrics(self, name: str) -> list[float]:
        """The values of a metric of training that wait for the next log, in a list that is another one after a log."""

    def load_policy(self, checkpoint: Path) -> None:
        """Loads the policy of a checkpoint, and nothing else of it."""
