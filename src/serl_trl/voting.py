"""Majority vote: the answer that most completions of one prompt agree on becomes its label."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answers import AnswerType, answer_classes, find_answer


Completion = str | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Vote:
    """Outcome of a majority vote over the G completions of one prompt.

    Args:
        labels (`list[int | None]` of length G):
            Class id per completion, `None` where no answer could be extracted. Ids count up from 0 as classes appear.
        winner (`int` or `None`):
            Class id of the winner, `None` if no completion has an answer.
        answer (`str` or `None`):
            The winner's representative: the shortest answer of the class, of these the first.
        share (`float`):
            Completions in the winning class / all completions; 0.0 when there is no winner.
        rewards (`list[float]` of length G):
            1.0 for each completion in the winning class, else 0.0.
        forms (`list[str]` of length G, *optional*):
            How each completion gives its answer, or why it has none; see [`~serl_trl.extraction.Found`].
        undecided (`dict[str, int]`, *optional*):
            Comparisons that could not be decided and counted as unequal, by reason; see
            [`~serl_trl.equality.Comparison`].
    """

    labels: list[int | None]
    winner: int | None
    answer: str | None
    share: float
    rewards: list[float]
    forms: list[str] = field(default_factory=list, repr=False)
    undecided: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def num_classes(self) -> int:
        """Number of different answers."""
        return len(set(self.labels) - {None})

    @property
    def is_tie(self) -> bool:
        """Whether another class is as large as the winning one."""
        sizes = Counter(label for label in self.labels if label is not None)
        return sum(size == sizes[self.winner] for size in sizes.values()) > 1 if self.winner is not None else False


def completion_text(completion: Completion) -> str:
    """Text of a completion as TRL passes it: a string, or messages, of which the last of the assistant counts.

    Args:
        completion (`str` or `list[dict]`):
            Plain text, or messages with `role` and `content`: a string, `None`, or a list of content blocks.

    Returns:
        `str`: the text; empty if the assistant said nothing.

    Raises:
        `TypeError`: if the completion is neither a string nor a list of messages.

    Example:

    >>> completion_text([{"role": "assistant", "content": "It is 4."}])
    'It is 4.'
    """
    if isinstance(completion, str):
        return completion
    messages = [m for m in completion if isinstance(m, Mapping)] if isinstance(completion, Sequence) else None
    if messages is None or len(messages) != len(completion):
        raise TypeError(f"a completion is {completion!r}, but must be a string or a list of messages.")
    said = [message.get("content") for message in messages if message.get("role", "assistant") == "assistant"]
    content = said[-1] if said else None
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(block.get("text") or "" for block in content if block.get("type", "text") == "text")


def majority_vote(completions: Sequence[Completion], answer_type: AnswerType = "math") -> Vote:
    r"""Vote of one prompt's completions on its answer: share = |winning class| / G.

    No answer is no class: it never wins and is never rewarded, but counts in the share's denominator. A tie goes to
    the class whose representative answer is the shortest, then to the one seen first.

    Args:
        completions (`list[str]` or `list[list[dict]]` of length G):
            All completions of one prompt, without the prompt; plain or conversational.
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            `"math"`, `"number"`, `"choice"`, `"text"` or `(extract, equal)`; see [`~serl_trl.extract_answer`].

    Returns:
        [`Vote`]: labels, winner, answer, share and rewards.

    Raises:
        `ValueError`: if `answer_type` is unknown.
        `TypeError`: if a completion is neither a string nor a list of messages.

    Source: SeRL, arXiv 2505.20347, self-rewarding by majority vote. The official code verifies prompt and response
    together, lets unparsable answers win, and rewards what equals a pivot; here only the response is read.

    Example:

    >>> vote = majority_vote([r"\boxed{0.5}", "The answer is 1/2.", r"\boxed{2}", "I do not know"])
    >>> vote.answer, vote.share, vote.rewards
    ('0.5', 0.5, [1.0, 1.0, 0.0, 0.0])
    """
    found = [find_answer(completion_text(completion), answer_type) for completion in completions]
    answers, forms = [answer for answer, _ in found], [form for _, form in found]
    undecided: Counter[str] = Counter()
    labels = answer_classes(answers, answer_type, undecided)
    sizes = Counter(label for label in labels if label is not None)
    if not sizes:
        return Vote(labels, None, None, 0.0, [0.0] * len(labels), forms)
    # min and max keep the first of equals, and Counter keeps the order of appearance.
    shortest = {
        label: min((a for a, other in zip(answers, labels, strict=True) if a is not None and other == label), key=len)
        for label in sizes
    }
    winner = max(sizes, key=lambda label: (sizes[label], -len(shortest[label])))
    rewards = [float(label == winner) for label in labels]
    return Vote(labels, winner, shortest[winner], sizes[winner] / len(labels), rewards, forms, dict(undecided))
