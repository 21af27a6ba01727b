"""Majority vote: the answer that most completions of one prompt agree on becomes its label."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..answers import AnswerType, answer_classes, find_answer
from ..types import Completion, completion_text


TIE_TOLERANCE = 1e-9  # of all weight; classes tie with the largest if they are no further than this below it


@dataclass(frozen=True)
class Vote:
    """Outcome of a majority vote over the G completions of one prompt.

    Args:
        labels (`list[int | None]` of length G):
            Class id per completion, `None` where no answer could be extracted. Ids count up from 0 as classes appear.
        winner (`int` or `None`):
            Class id of the winner, `None` if no completion has an answer, or none that has one has weight.
        answer (`str` or `None`):
            The winner's representative: the shortest answer of the class, of these the first.
        share (`float`):
            Completions in the winning class / all completions; with weights, weight of the winning class / all weight.
            0.0 when there is no winner.
        rewards (`list[float]` of length G):
            1.0 for each completion in the winning class, else 0.0.
        forms (`list[str]` of length G, *optional*):
            How each completion gives its answer, or why it has none; see [`~serl_trl.answers.find_answer.Found`].
        undecided (`dict[str, int]`, *optional*):
            Comparisons that could not be decided and counted as unequal, by reason; see
            [`~serl_trl.answers.compare.Comparison`].
        weights (`list[float]` of length G, *optional*):
            Weight of each completion; `None` in a vote without weights, in which all count alike.
    """

    labels: list[int | None]
    winner: int | None
    answer: str | None
    share: float
    rewards: list[float]
    forms: list[str] = field(default_factory=list, repr=False)
    undecided: dict[str, int] = field(default_factory=dict, repr=False)
    weights: list[float] | None = field(default=None, repr=False)

    @property
    def num_classes(self) -> int:
        """Number of different answers."""
        return len(set(self.labels) - {None})

    @property
    def class_shares(self) -> list[float]:
        """Share of all weight that each class has, by class id; the rest is that of completions without an answer."""
        return _class_shares(self.labels, self.weights)

    @property
    def is_tie(self) -> bool:
        """Whether another class is as large as the winning one."""
        return self.winner is not None and len(_largest(self.class_shares)) > 1

    @property
    def soft_rewards(self) -> list[float]:
        """Share of each completion's own class, 0.0 for a completion without an answer."""
        shares = self.class_shares
        return [0.0 if label is None else shares[label] for label in self.labels]


def _class_shares(labels: Sequence[int | None], weights: Sequence[float] | None) -> list[float]:
    by_class: list[list[float]] = [[] for _ in set(labels) - {None}]
    heaviest = max(weights or [1.0], default=0.0) or 1.0
    scaled = [weight / heaviest for weight in weights or [1.0] * len(labels)]  # no sum of them overflows
    for label, weight in zip(labels, scaled, strict=True):
        if label is not None:
            by_class[label].append(weight)
    total = math.fsum(scaled) or 1.0  # fsum: the order of the completions must not matter
    return [math.fsum(members) / total for members in by_class]


def _largest(shares: Sequence[float]) -> list[int]:
    """The classes that no other exceeds by more than rounding, in order; a class without weight is none of them."""
    bar = max(shares, default=0.0) - TIE_TOLERANCE
    return [label for label, share in enumerate(shares) if share > 0 and share >= bar]


def _check_weights(weights: Sequence[float], num_completions: int) -> list[float]:
    if len(weights) != num_completions:
        raise ValueError(f"There are {len(weights)} weights for {num_completions} completions; pass one for each.")
    checked = [float(weight) for weight in weights]
    for i, weight in enumerate(checked):
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(
                f"weights[{i}] is {weight}, but a weight is finite and not negative; 0 keeps a completion from voting."
            )
    return checked


def majority_vote(
    completions: Sequence[Completion], answer_type: AnswerType = "math", *, weights: Sequence[float] | None = None
) -> Vote:
    r"""Vote of one prompt's completions on its answer: share = |winning class| / G.

    No answer is no class: it never wins and is never rewarded, but counts in the share's denominator. A tie goes to
    the class whose representative answer is the shortest, then to the one seen first.

    With weights the share is the weight of the winning class over all weight, and classes tie if their weights differ
    by no more than rounding (1e-9 of all weight). A completion of weight 0 does not vote, yet is rewarded if it is in
    the winning class; if all answers have weight 0 there is no winner.

    Args:
        completions (`list[str]` or `list[list[dict]]` of length G):
            All completions of one prompt, without the prompt; plain or conversational.
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            `"math"`, `"number"`, `"choice"`, `"text"` or `(extract, equal)`; see [`~serl_trl.extract_answer`].
        weights (`Sequence[float]` of length G, *optional*):
            Weight of each completion's vote, finite and not negative. Without them all count alike.

    Returns:
        [`Vote`]: labels, winner, answer, share and rewards.

    Raises:
        `ValueError`: if `answer_type` is unknown, or the weights are negative, not finite or not one a completion.
        `TypeError`: if a completion is neither a string nor a list of messages.

    Source: SeRL, arXiv 2505.20347, self-rewarding by majority vote. The official code verifies prompt and response
    together, lets unparsable answers win, and rewards what equals a pivot; here only the response is read.

    Example:

    >>> vote = majority_vote([r"\boxed{0.5}", "The answer is 1/2.", r"\boxed{2}", "I do not know"])
    >>> vote.answer, vote.share, vote.rewards
    ('0.5', 0.5, [1.0, 1.0, 0.0, 0.0])
    >>> majority_vote([r"\boxed{1}", r"\boxed{1}", r"\boxed{2}"], weights=[0.25, 0.25, 1.5]).answer
    '2'
    """
    checked = None if weights is None else _check_weights(weights, len(completions))
    found = [find_answer(completion_text(completion), answer_type) for completion in completions]
    answers, forms = [answer for answer, _ in found], [form for _, form in found]
    undecided: Counter[str] = Counter()
    labels = answer_classes(answers, answer_type, undecided)
    shares = _class_shares(labels, checked)
    representatives = [
        min((a for a, other in zip(answers, labels, strict=True) if a is not None and other == label), key=len)
        for label in range(len(shares))
    ]  # min keeps the first of equals
    winner = min(_largest(shares), key=lambda label: len(representatives[label]), default=None)
    return Vote(
        labels,
        winner,
        answer=None if winner is None else representatives[winner],
        share=0.0 if winner is None else shares[winner],
        rewards=[float(winner is not None and label == winner) for label in labels],
        forms=forms,
        undecided=dict(undecided),
        weights=checked,
    )
