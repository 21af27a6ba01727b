"""Which groups are neither too easy nor too hard: a band of vote shares."""

import math
from dataclasses import dataclass
from typing import ClassVar

from ..types import Verdict


# Shares are counts over counts, often in float32 (0.8 becomes 0.80000001). Two different shares of groups below a
# thousand completions lie further apart than this.
_SHARE_TOLERANCE = 1e-6


def is_in_band(share: float, min_share: float, max_share: float) -> bool:
    """Whether a share lies in [min_share, max_share], both ends included, whatever rounding did to any of the three.

    Args:
        share (`float`):
            The share, from 0 to 1; `nan` is in no band.
        min_share (`float`):
            Lower end of the band.
        max_share (`float`):
            Upper end of the band.

    Returns:
        `bool`: `True` if the share is in the band, up to 1e-6.

    Example:

    ```python
    >>> is_in_band(0.1 + 0.2, 0.0, 0.3), is_in_band(0.31, 0.0, 0.3)
    (True, False)

    ```
    """
    return min_share - _SHARE_TOLERANCE <= share <= max_share + _SHARE_TOLERANCE


@dataclass(frozen=True)
class DifficultyGate:
    """Keep groups of middling difficulty: those whose majority is neither too small nor too large.

    Below the band the majority is mostly wrong; above it, nearly all completions earn the same reward.

    Args:
        min_vote_share (`float`, *optional*, defaults to 0.2):
            Smallest share that is kept (SeRL paper).
        max_vote_share (`float`, *optional*, defaults to 0.8):
            Largest share that is kept (SeRL paper).

    Raises:
        `ValueError`: If not 0 <= `min_vote_share` <= `max_vote_share` <= 1.

    Example:

    ```python
    >>> DifficultyGate()(0.5)
    Verdict(kept=True, reason=None, value=0.5)
    >>> DifficultyGate()(1.0)
    Verdict(kept=False, reason='too_easy', value=1.0)
    >>> DifficultyGate(0.0, 1.0).is_open
    True

    ```
    """

    name: ClassVar[str] = "difficulty"
    min_vote_share: float = 0.2
    max_vote_share: float = 0.8

    def __post_init__(self) -> None:
        if not 0 <= self.min_vote_share <= self.max_vote_share <= 1:
            raise ValueError(
                f"min_vote_share={self.min_vote_share} and max_vote_share={self.max_vote_share} are no band; choose "
                "0 <= min_vote_share <= max_vote_share <= 1 (0 and 1 switch the gate off)."
            )

    @property
    def is_open(self) -> bool:
        """Whether the gate lets everything through, since the band is [0, 1]."""
        return self.min_vote_share == 0 and self.max_vote_share == 1

    def __call__(self, share: float) -> Verdict:
        if self.is_open or is_in_band(share, self.min_vote_share, self.max_vote_share):
            return Verdict(True, None, share)
        if math.isnan(share):
            return Verdict(False, "no_share", share)
        return Verdict(False, "too_hard" if share < self.min_vote_share else "too_easy", share)
