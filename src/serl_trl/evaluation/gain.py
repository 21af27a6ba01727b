"""What training changed: by how much a score rose, and how much of that is answers where there were none."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table

from .evaluate import EvaluationReport
from .scores import MeanWithInterval, mean_with_interval


@dataclass(frozen=True)
class Gain:
    """
    The change of a pass@1 between two measurements of the same problems, as means over problems with paired intervals.

    Args:
        total (`MeanWithInterval`): After minus before.
        from_no_answer (`MeanWithInterval`): Of it, what comes from completions without an answer: they are fewer or more.
        from_wrong_answer (`MeanWithInterval`): Of it, what comes from wrong answers. The two parts add up to the total.
        learnt (`MeanWithInterval`): The chance that a completion was not right before and one to the same problem is, after.
        lost (`MeanWithInterval`): The chance of the opposite. `learnt` minus `lost` is the total.
    """

    total: MeanWithInterval
    from_no_answer: MeanWithInterval
    from_wrong_answer: MeanWithInterval
    learnt: MeanWithInterval
    lost: MeanWithInterval

    def as_dict(self) -> dict[str, list[float]]:
        """Each part as `[mean, low, high]`."""
        return {field.name: list(getattr(self, field.name)) for field in fields(self)}


def gain(
    right_before: ArrayLike, no_answer_before: ArrayLike, right_after: ArrayLike, no_answer_after: ArrayLike
) -> Gain:
    r"""
    Tells a gain apart by what the completions were before.

    Take one completion to a problem from before and one from after, at random. With r, w and n for the shares of right, wrong
    and missing answers, the total is the sum of two parts, each what was won minus what was lost:
    \\( r' - r = (n r' - r n') + (w r' - r w') \\). The first is about whether there is an answer at all, which is often a
    matter of form; the second is about which.

    Args:
        right_before, right_after (`ArrayLike` of shape (P,)): The share of each problem's completions that are right, from 0 to 1.
        no_answer_before, no_answer_after (`ArrayLike` of shape (P,)): The share without an answer, from 0 to 1.

    Returns:
        [`Gain`]: Its intervals are bootstrapped over problems, each with its completions before and after.

    Raises:
        ValueError: If the shapes differ, or shares are no shares.

    Source: the question is that of "Spurious rewards" (arXiv 2506.10947); the formula is ours.

    Example:

    ```python
    >>> found = gain([0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0])
    >>> found.total.mean, found.from_no_answer.mean, found.from_wrong_answer.mean
    (0.5, 0.5, 0.0)

    ```
    """
    columns = [np.asarray(c, dtype=float) for c in (right_before, no_answer_before, right_after, no_answer_after)]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise ValueError(
            f"The shares have shapes {[c.shape for c in columns]}; pass one number for each of the same problems."
        )
    right, none, right_after, none_after = columns
    wrong, wrong_after = 1 - right - none, 1 - right_after - none_after
    if min(column.min() for column in (*columns, wrong, wrong_after)) < -1e-9:
        raise ValueError("The shares of right and of missing answers are to lie between 0 and 1, and so is their sum.")
    return Gain(
        total=mean_with_interval(right_after - right),
        from_no_answer=mean_with_interval(none * right_after - right * none_after),
        from_wrong_answer=mean_with_interval(wrong * right_after - right * wrong_after),
        learnt=mean_with_interval((1 - right) * right_after),
        lost=mean_with_interval(right * (1 - right_after)),
    )


def gains(before: EvaluationReport, after: EvaluationReport) -> dict[str, Gain]:
    """
    The [`gain`] of greedy and, where there are samples, of sampled pass@1.

    Args:
        before, after ([`EvaluationReport`]): On the same problems, in the same order.

    Raises:
        ValueError: If they are of different numbers of problems.
    """
    found = {
        "greedy pass@1": gain(before.greedy, before.greedy_no_answer, after.greedy, after.greedy_no_answer),
    }
    if before.num_samples and after.num_samples:
        found["sampled pass@1"] = gain(before.sampled, before.no_answer, after.sampled, after.no_answer)
    return found


def print_gains(found: dict[str, Gain], title: str, console: Console | None = None) -> None:
    """Prints one column a score, in points, with paired 95 % intervals."""
    table = Table(title=title)
    table.add_column("points")
    for name in found:
        table.add_column(name, justify="right")
    lines = {
        "total": "gain",
        "from_no_answer": "  of it, from no answer",
        "from_wrong_answer": "  of it, from wrong answers",
        "learnt": "not right before, right after",
        "lost": "right before, not right after",
    }
    for field, line in lines.items():
        cells = [[100 * value for value in getattr(one, field)] for one in found.values()]
        table.add_row(line, *(f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]" for mean, low, high in cells))
    (console or Console()).print(table)
