"""Batches of prompts of like length: what is filled up is computed for nothing."""

from collections.abc import Sequence


# Of a batch's prompt tokens. Less leaves batches that are not full, which cost more than padding (docs/lab-notes.md).
MAX_PADDING = 0.1


def batches_by_length(lengths: Sequence[int], counts: Sequence[int], batch_size: int) -> list[list[int]]:
    """
    Batches of groups of rows whose prompts are of one length, or nearly.

    A batch takes in longer prompts until it is full, or would be filled up by more than a tenth of its prompt tokens. That is
    decided from what is in it alone: the groups of a batch, given again, are one batch.

    Args:
        lengths (`Sequence[int]`): (G,), of each group the length of its prompt, in tokens.
        counts (`Sequence[int]`): (G,), of each group the number of its rows.
        batch_size (`int`): Most rows of a batch. A group that has more is a batch of its own.

    Returns:
        `list[list[int]]`: The groups of each batch by their positions, each once, short prompts first.

    Example:

    ```python
    >>> batches_by_length([30, 10, 30, 31], [2, 2, 2, 2], batch_size=4)
    [[1], [0, 2], [3]]
    >>> batches_by_length([30, 10, 30, 31], [2, 2, 2, 2], batch_size=8)
    [[1], [0, 2, 3]]

    ```
    """
    batches: list[list[int]] = []
    num_rows = num_tokens = 0  # of the last batch, padding left out
    for group in sorted(range(len(lengths)), key=lengths.__getitem__):
        length, count = lengths[group], counts[group]
        padding = num_rows * length - num_tokens  # if this group joins it
        is_alike = padding <= MAX_PADDING * (num_tokens + count * length)
        if not batches or not is_alike or num_rows + count > batch_size:
            batches.append([])
            num_rows = num_tokens = 0
        batches[-1].append(group)
        num_rows, num_tokens = num_rows + count, num_tokens + count * length
    return batches


def length_batches(prompt_ids: Sequence[Sequence[int]], batch_size: int) -> list[list[int]]:
    """
    Batches of rows, those with the same prompt side by side, in one batch if they fit into one.

    Args:
        prompt_ids (`Sequence[Sequence[int]]`): (B,), the tokens of each row's prompt.
        batch_size (`int`): Most rows of a batch.

    Returns:
        `list[list[int]]`: The rows of each batch by their positions, each once.

    Example:

    ```python
    >>> length_batches([[5, 6], [7, 8], [5, 6]], batch_size=2)
    [[0, 2], [1]]

    ```
    """
    same: dict[tuple[int, ...], list[int]] = {}
    for row, ids in enumerate(prompt_ids):
        same.setdefault(tuple(ids), []).append(row)
    groups = list(same.values())
    batches = batches_by_length([len(ids) for ids in same], [len(rows) for rows in groups], batch_size)
    found = []
    for batch in batches:
        rows = [row for group in batch for row in groups[group]]
        found += [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return found
