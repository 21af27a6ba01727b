"""Rows that are equal, in the order in which they come."""

import torch

from serl_trl.prompts import first_come


def test_kinds_are_counted_as_they_come():
    keys = torch.tensor([[5, 1], [0, 3], [5, 1], [9, 9], [0, 3]])
    kind, first = first_come(keys)
    assert kind.tolist() == [0, 1, 0, 2, 1]
    assert first.tolist() == [0, 1, 3]
