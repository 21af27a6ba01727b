"""Expected values come from the standard library's Counter and from the textbook recursion for subsequences."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.instructions.novelty_shards import Query, Shard, Texts


NUM_WORDS = 5
sequences = st.lists(st.integers(0, NUM_WORDS - 1), min_size=1, max_size=12)
# with words that no text of the bank holds
queries = st.lists(st.integers(-1, NUM_WORDS - 1), max_size=12)
banks = st.lists(sequences, min_size=1, max_size=80)


def texts(bank, kind=Texts, first=0):
    return kind(
        np.array([word for text in bank for word in text], dtype=np.int32),
        np.array([len(text) for text in bank], dtype=np.int32),
        np.arange(first, first + len(bank)),
    )


def subsequence(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y >= 0 else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@settings(deadline=None)
@given(bank=banks, query=queries)
def test_common_subsequences_are_those_of_the_recursion(bank, query):
    for part in (texts(bank), texts(bank, Shard)):
        common = part.num_common(Query(query, NUM_WORDS), np.arange(len(bank)))
        assert common.tolist() == [subsequence(query, bank[position]) for position in part.positions]


@settings(deadline=None)
@given(bank=banks, query=queries, bar=st.floats(0, 1))
def test_candidates_hold_every_text_that_reaches_the_bar(bank, query, bar):
    for part in (texts(bank), texts(bank, Shard)):
        rows, bounds = part.candidates(Query(query, NUM_WORDS), bar)
        found = dict(zip(part.positions[rows].tolist(), bounds.tolist(), strict=True))
        for position, text in enumerate(bank):
            f1 = 2 * subsequence(query, text) / (len(query) + len(text))
            if f1 >= bar and f1 > 0:
                assert found[position] >= f1 - 1e-6


@settings(deadline=None)
@given(bank=banks, query=queries.filter(lambda words: max(words, default=-1) >= 0))
def test_a_shard_bounds_by_the_words_in_common(bank, query):
    known = Counter(word for word in query if word >= 0)
    expected = {}
    for position, text in enumerate(bank):
        shared = (known & Counter(text)).total()
        if shared:
            expected[position] = pytest.approx(2 * shared / (len(query) + len(text)), abs=1e-6)
    shard = texts(bank, Shard)
    rows, bounds = shard.candidates(Query(query, NUM_WORDS), 0.0)
    assert dict(zip(shard.positions[rows].tolist(), bounds.tolist(), strict=True)) == expected


@settings(deadline=None)
@given(old=banks, new=banks)
def test_merging_equals_building_at_once(old, new):
    merged = Shard.merge(texts(old, Shard), texts(new, first=len(old)))
    built = texts(old + new, Shard)
    assert vars(merged).keys() == vars(built).keys()
    for name, array in vars(built).items():
        np.testing.assert_array_equal(getattr(merged, name), array)
    assert (np.diff(merged.lengths) >= 0).all()


@pytest.mark.parametrize("num_times", [255, 256, 300, 65_535, 65_536, 70_000])
def test_a_word_may_recur_more_often_than_a_counter_holds(num_times):
    # one word in common, many times: counts of 8 and of 16 bits would overflow
    shard = texts([[0] * num_times, [0], [1]], Shard)
    rows, bounds = shard.candidates(Query([0] * num_times, 2), 0.0)
    bound_of = dict(zip(shard.positions[rows].tolist(), bounds.tolist(), strict=True))
    assert bound_of.keys() == {0, 1}
    assert bound_of[0] >= 1.0
    assert 2 / (num_times + 1) - 1e-6 <= bound_of[1] <= 2 / (num_times + 1) * max(1, num_times - 65_534) + 1e-6


def test_a_query_of_more_words_than_there_are_characters_below_the_surrogates():
    words = list(range(60_000))
    part = texts([words[::2], [59_999]])
    assert part.num_common(Query(words, 60_000), np.arange(2)).tolist() == [30_000, 1]
