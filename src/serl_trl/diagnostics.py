"""What votes look like, and how far the extraction of answers can be trusted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .answers import ANSWER_TYPES, AnswerType, find_answer
from .voting import Completion, Vote, completion_text, majority_vote


NO_ANSWER_REASONS = ("empty", "cut_off", "unmarked", "wrong_type")


def vote_metrics(votes: Sequence[Vote]) -> dict[str, float]:
    """
    What a training step logs of its votes.

    Args:
        votes (`Sequence[Vote]`): The votes of all groups of the step, at least one.

    Returns:
        `dict[str, float]`: Means over groups of the share, the number of different answers and of ties; the share of
        completions without an answer, in all and by reason; the number of comparisons that could not be decided.

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
    metrics = {
        "share_mean": sum(vote.share for vote in votes) / len(votes),
        "num_answers_mean": sum(vote.num_classes for vote in votes) / len(votes),
        "frac_tied": sum(vote.is_tie for vote in votes) / len(votes),
        "frac_no_answer": labels.count(None) / len(labels),
        **{f"frac_no_answer_{reason}": forms[reason] / len(labels) for reason in NO_ANSWER_REASONS},
        "num_undecided": float(undecided.total()),
        **{f"num_undecided_{reason}": float(count) for reason, count in undecided.items()},
    }
    return {f"serl/vote/{name}": value for name, value in metrics.items()}


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
