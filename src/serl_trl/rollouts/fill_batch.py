"""Filling a batch with groups that the gate lets through: candidates in rounds, from one queue, without a surplus."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..types import Rollout, Verdict
from ..voting import Vote


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
    num_groups: int,
    draw: Callable[[int], list[int]],
    roll_out: RollOut,
    *,
    max_refill_rounds: int,
    filler_index: int = 0,
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
        filler_index (`int`, *optional*, defaults to `0`):
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
        fillers, num_generated = roll_out([filler_index])
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
