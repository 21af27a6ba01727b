"""`Ledger`: everything that a run has ever kept, and the seed that each text descends from."""

from collections.abc import Sequence
from typing import Any


class Ledger:
    """
    The instructions kept in all iterations, in order, each with its seed.

    Nothing leaves it: what a vote ahead of training takes out of the queue stays, so that it is not written again.

    Args:
        seeds (`Sequence[str]`): The questions of the seeds, each of which descends from itself.

    Example:

    ```python
    >>> ledger = Ledger(["What is 1 + 1?"])
    >>> ledger.add("What is 1 + 2?", seed=ledger.seed_of("What is 1 + 1?"))
    >>> ledger.add("What is 1 + 3?", seed=ledger.seed_of("What is 1 + 2?"))
    >>> ledger.seed_of("What is 1 + 3?"), len(ledger), ledger.earlier
    ('What is 1 + 1?', 2, [])
    >>> ledger.start_iteration()
    >>> ledger.earlier
    ['What is 1 + 2?', 'What is 1 + 3?']

    ```
    """

    def __init__(self, seeds: Sequence[str]) -> None:
        self._seeds = set(seeds)
        self._seed_of = {seed: seed for seed in seeds}
        self._kept: list[str] = []
        self._num_earlier = 0

    def __len__(self) -> int:
        """How many were ever kept."""
        return len(self._kept)

    @property
    def earlier(self) -> list[str]:
        """What was kept before the current iteration, which requests may show."""
        return self._kept[: self._num_earlier]

    def seed_of(self, text: str) -> str:
        """The seed that a seed or a kept instruction descends from; of a text kept twice, the first one's."""
        return self._seed_of[text]

    def start_iteration(self) -> None:
        """From now on, what is kept so far counts as earlier."""
        self._num_earlier = len(self._kept)

    def add(self, text: str, seed: str) -> None:
        """Enters an instruction that was kept."""
        self._kept.append(text)
        self._seed_of.setdefault(text, seed)

    def state_dict(self) -> dict[str, Any]:
        """The ledger as JSON knows it."""
        kept = [{"text": text, "seed": self._seed_of[text]} for text in self._kept]
        return {"num_kept_before": self._num_earlier, "kept": kept}

    def load_state_dict(self, state: dict[str, Any]) -> list[str]:
        """
        Takes over the state of a ledger of the same seeds, of which this one may hold the beginning.

        Returns:
            `list[str]`: What is new to this ledger, in order.

        Raises:
            ValueError: If this ledger holds other instructions already, or lacks a seed.
        """
        if self._kept != [row["text"] for row in state["kept"][: len(self)]]:
            message = "The SelfInstructDataset holds instructions of another run; resume with one that was made anew."
            raise ValueError(message)
        rows = state["kept"][len(self) :]
        for row in rows:
            if row["seed"] not in self._seeds:
                raise ValueError(f"The checkpoint knows a seed that is not among the seeds: {row['seed']!r}.")
        for row in rows:
            self.add(row["text"], row["seed"])
        self._num_earlier = state["num_kept_before"]
        return [row["text"] for row in rows]
