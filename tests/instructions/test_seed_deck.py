import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.instructions.seed_deck import SeedDeck, few_shot_choice


SEEDS = [f"seed {i}" for i in range(7)]


@given(st.lists(st.integers(0, 7), max_size=30), st.integers(0, 5))
def test_each_seed_comes_before_one_comes_again_and_none_twice_in_a_hand(sizes, seed):
    deck, dealt = SeedDeck(SEEDS, seed), Counter(dict.fromkeys(SEEDS, 0))
    for size in sizes:
        hand = deck.deal(size)
        assert len(set(hand)) == len(hand) == size
        dealt.update(hand)
        assert max(dealt.values()) - min(dealt.values()) <= 1


def test_rounds_differ_in_order():
    deck = SeedDeck(SEEDS, 0)
    assert len({tuple(deck.deal(7)) for _ in range(5)}) == 5


def test_the_seed_decides():
    first, second, other = (SeedDeck(SEEDS, seed).deal(7) for seed in (1, 1, 2))
    assert first == second != other


def test_a_deck_goes_on_where_it_was():
    deck = SeedDeck(SEEDS, 3)
    deck.deal(5)
    state = json.loads(json.dumps(deck.state_dict()))
    expected = [deck.deal(4) for _ in range(6)]
    resumed = SeedDeck(SEEDS, 3)
    resumed.load_state_dict(state)
    assert [resumed.deal(4) for _ in range(6)] == expected


def test_more_seeds_than_there_are_cannot_be_dealt():
    with pytest.raises(ValueError, match="8 seeds are wanted, and there are 7"):
        SeedDeck(SEEDS, 0).deal(8)


@pytest.mark.parametrize(
    ("num_written", "fraction", "num_seeds"),
    [(0, 0.25, 4), (2, 0.25, 2), (100, 0.25, 1), (100, 0.0, 0), (100, 1.0, 4)],
)
def test_the_share_of_seeds(num_written, fraction, num_seeds):
    written = [f"written {i}" for i in range(num_written)]
    shown = few_shot_choice(SeedDeck(SEEDS, 0), written, 4, fraction, random.Random(0))
    assert sum(text in SEEDS for text in shown) == num_seeds
    assert len(set(shown)) == 4
