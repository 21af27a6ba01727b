r"""Final answers: find the one that a response gives, tell whether two are equal, and sort many into classes.

`find_answer.py` finds answers, `normalize.py` and `compare.py` compare mathematical ones; here are the answer types.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

from .blanks import says_nothing
from .compare import EQUAL, TIME_LIMIT_S, UNEQUAL, Comparison, Deadline, compare_forms
from .find_answer import Found, find_math, find_number, find_text, number_in
from .multiple_choice import choice_in, find_choice
from .normalize import MAX_ANSWER_CHARS, canonical_form


class AnswerKind(NamedTuple):
    """What an answer type consists of: how an answer is found, and how two are compared."""

    find: Callable[[str], Found]
    canonical: Callable[[str], str]
    compare: Callable[[str, str, Deadline], Comparison]  # of two canonical forms, until a deadline; symmetric


AnswerType: TypeAlias = str | tuple[Callable[[str], str | None], Callable[[str, str], bool]]


def _canonical_number(answer: str) -> str:
    number = number_in(answer)
    return canonical_form(answer if number is None else number)


def _canonical_choice(answer: str) -> str:
    return choice_in(answer) or _canonical_text(answer)


_WRAPPER = re.compile(r"\\(?:text[a-z]*|mbox|math[a-z]+|emph|boxed|fbox)\s?\{([^{}]*)\}")  # \text{Paris}
_LATEX_SPACE = re.compile(r"\\[ ,;!]|~|\\q?quad")
_ARTICLE = re.compile(r"^(?:an?|the)\s+(?=\S)")


def _canonical_text(answer: str) -> str:
    if len(answer) > MAX_ANSWER_CHARS:  # Unicode normalisation takes time quadratic in marks that combine
        return " ".join(answer.casefold().split())
    for _ in range(2):  # \boxed{\text{Paris}}
        answer = _WRAPPER.sub(r"\1", answer)
    answer = _LATEX_SPACE.sub(" ", answer)
    answer = unicodedata.normalize("NFKC", answer).replace("\u2019", "'")
    words = " ".join(answer.casefold().split()).strip(
        " .,;:!?*_`$\"'\u2018\u201a\u201c\u201d\u201e\u00ab\u00bb()[]\u3002\u3001"
    )
    return _ARTICLE.sub("", words)


def _same(a: str, b: str, deadline: Deadline) -> Comparison:
    return EQUAL if a == b else UNEQUAL


ANSWER_TYPES = {
    "math": AnswerKind(find_math, canonical_form, compare_forms),
    "number": AnswerKind(find_number, _canonical_number, compare_forms),
    "choice": AnswerKind(find_choice, _canonical_choice, _same),
    "text": AnswerKind(find_text, _canonical_text, _same),
}


def answer_kind(answer_type: AnswerType) -> AnswerKind:
    """The [`AnswerKind`] of a named type, or of a pair of functions; raises a `ValueError` for anything else."""
    if isinstance(answer_type, tuple) and len(answer_type) == 2 and all(map(callable, answer_type)):
        return _kind_of_pair(*answer_type)
    if not isinstance(answer_type, str) or answer_type not in ANSWER_TYPES:
        raise ValueError(
            f"answer_type is {answer_type!r}, but must be one of {', '.join(map(repr, ANSWER_TYPES))}, or a pair of "
            "functions (extract, equal)."
        )
    return ANSWER_TYPES[answer_type]


def _kind_of_pair(extract: Callable[[str], str | None], equal: Callable[[str, str], bool]) -> AnswerKind:
    """A user's own type: `equal` is asked in both orders, so that equality is symmetric whatever it does."""

    def find(text: str) -> Found:
        answer = extract(text)
        return Found(answer, "extracted" if answer is not None else "unmarked")

    def compare(a: str, b: str, deadline: Deadline) -> Comparison:
        if a == b:
            return EQUAL
        if deadline.left_s < 0:
            return Comparison(False, "out_of_time")
        return Comparison(bool(equal(a, b) or equal(b, a)))

    return AnswerKind(find, str, compare)


def find_answer(text: str, answer_type: AnswerType = "math") -> Found:
    r"""Final answer that a response gives and the form in which it gives it, or the reason why there is none.

    Args, Raises: as [`extract_answer`].

    Returns:
        [`~serl_trl.answers.find_answer.Found`]: answer and form.

    Example:

    >>> find_answer(r"So it is \boxed{5}."), find_answer("I do not know.")
    (Found(answer='5', form='box'), Found(answer=None, form='unmarked'))
    """
    return answer_kind(answer_type).find(text)


def _is_blank(answer: str | None, answer_type: AnswerType) -> bool:
    """Whether an answer of a named type says nothing; what a user's own functions call an answer is one."""
    return answer is not None and isinstance(answer_type, str) and says_nothing(answer)


def extract_answer(text: str, answer_type: AnswerType = "math") -> str | None:
    r"""Final answer that a response gives, or `None` if it gives none.

    Args:
        text (`str`):
            The response alone, without its prompt.
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            `"math"` (an expression, in LaTeX or plain), `"number"` (a rational number), `"choice"` (a letter from A to
            J), `"text"` (anything), or your own `(extract, equal)`: `extract(text) -> str | None` and
            `equal(a, b) -> bool`.

    Returns:
        `str` or `None`: the answer as written, without the mark-up around it.

    Raises:
        `ValueError`: if `answer_type` is unknown.

    Example:

    >>> extract_answer(r"So the height is $\sqrt{12} = \boxed{2\sqrt{3}}$.")
    '2\\sqrt{3}'
    >>> extract_answer("3 bags hold 12 apples, so 5 bags") is None
    True
    """
    return find_answer(text, answer_type).answer


def is_equivalent(a: str | None, b: str | None, answer_type: AnswerType = "math") -> bool:
    r"""Whether two final answers mean the same: reflexive on all that says something, symmetric, bounded in time.

    Mark-up without content (`\boxed{}`, "[answer]"; see [`~serl_trl.answers.blanks.says_nothing`]) is no answer and equals nothing.
    Not transitive where a decimal stands for what it is the rounding of (six places or more, or four that repeat a
    digit), or where Math-Verify has to decide, since that rounds; use [`answer_classes`] to sort more than two answers.
    What a spelling may drop is listed in [`~serl_trl.answers.normalize.canonical_form`].

    Args:
        a (`str` or `None`):
            A final answer, as [`extract_answer`] returns it. `None`, no answer, equals nothing.
        b (`str` or `None`):
            Another.
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            As in [`extract_answer`]. Choices and text are compared without case, text without articles.

    Returns:
        `bool`: whether they are equal. An undecided comparison (too long, too deep, out of time) counts as unequal.

    Raises:
        `ValueError`: if `answer_type` is unknown.

    Example:

    >>> is_equivalent(r"\frac{1}{2}", "0.5"), is_equivalent("(x+1)^2", "x^2+2x+1"), is_equivalent("1/3", "0.333")
    (True, True, False)
    """
    kind = answer_kind(answer_type)
    if a is None or b is None or _is_blank(a, answer_type) or _is_blank(b, answer_type):
        return False
    return kind.compare(kind.canonical(a), kind.canonical(b), Deadline(2 * TIME_LIMIT_S)).is_equal


def answer_classes(
    answers: Sequence[str | None], answer_type: AnswerType = "math", undecided: Counter[str] | None = None
) -> list[int | None]:
    r"""Class of each answer, where equal answers share a class.

    The classes are the connected components of [`is_equivalent`]: a partition, whatever the order of the answers, even
    where that relation is not transitive. Distinct canonical forms are compared, each pair at most once, and not at
    all if both are known to be in one class. All comparisons together take `TIME_LIMIT_S` an answer at most; what is
    left then counts as unequal.

    Args:
        answers (`Sequence[str | None]` of length G):
            Final answers; `None` for a response without one.
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            As in [`extract_answer`].
        undecided (`Counter[str]`, *optional*):
            Receives the number of comparisons that could not be decided, by reason.

    Returns:
        `list[int | None]` of length G: ids 0, 1, ... in the order of first appearance; `None` for no answer.

    Raises:
        `ValueError`: if `answer_type` is unknown.

    Source: the official code takes all answers equal to a pivot instead, which depends on the pivot.

    Example:

    >>> answer_classes(["0.5", "2", None, r"\frac12", "x = 2"])
    [0, 1, None, 0, 1]
    """
    kind = answer_kind(answer_type)
    deadline = Deadline(TIME_LIMIT_S * len(answers))
    forms = [
        None if answer is None or _is_blank(answer, answer_type) else kind.canonical(answer) for answer in answers
    ]
    class_of = {form: {form} for form in forms if form is not None}  # forms of one class share one set
    for a, b in combinations(sorted(class_of), 2):
        if class_of[a] is class_of[b]:
            continue
        comparison = kind.compare(a, b, deadline)
        if comparison.is_equal:
            class_of[a] |= class_of[b]
            class_of.update(dict.fromkeys(class_of[b], class_of[a]))
        elif comparison.undecided and undecided is not None:
            undecided[comparison.undecided] += 1
    ids: dict[int, int] = {}
    return [None if form is None else ids.setdefault(id(class_of[form]), len(ids)) for form in forms]
