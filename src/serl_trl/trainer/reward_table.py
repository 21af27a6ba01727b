"""`RewardTable`: the rewards of a rollout by row and function, and which rows have one."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class RewardTable:
    """
    What the reward functions gave the rows of all processes.

    Args:
        per_func (`torch.Tensor` of shape `(B_global, F)`): Rewards; NaN where a function gave none.
        weights (`torch.Tensor` of shape `(F,)`): Weights of the functions in the sum.

    Example:

    ```python
    >>> table = RewardTable(torch.tensor([[1.0, 0.5], [torch.nan, 0.5]]), torch.tensor([1.0, 0.0]))
    >>> table.totals.tolist(), table.of_weighed_rows[1].tolist()
    ([1.0, nan], [nan, nan])

    ```
    """

    per_func: torch.Tensor
    weights: torch.Tensor

    @property
    def has_reward(self) -> torch.Tensor:
        """
        Which rows have a reward, (B_global,): one of weight 0 is none, unless all have weight 0.

        TRL's sum takes a reward that is missing for 0, and a row is without one only if all functions return `None`.
        """
        is_weighed = (self.weights != 0).to(self.per_func.device)  # (F,)
        if not is_weighed.any():
            is_weighed = ~is_weighed
        return ~self.per_func[:, is_weighed].isnan().all(dim=1)

    @property
    def of_weighed_rows(self) -> torch.Tensor:
        """The rewards, (B_global, F), without any of a row that has none."""
        return torch.where(self.has_reward[:, None], self.per_func, torch.nan)

    @property
    def totals(self) -> torch.Tensor:
        """The weighted sum of each row, (B_global,); NaN where there is none."""
        totals = (self.per_func * self.weights.to(self.per_func.device)).nansum(dim=1)
        totals[~self.has_reward] = torch.nan
        return totals


def moments(rewards: torch.Tensor) -> tuple[float, float]:
    """Mean and standard deviation of the rewards that are not NaN, as TRL logs them; NaN where there are too few."""
    known = rewards[~rewards.isnan()]
    return known.mean().item(), known.std().item() if len(known) > 1 else math.nan


def replace_last(logged: deque | list, values: list[Any]) -> None:
    """Puts values in the place of as many that were logged last."""
    for _ in range(min(len(values), len(logged))):
        logged.pop()
    logged.extend(values)
