r"""Final answers: find the one that a response gives, tell whether two are equal, and sort many into classes.

The last complete `\boxed{...}` is the answer. Without one, it is what follows the last "the answer is", "Answer:" or
`####`, then what a last sentence "Therefore, ... is ..." ends in, then the whole response if that is nothing but a
value. A number somewhere in the reasoning is never an answer, so a response that was cut off has none.
"""

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

from .latex import EXACT, MAX_ANSWER_CHARS, canonical_form, is_equal_form, last_box, rational


_BRACES = re.compile(r"\\f?boxed\s*\{|\\.|[{}]", re.DOTALL)
_LEAD = re.compile(
    r"(?:####|\banswers?\b(?:[^\n.:=]{0,80}?(?:\b(?:is|are|be|equals)\b|[:=])|\**[ \t]*\n))[\s*:]*", re.IGNORECASE
)
# A conclusion without the word "answer": the last sentence, complete, that ends in the value.
_CONCLUSION = re.compile(
    r"(?:^|[.\n]\s*)(?:Therefore|Thus|Hence|Finally|In conclusion)\b[^\n]*?(?:\b(?:is|are|equals)\b|=)\s*"
    r"(\$[^$\n]+\$|\\\([^\n]+?\\\)|\*\*[^*\n]+\*\*|[^\s=]+)\s*\.?\s*$"
)
_DISPLAY = re.compile(
    r"\s*(?:\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$([^$\n]+)\$(?=[\s.]*$|\s+(?!and\b|or\b)[a-z]))", re.DOTALL
)
_SENTENCE_END = re.compile(
    r"\n|[.!?](?=\s|$)|[,;]\s+(?!and\b|or\b)(?=[A-Za-z]{2})|\s+(?:because|since|as|which|where|when|if|so)\b"
    r"|\s+and\s+(?:she|he|it|they|we|the|this|there)\b|I hope"
)
_FILLER = re.compile(
    r"(?:(?:therefore|thus|then|approximately|about|simply|just|equal to|indeed|the (?:number|value))\b[\s,:]*)+",
    re.IGNORECASE,
)
_NOT_AN_ANSWER = re.compile(
    r"(?:not|that|to|found|obtained|given|in|an?(?=\s+[a-z])|we|by|what|correct|wrong|incorrect|the|unclear)\b"
)
_PLACEHOLDER = re.compile(
    r"\W*(?:(?:the|your|my|final)?\s*(?:final\s*)?answer(?:\s*here)?|\\[lcd]?dots)?\W*", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:\s*/\s*\d+(?![\d.]))?")
_CHOICE = re.compile(r"\(([A-J])\)|(?<![A-Za-z\\])(?:[B-HJ](?![A-Za-z'])|[AI](?![A-Za-z']|\s+[a-z]))")


def _last_box(text: str) -> str | None:
    r"""Content of the last `\boxed{...}` whose braces balance; one pass with a stack, linear on any input."""
    opened: list[int | None] = []  # start of the content for a box, None for another brace
    last: tuple[int, int] | None = None
    for token in _BRACES.finditer(text):
        if "boxed" in token[0]:
            opened.append(token.end())
        elif token[0] == "{":
            opened.append(None)
        elif token[0] == "}" and opened:
            start = opened.pop()
            if start is not None and (last is None or start > last[0]):
                last = (start, token.start())
    return None if last is None else text[slice(*last)]


def _is_complete(text: str) -> bool:
    """Whether every brace that `text` opens is closed: a response that was cut off leaves one open."""
    return "\\boxed" not in text and text.count("{") == text.count("}")


def _statement(rest: str) -> str | None:
    """The answer that follows "the answer is", or None if what follows is not one."""
    rest = rest[:MAX_ANSWER_CHARS]
    if display := _DISPLAY.match(rest):
        return next(group for group in display.groups() if group is not None)
    rest = _FILLER.sub("", _SENTENCE_END.split(rest, maxsplit=1)[0].strip(" *"), count=1)
    if display := _DISPLAY.match(rest):
        return next(group for group in display.groups() if group is not None)
    is_prose = bool(_NOT_AN_ANSWER.match(rest)) or len(re.findall(r"(?<!\\)\b[A-Za-z]{2,}", rest)) > 6
    return None if is_prose or not _is_complete(rest) else rest


def _stated(text: str) -> str | None:
    """The last answer that `text` states in words, or None."""
    for lead in reversed(list(_LEAD.finditer(text))):
        if (answer := _statement(text[lead.end() :])) and not _PLACEHOLDER.fullmatch(answer):
            return answer
    conclusion = _CONCLUSION.search(text[-MAX_ANSWER_CHARS:].rstrip())
    return conclusion[1] if conclusion and _is_complete(conclusion[1]) else None


def _lone(text: str) -> str | None:
    """The whole response, if it is a single short line: a terse model says nothing but the answer."""
    line = text.strip()
    return line if len(line) <= 100 and "\n" not in line and _is_complete(line) else None


def _tidy(answer: str | None) -> str | None:
    """`answer` without the mark-up around it, or None if nothing is left (an empty box, a placeholder)."""
    if answer is None:
        return None
    answer = answer.strip(" \t\r\n*")
    if math := re.fullmatch(r"\$+([^$]+)\$+\.?|\\[(\[](.+)\\[)\]]\.?", answer, re.DOTALL):
        answer = (math[1] or math[2]).strip()
    answer = re.sub(r"(?:(?<!\\right)[.,;\s])+$", "", answer)
    return None if _PLACEHOLDER.fullmatch(answer) else answer


def _final(text: str) -> str | None:
    """The answer that `text` marks as final, by a box or in words."""
    found = last_box(text)
    if found is None:
        found = _stated(text)
    return None if found is None else _tidy(found)


def _extract_text(text: str) -> str | None:
    return _final(text) or _tidy(_lone(text))


def _extract_math(text: str) -> str | None:
    if answer := _final(text):
        return answer
    answer = _tidy(_lone(text))
    if answer is None:
        return None
    form = canonical_form(answer)
    # A sum, one that was cut off, or a word is a value only if it is said to be the answer.
    is_value = EXACT.fullmatch(form) or not re.search(r"=|[-+*/^\\]$|(?<![\\A-Za-z])[A-Za-z]{2}", form)
    return answer if is_value else None


def _extract_number(text: str) -> str | None:
    if answer := _final(text):
        return _number(answer)
    answer = _tidy(_lone(text))
    return None if answer is None or rational(canonical_form(answer)) is None else _number(answer)


def _number(answer: str) -> str | None:
    """The number in `answer`, behind the last equals sign if there is one."""
    if rational(answer) is not None:
        return answer
    match = _NUMBER.search(answer.rpartition("=")[2].replace(",\\!", ","))
    number = match[0].replace(",", "") if match else None
    value = rational(canonical_form(answer))
    # The digits as written, unless they are only a part of the number, as in 1.5\times10^3.
    return number if value is None or (number is not None and rational(number) == value) else str(value)


def _extract_choice(text: str) -> str | None:
    found = last_box(text)
    if found is None:
        found = _stated(text)
    if found is not None:
        letter = _CHOICE.search(re.sub(r"\\[A-Za-z]+", "", found))
        return letter[0].strip("()") if letter else None
    last = text.strip().rpartition("\n")[2].strip(" *.()$")
    return last if re.fullmatch("[A-J]", last) else None


def _canonical_number(answer: str) -> str:
    number = _number(answer)
    return canonical_form(answer if number is None else number)


def _canonical_choice(answer: str) -> str:
    letter = _CHOICE.search(re.sub(r"\\[A-Za-z]+", "", answer).upper())
    return letter[0].strip("()") if letter else _canonical_text(answer)


def _canonical_text(answer: str) -> str:
    answer = re.sub(r"\\(?:text|mbox|textrm|textbf|mathrm)\{([^{}]*)\}", r"\1", answer)
    return " ".join(answer.casefold().split()).strip(" .,;:!?*$\"'")


def _is_same(a: str, b: str) -> bool:
    return a == b


class _AnswerType(NamedTuple):
    extract: Callable[[str], str | None]
    canonical: Callable[[str], str]
    is_equal: Callable[[str, str], bool]  # of two canonical forms; symmetric


ANSWER_TYPES = {
    "math": _AnswerType(_extract_math, canonical_form, is_equal_form),
    "number": _AnswerType(_extract_number, _canonical_number, _is_same),
    "choice": _AnswerType(_extract_choice, _canonical_choice, _is_same),
    "text": _AnswerType(_extract_text, _canonical_text, _is_same),
}


def check_answer_type(answer_type: str) -> None:
    """Raise a `ValueError` unless `answer_type` is one of [`ANSWER_TYPES`]."""
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"answer_type is {answer_type!r}, but must be one of {', '.join(map(repr, ANSWER_TYPES))}.")


def extract_answer(text: str, answer_type: str = "math") -> str | None:
    r"""Final answer that a response gives, or `None` if it gives none.

    Args:
        text (`str`):
            The response alone, without its prompt.
        answer_type (`str`, *optional*, defaults to `"math"`):
            `"math"` (an expression, in LaTeX or plain), `"number"` (a rational number), `"choice"` (a letter from A to
            J) or `"text"` (anything).

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
    check_answer_type(answer_type)
    return ANSWER_TYPES[answer_type].extract(text)


def is_equivalent(a: str | None, b: str | None, answer_type: str = "math") -> bool:
    r"""Whether two final answers mean the same: reflexive on strings, symmetric, bounded in time.

    Not transitive where Math-Verify has to decide, since that rounds; use [`answer_classes`] to sort more than two
    answers. What a spelling may drop is listed in [`~serl_trl.latex.canonical_form`].

    Args:
        a (`str` or `None`):
            A final answer, as [`extract_answer`] returns it. `None`, no answer, equals nothing.
        b (`str` or `None`):
            Another.
        answer_type (`str`, *optional*, defaults to `"math"`):
            As in [`extract_answer`]. Numbers are compared exactly, choices and text without case.

    Returns:
        `bool`: whether they are equal. An undecided comparison (too long, too deep, out of time) counts as unequal.

    Raises:
        `ValueError`: if `answer_type` is unknown.

    Example:

    >>> is_equivalent(r"\frac{1}{2}", "0.5"), is_equivalent("(x+1)^2", "x^2+2x+1"), is_equivalent("1/3", "0.333")
    (True, True, False)
    """
    check_answer_type(answer_type)
    if a is None or b is None:
        return False
    _, canonical, is_equal = ANSWER_TYPES[answer_type]
    return is_equal(canonical(a), canonical(b))


def answer_classes(answers: Sequence[str | None], answer_type: str = "math") -> list[int | None]:
    r"""Class of each answer, where equal answers share a class.

    The classes are the connected components of [`is_equivalent`]: a partition, whatever the order of the answers, even
    where that relation is not transitive. Distinct canonical forms are compared, each pair at most once, and not at
    all if both are known to be in one class.

    Args:
        answers (`Sequence[str | None]` of length G):
            Final answers; `None` for a response without one.
        answer_type (`str`, *optional*, defaults to `"math"`):
            As in [`extract_answer`].

    Returns:
        `list[int | None]` of length G: ids 0, 1, ... in the order of first appearance; `None` for no answer.

    Raises:
        `ValueError`: if `answer_type` is unknown.

    Source: the official code takes all answers equal to a pivot instead, which depends on the pivot.

    Example:

    >>> answer_classes(["0.5", "2", None, r"\frac12", "x = 2"])
    [0, 1, None, 0, 1]
    """
    check_answer_type(answer_type)
    _, canonical, is_equal = ANSWER_TYPES[answer_type]
    forms = [None if answer is None else canonical(answer) for answer in answers]
    class_of = {form: {form} for form in forms if form is not None}  # forms of one class share one set
    for a, b in combinations(sorted(class_of), 2):
        if class_of[a] is not class_of[b] and is_equal(a, b):
            class_of[a] |= class_of[b]
            class_of.update(dict.fromkeys(class_of[b], class_of[a]))
    ids: dict[int, int] = {}
    return [None if form is None else ids.setdefault(id(class_of[form]), len(ids)) for form in forms]
