"""Which rows of a batch are equal."""

import torch
from torch import Tensor


def first_come(keys: Tensor) -> tuple[Tensor, Tensor]:
    """
    Which rows are equal.

    Args:
        keys (`torch.Tensor` of shape `(B, K)`): Rows to compare.

    Returns:
        The number of each row's kind, (B,), kinds counted in the order in which they come, and the first row of each, (U,).
    """
    kinds, kind = torch.unique(keys, dim=0, return_inverse=True)
    rows = torch.arange(len(keys), device=keys.device)
    first = torch.full((len(kinds),), len(keys), device=keys.device).scatter_reduce(0, kind, rows, "amin")
    rank = first.argsort().argsort()
    return rank[kind], first.sort().values
