"""Batches by length: each row once, bounds that hold, and one batch again out of the rows of one."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.prompts.length_batches import batches_by_length, length_batches


groups = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=40)


def padding_and_tokens(lengths, counts, batch):
    longest = max(lengths[g] for g in batch)
    tokens = sum(lengths[g] * counts[g] for g in batch)
    return longest * sum(counts[g] for g in batch) - tokens, tokens


@given(groups, st.integers(1, 24))
def test_groups_are_whole_and_bounds_hold(pairs, batch_size):
    lengths, counts = [length for length, _ in pairs], [count for _, count in pairs]
    batches = batches_by_length(lengths, counts, batch_size)
    assert sorted(group for batch in batches for group in batch) == list(range(len(pairs)))
    found = [lengths[group] for batch in batches for group in batch]
    assert found == sorted(found)
    for batch in batches:
        assert len(batch) == 1 or sum(counts[group] for group in batch) <= batch_size
        padding, tokens = padding_and_tokens(lengths, counts, batch)
        assert padding * 10 <= tokens


@given(groups, st.integers(1, 24))
def test_no_batch_could_have_taken_the_next_group_in(pairs, batch_size):
    lengths, counts = [length for length, _ in pairs], [count for _, count in pairs]
    batches = batches_by_length(lengths, counts, batch_size)
    for batch, after in itertools.pairwise(batches):
        joined = [*batch, after[0]]
        padding, tokens = padding_and_tokens(lengths, counts, joined)
        assert sum(counts[group] for group in joined) > batch_size or padding * 10 > tokens


@given(groups, st.integers(1, 24))
def test_the_rows_of_a_batch_are_one_batch_again(pairs, batch_size):
    """Sharded processes generate together: a batch that is asked for must not fall into several on one of them."""
    lengths, counts = [length for length, _ in pairs], [count for _, count in pairs]
    for batch in batches_by_length(lengths, counts, batch_size):
        prompts = [[group] * lengths[group] for group in batch for _ in range(counts[group])]
        again = length_batches(prompts, batch_size)
        assert len(again) == (1 if len(batch) > 1 else -(-counts[batch[0]] // batch_size))


@given(st.lists(st.lists(st.integers(0, 1), max_size=5), max_size=40), st.integers(1, 12))
def test_equal_prompts_are_side_by_side(prompts, batch_size):
    batches = length_batches(prompts, batch_size)
    assert sorted(row for batch in batches for row in batch) == list(range(len(prompts)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    for prompt in prompts:
        holding = [batch for batch in batches if any(prompts[row] == prompt for row in batch)]
        assert len(holding) == -(-prompts.count(prompt) // batch_size)  # as few batches as can be
        for batch in holding:
            places = [place for place, row in enumerate(batch) if prompts[row] == prompt]
            assert places == list(range(places[0], places[-1] + 1))


@pytest.mark.parametrize(
    ("lengths", "batch_size", "expected"),
    [
        ([5, 5, 5, 5, 5], 2, [[0, 1], [2, 3], [4]]),
        ([100, 10, 100, 10], 8, [[1, 3], [0, 2]]),
        ([100, 111], 8, [[0, 1]]),  # 11 of 211
        ([100, 130], 8, [[0], [1]]),  # 30 of 230
        ([100, 130, 130, 130], 8, [[0], [1, 2, 3]]),  # of the first longer one, not of all that follow
        ([], 8, []),
    ],
)
def test_by_hand(lengths, batch_size, expected):
    assert batches_by_length(lengths, [1] * len(lengths), batch_size) == expected
