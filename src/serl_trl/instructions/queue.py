"""`Cursor`: where the next instruction of a queue is drawn from."""

from dataclasses import dataclass


@dataclass
class Cursor:
    """
    Where a queue of instructions has been drawn up to, and how much of it may be.

    A queue that refills the first batches to the full leaves none for the last ones. So each slot gets its share of what
    was written: of the n instructions for S slots, ceil(n * b / S) may have been drawn when b slots are bound. What one
    batch leaves goes to the next.

    Args:
        position (`int`): The first instruction that is not drawn yet.
        num_bound (`int`): Slots whose rollout has started.
        num_served (`int`): Slots that the queue as it is has to serve, those bound already among them.

    Example:

    ```python
    >>> cursor = Cursor()
    >>> cursor.serve(4)
    >>> cursor.bind(2)
    >>> cursor.draw(2, num_queued=6), cursor.draw(2, num_queued=6)  # six for four slots: three for two of them
    ([0, 1], [2])

    ```
    """

    position: int = 0
    num_bound: int = 0
    num_served: int = 0

    def serve(self, num_slots: int) -> None:
        """Says that the queue holds all that there will be for so many further slots."""
        self.num_served = self.num_bound + num_slots

    def bind(self, num_slots: int) -> None:
        """Says that the rollout of so many further slots begins."""
        self.num_bound += num_slots

    def draw(self, num_wanted: int, num_queued: int) -> list[int]:
        """Takes at most `num_wanted` further instructions of `num_queued`; returns their places in the queue."""
        num_bound = min(self.num_bound, self.num_served)
        released = -(-num_queued * num_bound // max(self.num_served, 1))
        first, self.position = self.position, max(self.position, min(self.position + num_wanted, released))
        return list(range(first, self.position))
