"""Which instructions a request shows: seeds dealt like cards, and instructions written in earlier iterations."""

import random
from collections import deque
from collections.abc import Sequence
from typing import Any


class SeedDeck:
    """
    Deals seeds so that each comes once before one comes again, in however many calls, and none twice in one hand.

    It lives as long as the run: an iteration that shows few seeds goes on where the last one stopped.

    Args:
        seeds (`Sequence[str]`): The seeds, each once.
        seed (`int` or `str`): Decides the order; each round through the seeds has its own.

    Example:

    ```python
    >>> deck = SeedDeck(["a", "b", "c"], seed=0)
    >>> sorted(deck.deal(2) + deck.deal(1))
    ['a', 'b', 'c']

    ```
    """

    def __init__(self, seeds: Sequence[str], seed: int | str) -> None:
        self.seeds = list(seeds)
        self.seed = seed
        self._round = 0
        self._left: deque[int] = deque()  # positions of the seeds to come in this round

    def deal(self, num: int) -> list[str]:
        """
        The next hand.

        Args:
            num (`int`): Seeds wanted, at most as many as there are.

        Returns:
            `list[str]`: Different seeds.

        Raises:
            ValueError: If there are not that many.
        """
        if num > len(self.seeds):
            raise ValueError(f"{num} seeds are wanted, and there are {len(self.seeds)}; lower num_few_shot.")
        hand: list[int] = []
        while len(hand) < num:
            if not self._left:
                order = random.Random(f"{self.seed}/round {self._round}").sample(
                    range(len(self.seeds)), len(self.seeds)
                )
                # what this hand holds already comes last in the new round
                self._left.extend(sorted(order, key=hand.__contains__))
                self._round += 1
            hand.append(self._left.popleft())
        return [self.seeds[i] for i in hand]

    def state_dict(self) -> dict[str, Any]:
        """Where the deck is, as JSON knows it."""
        return {"round": self._round, "left": list(self._left)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where another deck of the same seeds was."""
        self._round, self._left = state["round"], deque(state["left"])


def few_shot_choice(
    deck: SeedDeck, written: Sequence[str], num_few_shot: int, seed_fraction: float, rng: random.Random
) -> list[str]:
    """
    The instructions that one request shows, in random order: `seed_fraction` of them seeds, the others written.

    Args:
        deck ([`SeedDeck`]): Deals the seeds.
        written (`Sequence[str]`): What was kept in earlier iterations; while there is less than wanted, as in the first
            iteration, seeds take the other places.
        num_few_shot (`int`): Instructions to show.
        seed_fraction (`float`): Share of seeds among them, rounded to a whole number of seeds.
        rng (`random.Random`): Draws the written ones and the order.

    Source: paper section 3.1 (first seeds only; then a quarter seeds). How seeds are drawn is not said there.

    Example:

    ```python
    >>> deck = SeedDeck([f"seed {i}" for i in range(8)], seed=0)
    >>> shown = few_shot_choice(deck, [f"written {i}" for i in range(100)], 8, 0.25, random.Random(0))
    >>> sum(text.startswith("seed") for text in shown)
    2

    ```
    """
    num_written = min(num_few_shot - round(num_few_shot * seed_fraction), len(written))
    shown = deck.deal(num_few_shot - num_written) + rng.sample(written, num_written)
    rng.shuffle(shown)
    return shown
