"""Which rows of a batch have the same prompt, and micro-batches that hold whole groups of them."""

import math
from typing import Any

import torch

from ..prompts import first_come


def gather_groups(batches: list[dict[str, Any]], num_of_a_step: int) -> None:
    """
    Orders the rows of each optimiser step so that those of a prompt follow each other, in the order in which they come.

    Rows stay in their step.

    Args:
        batches (`list[dict[str, Any]]`):
            Micro-batches of one size, as TRL cuts them; what they hold for each row is replaced. What has no rows is left.
        num_of_a_step (`int`): Micro-batches of an optimiser step.
    """
    size = math.gcd(len(batches), num_of_a_step)  # so many in a row are always of one step
    for start in range(0, len(batches), size):
        _gather(batches[start : start + size])


def _gather(batches: list[dict[str, Any]]) -> None:
    keys = [batch["prompt_ids"].masked_fill(batch["prompt_mask"] == 0, -1) for batch in batches]
    prompt, _ = first_come(torch.cat(keys))
    order = prompt.argsort(stable=True)
    size = len(keys[0])
    for name, value in list(batches[0].items()):
        if torch.is_tensor(value) and value.ndim > 0:
            for batch, rows in zip(batches, torch.cat([b[name] for b in batches])[order].split(size), strict=True):
                batch[name] = rows
        elif isinstance(value, list):
            rows = [row for batch in batches for row in batch[name]]
            for i, batch in enumerate(batches):
                batch[name] = [rows[j] for j in order[i * size : (i + 1) * size]]
