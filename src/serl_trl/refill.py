"""Filling a batch with groups that the gate lets through: candidates in rounds, from one queue, without a surplus."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from .filters import Verdict
from .voting import Completion, Vote


Row = TypeVar("Row")


@dataclass(frozen=True)
class Rollout:
    """One completion, before TRL makes tensors of it.

    Args:
        completion_ids (`list[int]`): Its tokens.
        logprobs (`list[float | None]`, *optional*): Their log-probabilities, where the backend reports them.
        completion (`str` or `list[dict]`): Its text, or message, as rewards see it.
    """

    completion_ids: list[int]
    logprobs: list[float | None] | None
    completion: Completion


@dataclass(frozen=True)
class Group:
    """The rollouts of one instruction.

    Args:
        index (`int`): The instruction's place in the queue.
        rollouts (`list[Rollout]` of length G): Its completions.
        vote (`Vote`, *optional*): Their vote; `None` where no reward votes.
        verdict (`Verdict`): What the gate says of them.
    """

    index: int
    rollouts: list[Rollout]
    vote: Vote | None
    verdict: Verdict


@dataclass(frozen=True)
class Batch:
    """The groups of one generation batch.

    Args:
        groups (`list[Group]` of length P): What TRL gets, kept or not.
        is_kept (`list[bool]` of length P): Which of them are trained on.
        candidates (`list[Group]`): Every group that was rolled out for a slot, in the order of the queue.
        num_rounds (`int`): Rounds of rollouts after the first.
        num_rollouts (`int`): Completions generated, padding included.
    """

    groups: list[Group]
    is_kept: list[bool]
    candidates: list[Group]
    num_rounds: int
    num_rollouts: int


RollOut: TypeAlias = Callable[[list[int]], tuple[list[Group], int]]


def fill_batch(
    num_groups: int, draw: Callable[[int], list[int]], roll_out: RollOut, *, max_refill_rounds: int, spare: int = 0
) -> Batch:
    """
    Rolls out candidates until enough groups pass the gate, the queue has no more to give, or the rounds are used up.

    Each round rolls out only as many candidates as groups are missing, so that every group that passes is trained on,
    and with the policy that wrote it. What is missing in the end is made up by rejected groups, which are masked: TRL needs
    batches of one size. The order of the batch depends on which groups passed, not on the rounds in which they came.

    Args:
        num_groups (`int`):
            Groups of the batch, P.
        draw (`Callable[[int], list[int]]`):
            Takes at most so many further instructions from the queue.
        roll_out (`Callable[[list[int]], tuple[list[Group], int]]`):
            The groups of these instructions, and the number of completions generated for them.
        max_refill_rounds (`int`):
            Most rounds after the first.
        spare (`int`, *optional*, defaults to `0`):
            The instruction that makes up the batch where none can be drawn.

    Returns:
        [`Batch`]

    Source: DAPO's dynamic sampling (arXiv 2503.14476) generates whole batches anew and drops the surplus; ours has none.

    Example:

    ```python
    >>> def roll_out(indices):  # instructions 1 and 2 are too easy
    ...     verdicts = [Verdict(kept=i not in (1, 2)) for i in indices]
    ...     return [Group(i, [], None, verdict) for i, verdict in zip(indices, verdicts)], 4 * len(indices)
    >>> queue = iter(range(9))
    >>> batch = fill_batch(3, lambda n: [next(queue) for _ in range(n)], roll_out, max_refill_rounds=3)
    >>> [group.index for group in batch.groups], batch.num_rounds, batch.num_rollouts
    ([0, 3, 4], 1, 20)

    ```
    """
    kept: list[Group] = []
    rejected: list[Group] = []
    num_rounds = num_rollouts = 0
    for number in range(1 + max_refill_rounds):
        indices = draw(num_groups - len(kept)) if len(kept) < num_groups else []
        if not indices:
            break
        groups, num_generated = roll_out(indices)
        num_rounds, num_rollouts = number, num_rollouts + num_generated
        for group in groups:
            (kept if group.verdict.kept else rejected).append(group)
    candidates = sorted([*kept, *rejected], key=lambda group: group.index)
    fillers = [*rejected, *kept]
    if not fillers:
        fillers, num_generated = roll_out([spare])
        num_rollouts += num_generated
    is_kept = spread(len(kept), num_groups)
    sources = iter(kept), iter(fillers[i % len(fillers)] for i in range(num_groups - len(kept)))
    groups = [next(sources[0] if kept_here else sources[1]) for kept_here in is_kept]
    return Batch(groups, is_kept, candidates, num_rounds, num_rollouts)


def spread(num_marked: int, num_places: int) -> list[bool]:
    """
    Marks places as evenly as can be, so that no process, which holds a run of them, has all masked groups.

    Example:

    ```python
    >>> spread(2, 4)
    [True, False, True, False]

    ```
    """
    marked = {i * num_places // num_marked for i in range(num_marked)}
    return [place in marked for place in range(num_places)]


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


def share_of(rows: Sequence[Row], num_processes: int, rank: int) -> tuple[list[Row], int]:
    """
    A process's run of the rows, as long as any other's, and the number of rows that had to be repeated for that.

    Example:

    ```python
    >>> share_of(["a", "b", "c"], num_processes=2, rank=1)
    (['c', 'a'], 1)

    ```
    """
    size = -(-len(rows) // num_processes)
    num_padding = size * num_processes - len(rows)
    padded = [*rows, *(rows[i % len(rows)] for i in range(num_padding))]
    return padded[rank * size : (rank + 1) * size], num_padding


def gate_metrics(
    verdicts: Sequence[Verdict], is_kept: Sequence[bool], num_generations: int, num_rollouts: int
) -> dict[str, float]:
    """
    What a training step logs of the gate.

    Args:
        verdicts (`Sequence[Verdict]`): The gate's verdicts on the candidate groups; none where there is no gate.
        is_kept (`Sequence[bool]` of length P): Which groups of the batch are trained on.
        num_generations (`int`): Completions of a group, G.
        num_rollouts (`int`): Completions generated.

    Returns:
        `dict[str, float]`: Counts; the share of candidates that were kept, too hard or too easy; the share of the batch
        that is trained on; completions generated for each one trained on, and candidates for each group accepted (`nan`,
        which TRL leaves out of its means, where nothing was).
    """
    verdicts = verdicts or [Verdict(kept=True)] * sum(is_kept)
    reasons = [verdict.reason for verdict in verdicts]
    num_accepted = sum(verdict.kept for verdict in verdicts)
    num_trained = sum(is_kept) * num_generations
    metrics = {
        "frac_kept": num_accepted / max(len(verdicts), 1),
        **{f"frac_{reason}": reasons.count(reason) / max(len(verdicts), 1) for reason in ("too_hard", "too_easy")},
        "frac_filled": sum(is_kept) / len(is_kept),
        "num_candidates": float(len(verdicts)),
        "num_accepted": float(num_accepted),
        "num_rollouts_generated": float(num_rollouts),
        "num_rollouts_trained": float(num_trained),
        "generated_per_trained": num_rollouts / num_trained if num_trained else math.nan,
        "candidates_per_accepted": len(verdicts) / num_accepted if num_accepted else math.nan,
    }
    return {f"serl/gate/{name}": value for name, value in metrics.items()}
