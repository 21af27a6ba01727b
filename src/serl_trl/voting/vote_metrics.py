"""What votes look like, how they agree with the truth, and how far the extraction of answers can be trusted."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..answers import ANSWER_TYPES, AnswerType, answer_kind, find_answer
from ..types import Completion, completion_text
from .majority_vote import Vote, majority_vote


NO_ANSWER_REASONS = ("empty", "cut_off", "unmarked", "wrong_type")
NUM_SHARE_BINS = 5  # of equal width; the paper's band, 0.2 to 0.8, is the three in the middle


def vote_metrics(votes: Sequence[Vote], answer_type: AnswerType = "math") -> dict[str, float]:
    """
    What a training step logs of its votes.

    Args:
        votes (`Sequence[Vote]`): The votes of all groups of the step, at least one.
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`): The type of their answers.

    Returns:
        `dict[str, float]`: Means over groups of the share, the number of different answers and of ties; the share of
        groups in each fifth of the vote share, of which only the last holds its upper end; the share of groups won by
        the most common answer of the step, in whatever spelling; the share of completions without an answer, in all
        and by reason; the number of comparisons that could not be decided.

    Example:

    ```python
    >>> metrics = vote_metrics([majority_vote([r"\\boxed{2}", "The answer is 2.", r"\\boxed{3", "Hm."])])
    >>> metrics["serl/vote/share_mean"], metrics["serl/vote/frac_no_answer_cut_off"]
    (0.5, 0.25)

    ```
    """
    labels = [label for vote in votes for label in vote.labels]
    forms = Counter(form for vote in votes for form in vote.forms)
    undecided = sum((Counter(vote.undecided) for vote in votes), Counter())
    # Winners of different prompts are compared by canonical form: a collapsed policy repeats one answer to the letter.
    canonical = answer_kind(answer_type).canonical
    winners = Counter(canonical(vote.answer) for vote in votes if vote.answer is not None)
    metrics = {
        "share_mean": sum(vote.share for vote in votes) / len(votes),
        **{f"frac_share_{name}": share for name, share in share_bins([vote.share for vote in votes]).items()},
        "frac_top_answer": max(winners.values(), default=0) / len(votes),
        "num_answers_mean": sum(vote.num_classes for vote in votes) / len(votes),
        "frac_tied": sum(vote.is_tie for vote in votes) / len(votes),
        "frac_no_answer": labels.count(None) / len(labels),
        **{f"frac_no_answer_{reason}": forms[reason] / len(labels) for reason in NO_ANSWER_REASONS},
        "num_undecided": float(undecided.total()),
        **{f"num_undecided_{reason}": float(count) for reason, count in undecided.items()},
    }
    return {f"serl/vote/{name}": value for name, value in metrics.items()}


def share_bins(shares: Sequence[float] = ()) -> dict[str, float]:
    """
    Share of groups in each fifth of the vote share, of which only the last holds its upper end.

    Example:

    ```python
    >>> share_bins([0.2, 0.3, 1.0, 1.0])
    {'0.0_to_0.2': 0.0, '0.2_to_0.4': 0.5, '0.4_to_0.6': 0.0, '0.6_to_0.8': 0.0, '0.8_to_1.0': 0.5}

    ```
    """
    places = Counter(min(int(share * NUM_SHARE_BINS + 1e-6), NUM_SHARE_BINS - 1) for share in shares)
    ends = [f"{end / NUM_SHARE_BINS:.1f}" for end in range(NUM_SHARE_BINS + 1)]
    return {f"{ends[i]}_to_{ends[i + 1]}": places[i] / max(len(shares), 1) for i in range(NUM_SHARE_BINS)}


class RewardAlignment(NamedTuple):
    """How two rewards of the same completions agree."""

    cosine: float
    accuracy: float
    num_compared: int


def reward_alignment(rewards: Sequence[float | None], truth: Sequence[float | None]) -> RewardAlignment:
    r"""
    Agreement of a reward with the truth, over the completions that have both.

    \\( \cos(r, t) = \sum_i r_i t_i / \sqrt{\sum_i r_i^2 \sum_i t_i^2} \\)

    Args:
        rewards (`Sequence[float | None]` of length N): A reward, such as that of a vote or a judge, from 0 to 1.
        truth (`Sequence[float | None]` of length N): The true reward. `None` and `nan`, in either, is no reward.

    Returns:
        [`RewardAlignment`]: The cosine, `nan` if either is 0 throughout; the share of completions on which both lie on
        the same side of one half, `nan` if there are none; and how many were compared.

    Raises:
        ValueError: If the lengths differ.

    Source: SeRL paper (arXiv 2505.20347), figure 3, which compares rewards by vote and by model with those by rule.

    Example:

    ```python
    >>> reward_alignment([1.0, 1.0, 0.0, None], [1.0, 0.0, 0.0, 1.0])
    RewardAlignment(cosine=0.707..., accuracy=0.666..., num_compared=3)

    ```
    """
    if len(rewards) != len(truth):
        raise ValueError(f"There are {len(rewards)} rewards and {len(truth)} true ones; pass two for each completion.")
    pairs = [
        (reward, true)
        for reward, true in zip(rewards, truth, strict=True)
        if reward is not None and true is not None and not math.isnan(reward) and not math.isnan(true)
    ]
    norm = math.sqrt(math.fsum(r * r for r, _ in pairs) * math.fsum(t * t for _, t in pairs))
    return RewardAlignment(
        cosine=math.fsum(r * t for r, t in pairs) / norm if norm else math.nan,
        accuracy=sum((r > 0.5) == (t > 0.5) for r, t in pairs) / len(pairs) if pairs else math.nan,
        num_compared=len(pairs),
    )


@dataclass(frozen=True)
class ExtractionReport:
    """
    What is extracted from P groups of completions, N in all, and what another answer type would make of the votes.

    Args:
        num_completions (`int`): N.
        frac_answered (`dict[str, float]`): The share of completions with an answer under each named answer type.
        forms (`dict[str, int]`): Completions by the form of their answer, or by the reason why there is none.
        failures (`list[tuple[str, str]]`): Reason and text of each completion without an answer.
        undecided (`dict[str, int]`): Comparisons that could not be decided, by reason.
        votes (`list[Vote]` of length P): The votes.
        other_votes (`list[Vote]` of length P or 0): The votes under the other answer type, if one was given.
    """

    num_completions: int
    frac_answered: dict[str, float]
    forms: dict[str, int]
    failures: list[tuple[str, str]]
    undecided: dict[str, int]
    votes: list[Vote]
    other_votes: list[Vote]

    @property
    def changed(self) -> list[int]:
        """The groups in which the other answer type rewards other completions."""
        pairs = zip(self.votes, self.other_votes, strict=False)
        return [i for i, (vote, other) in enumerate(pairs) if vote.rewards != other.rewards]

    @property
    def frac_rewards_changed(self) -> float:
        """The share of completions whose reward the other answer type changes."""
        rewards = [reward for vote in self.votes for reward in vote.rewards]
        others = [reward for vote in self.other_votes for reward in vote.rewards]
        return sum(a != b for a, b in zip(rewards, others, strict=False)) / max(len(others), 1)


def extraction_report(
    groups: Sequence[Sequence[Completion]], answer_type: AnswerType = "math", other_type: AnswerType | None = None
) -> ExtractionReport:
    """
    Looks at the completions of a run, without any label, for answers that are missed.

    Args:
        groups (`Sequence[Sequence[Completion]]`): P groups; each holds all completions of one prompt.
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            As in [`~serl_trl.extract_answer`].
        other_type (`str` or pair of functions, *optional*): Another one, to see what would change.

    Returns:
        [`ExtractionReport`]

    Raises:
        ValueError: If there is no completion, or no such answer type.

    Example:

    ```python
    >>> report = extraction_report([[r"\\boxed{2}", "The answer is 2.", "So it is"]], other_type="text")
    >>> report.forms, report.failures, report.changed
    ({'box': 1, 'statement': 1, 'unmarked': 1}, [('unmarked', 'So it is')], [])

    ```
    """
    texts = [completion_text(completion) for group in groups for completion in group]
    if not texts:
        raise ValueError("There are no completions to look at.")
    votes = [majority_vote(group, answer_type) for group in groups]
    found = [find_answer(text, answer_type) for text in texts]
    return ExtractionReport(
        num_completions=len(texts),
        frac_answered={
            name: sum(find_answer(text, name).answer is not None for text in texts) / len(texts)
            for name in ANSWER_TYPES
        },
        forms=dict(Counter(form for _, form in found).most_common()),
        failures=[(form, text) for (answer, form), text in zip(found, texts, strict=True) if answer is None],
        undecided=dict(sum((Counter(vote.undecided) for vote in votes), Counter())),
        votes=votes,
        other_votes=[majority_vote(group, other_type) for group in groups] if other_type is not None else [],
    )
