"""Equality of two canonical forms: by parts, by value, and for the rest by SymPy, in a worker that can be killed."""

import multiprocessing
import re
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import chain
from math import prod
from typing import Any, NamedTuple

from .expressions import compare_expressions, compare_relations
from .grammar import tree
from .killable_worker import BoundedWorker, Outcome
from .normalize import DECIMAL_COMMA, MAX_ANSWER_CHARS, MAX_CACHED, NAME, parts, rational, tuple_parts
from .precise import as_fraction
from .real_sets import compare_sets
from .shapes import Shape, shape


TIME_LIMIT_S = 2.0  # for one parse or comparison in the worker
MAX_SYMBOLIC_CHARS = 300  # longer answers are compared as strings only
MAX_EXPONENT = {"number": 3000, "symbol": 200, "bracket": 30}  # of the base; 2^{2024} is an ordinary answer
MIN_ROUNDED_PLACES = 6  # a decimal with as many stands for all numbers that round to it (as many as in Math-Verify)
MIN_REPEATED_PLACES = 4  # the same for one that repeats a digit: nobody doubts what 2.6667 stands for
MAX_PARTS = 20  # of a list; longer ones are compared as strings only
MAX_PERIOD_BITS = 4000  # of a denominator in which a period is looked for
RELATIVE_TOLERANCE = Fraction(1, 10**40)  # between two values of the same number, which SymPy evaluates to 50 digits


class Comparison(NamedTuple):
    """Whether two answers are equal, and the reason if that could not be decided (they then count as unequal).

    The reasons: `"too_long"`, `"untame"` (it would grow beyond reason), `"unparsable"`, `"out_of_time"`,
    `"out_of_memory"`, `"crashed"`, `"error"`.
    """

    is_equal: bool
    undecided: str | None = None


EQUAL, UNEQUAL = Comparison(True), Comparison(False)


# Tameness ----------------------------------------------------------------------------------------------------------

_UNTAME = re.compile(
    r"\d{41}"
    r"|(?<!_)\d \d"  # not a numeral, although Math-Verify joins the two
    r"|(?:[^\d]|\d{3})!|!!"  # only 0! to 99!
    r"|binom.*\d{4}"
    r"|\^(?:\w|\{[^{}]*\})\s*\^"  # a tower
)
_POWER = re.compile(r"(.?)\s*\^\s*(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|-?\w+|\\[A-Za-z]+(?!\s*[A-Za-z{]))")


def _is_tame(form: str) -> bool:
    """Whether `form` may be handed to SymPy: nothing in it can grow beyond reason in one uninterruptible step."""
    if len(form) > MAX_SYMBOLIC_CHARS or _UNTAME.search(form):
        return False
    powers = _POWER.findall(form)
    if len(powers) != form.count("^"):  # an exponent within an exponent, or one too deep to read
        return False
    growth = 1  # the power of a bracket multiplies the exponents within
    for base, exponent in powers:
        size = prod(int(number) or 1 for number in re.findall(r"\d+", exponent))  # 9^{9 \cdot 9 \cdot 9}
        kind = "number" if base.isdigit() else "bracket" if base in {")", "]", "}"} else "symbol"
        growth *= size if kind == "bracket" else 1
        if "!" in exponent or size > MAX_EXPONENT[kind]:
            return False
    counts = ((r"\^", 30), (r"\)\s*\(", 5), (r"\\pm|\\mp", 3), (r"\\sqrt", 6), (r"[{(]", 60))
    return growth <= MAX_EXPONENT["bracket"] and all(
        len(re.findall(pattern, form)) <= limit for pattern, limit in counts
    )


# In the worker: these import SymPy, which this process never does ---------------------------------------------------


def _prepare_algebra() -> None:
    """Imports SymPy, and uses once what is slow when it is used first, lest that count against an answer."""
    from . import sympy_check as symbolic

    for form in (r"\frac{\sqrt{2}}{3}", r"\{1,2\}", "x<5"):
        symbolic.number(form)
    symbolic.is_equal("[0,1)", r"(-\infty,2)\cup(3,\infty)")


def _number(form: str) -> tuple[Fraction, Fraction] | None:
    from . import sympy_check as symbolic

    return symbolic.number(form)


def _is_equal(a: str, b: str) -> bool | None:
    from . import sympy_check as symbolic

    return symbolic.is_equal(a, b)


_ALGEBRA = BoundedWorker(_prepare_algebra)


def start_algebra() -> None:
    """Has the worker started while something else goes on, so that the first answer that needs it need not wait.

    Not in a child process of Python's own, such as a loader of data: those that vote start theirs when they need it.
    """
    if multiprocessing.parent_process() is None:
        _ALGEBRA.start()


# Time --------------------------------------------------------------------------------------------------------------


class Deadline:
    """When all comparisons of one call must be done. The start of a worker, in which none is done, moves it.

    Args:
        limit_s (`float`): Seconds from now.
    """

    def __init__(self, limit_s: float):
        self._end_s = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """Seconds that are left; negative when it has passed."""
        return self._end_s - time.monotonic()

    def wait_for(self, worker: BoundedWorker) -> None:
        """Has the worker started if there is none, and moves by as long as that takes."""
        if worker.is_running:
            return
        start_s = time.monotonic()
        worker.call(abs, 0, time_limit_s=TIME_LIMIT_S)
        self._end_s += time.monotonic() - start_s


_KNOWN: dict[tuple[Any, ...], Outcome] = {}  # by function and forms


def _asked(function: Callable[..., Any], *forms: str, deadline: Deadline) -> Outcome:
    """What the worker says, now or before. Not remembered is what the next worker, or one with more time, may know."""
    key = (function, *forms)
    if key not in _KNOWN:
        deadline.wait_for(_ALGEBRA)
        limit_s = min(TIME_LIMIT_S, deadline.left_s)
        if limit_s <= 0:
            return Outcome(reason="out_of_time")
        outcome = _ALGEBRA.call(function, *forms, time_limit_s=limit_s)
        if outcome.reason == "crashed" or (outcome.reason == "out_of_time" and limit_s < TIME_LIMIT_S):
            return outcome
        if len(_KNOWN) >= MAX_CACHED:
            _KNOWN.clear()
        _KNOWN[key] = outcome
    return _KNOWN[key]


# Comparison --------------------------------------------------------------------------------------------------------


def _split_denominator(value: Fraction) -> tuple[int, int]:
    """How many digits stand behind the point before any period, and the part of the denominator that makes a period."""
    exponents, denominator = [0, 0], value.denominator
    for i, factor in enumerate((2, 5)):
        while denominator % factor == 0:
            denominator //= factor
            exponents[i] += 1
    return max(exponents), denominator


def _repeats(digits: int, value: Fraction) -> bool:
    """Whether digits end in the one digit that a value repeats for ever, the last rounded: 23333, 6667."""
    if value.denominator.bit_length() > MAX_PERIOD_BITS or _split_denominator(value)[1] not in (3, 9):
        return False
    last = str(abs(digits)).zfill(MIN_REPEATED_PLACES)[-MIN_REPEATED_PLACES:]
    return len(set(last[:-1])) == 1 and int(last[-1]) - int(last[0]) in (0, 1)


def _is_rounding(decimal: Fraction, value: Fraction) -> bool:
    """Whether a decimal is what a number comes to when it is rounded, or cut off, behind as many places."""
    places, period = _split_denominator(decimal)
    if period != 1 or places < MIN_REPEATED_PLACES:
        return False
    digits, exact = int(decimal * 10**places), value * 10**places
    if abs(digits - exact) > Fraction(1, 2) and digits != int(exact):
        return False
    is_long = places >= MIN_ROUNDED_PLACES and abs(decimal.numerator) >= 10 ** (MIN_ROUNDED_PLACES - 1)
    return is_long or _repeats(digits, value)


def _is_same_rational(a: Fraction, b: Fraction) -> bool:
    return a == b or _is_rounding(a, b) or _is_rounding(b, a)


def _is_rounded(written: Sequence[Fraction | None], values: Sequence[Fraction | None]) -> bool:
    """Whether one of two numbers is written as a decimal that the value of the other rounds to."""
    pairs = zip(written, reversed(values), strict=True)
    return any(x is not None and y is not None and _is_rounding(x, y) for x, y in pairs)


def _is_same_value(
    a: tuple[Fraction, Fraction], b: tuple[Fraction, Fraction], written: Sequence[Fraction | None]
) -> bool:
    """Whether two values of SymPy's, real and imaginary parts, are one number up to rounding."""
    distance, size = (max(abs(x) for x in pair) for pair in ((a[0] - b[0], a[1] - b[1]), (*a, *b)))
    if distance <= RELATIVE_TOLERANCE * size:
        return True
    return not (a[1] or b[1]) and _is_rounded(written, (a[0], b[0]))


def _is_decimal_comma(form: str, other: str) -> bool:
    """Whether `form` is a pair like 1,5 that `other` shows to be a decimal."""
    value = rational(other)
    return bool(DECIMAL_COMMA.fullmatch(form)) and value is not None and value == rational(form.replace(",", "."))


def _all_equal(alternatives: Sequence[Sequence[Comparison]]) -> Comparison:
    """Equal if one of each row is; else undecided if any is."""
    if all(any(comparison.is_equal for comparison in row) for row in alternatives):
        return EQUAL
    return Comparison(False, next((c.undecided for row in alternatives for c in row if c.undecided), None))


def _compare_in_order(ours: Sequence[str], theirs: Sequence[str], deadline: Deadline) -> Comparison:
    if len(ours) != len(theirs):
        return UNEQUAL
    return _all_equal([[compare_forms(a, b, deadline)] for a, b in zip(ours, theirs, strict=True)])


def _compare_as_sets(
    ours: Sequence[str], theirs: Sequence[str], deadline: Deadline, *, is_counted: bool = False
) -> Comparison:
    """Equal if each item of either has an equal one in the other; counted, one of its own: 1,1,2 is not 1,2,2."""
    table = [[compare_forms(a, b, deadline) for b in theirs] for a in ours]
    verdict = _all_equal([*table, *zip(*table, strict=True)])
    return UNEQUAL if verdict.is_equal and is_counted and not _can_be_paired(table) else verdict


def _can_be_paired(table: Sequence[Sequence[Comparison]]) -> bool:
    """Whether each row can be given a column of its own that equals it."""
    free = list(range(len(table[0])))
    for row in table:
        column = next((column for column in free if row[column].is_equal), None)
        if column is None:
            return False
        free.remove(column)
    return not free


def compare_forms(a: str, b: str, deadline: Deadline | None = None) -> Comparison:
    """
    Compares two canonical forms; symmetric, and never an exception.

    Args:
        a, b (`str`): Canonical forms (`normalize.canonical_form`).
        deadline ([`Deadline`], *optional*): Unless given, `TIME_LIMIT_S` for either form from now.

    Example:

    >>> compare_forms("1/3", "3333333/10000000"), compare_forms("1/3", "333/1000")
    (Comparison(is_equal=True, undecided=None), Comparison(is_equal=False, undecided=None))
    """
    if a == b:
        return EQUAL
    if max(len(a), len(b)) > MAX_ANSWER_CHARS:
        return Comparison(False, "too_long")
    deadline = deadline or Deadline(2 * TIME_LIMIT_S)
    a, b = sorted((a, b))  # one verdict for both orders
    x, y = rational(a), rational(b)
    if x is not None and y is not None:
        return Comparison(_is_same_rational(x, y))
    if deadline.left_s < 0:
        return Comparison(False, "out_of_time")
    first, second = shape(a), shape(b)
    if first.rows or second.rows or first.is_real_set or second.is_real_set:
        structural = _compare_structures(a, b, deadline)
        if structural is not None:
            return structural
    if _is_decimal_comma(a, b) or _is_decimal_comma(b, a):
        return EQUAL
    if max(first.size, second.size) > MAX_PARTS:
        return Comparison(False, "too_long")
    listed = _compare_lists(first, second, deadline)
    if listed is not None:
        return listed
    if first.ordered and second.ordered:
        is_alike = (a[0], a[-1]) == (b[0], b[-1])
        return _compare_in_order(first.ordered, second.ordered, deadline) if is_alike else UNEQUAL
    if first.is_equation != second.is_equation:
        return _compare_with_equation(a, b, deadline)
    if (first.is_exact and second.is_exact) or first.is_text or second.is_text:
        return UNEQUAL
    if any(one.is_collection and tree(other) for one, other in ((first, b), (second, a))):
        return UNEQUAL
    ours, theirs = parts(a, ":"), parts(b, ":")  # a colon in brackets, or where brackets do not match, divides nothing
    if len(ours) > 1 or len(theirs) > 1:
        return _compare_in_order(ours, theirs, deadline)
    return _compare_by_algebra(a, b, deadline)


def _compare_lists(first: Shape, second: Shape, deadline: Deadline) -> Comparison | None:
    """Lists, sets in braces, several unknowns, and a tuple that stands for one of these; None for anything else."""
    if (first.named and (second.named or second.ordered)) or (second.named and first.ordered):
        return _compare_in_order(first.ordered or first.items, second.ordered or second.items, deadline)
    if first.members or second.members:
        is_tuple = first.ordered or second.ordered
        ours, theirs = first.members or first.items, second.members or second.items
        return UNEQUAL if is_tuple else _compare_as_sets(ours, theirs, deadline)
    if len(first.items) > 1 and len(second.items) > 1:
        are_tuples = tuple_parts(first.items[0]) and tuple_parts(second.items[0])
        if not are_tuples and len(first.items) != len(second.items):
            return UNEQUAL  # tuples are a set of solutions, but 1,1,2 is not 1,2
        if r"\dots" in first.items or r"\dots" in second.items:
            return _compare_in_order(first.items, second.items, deadline)
        return _compare_as_sets(first.items, second.items, deadline, is_counted=not are_tuples)
    if (first.ordered and len(second.items) > 1) or (second.ordered and len(first.items) > 1):
        # A list is sorted: it equals the tuple that is.
        return _compare_in_order(first.ordered or first.items, second.ordered or second.items, deadline)
    return None


def _compare_structures(a: str, b: str, deadline: Deadline) -> Comparison | None:
    """Matrices and sets of real numbers, entry by entry and end by end; None for what is neither, or not readable."""
    rows, others = shape(a).rows, shape(b).rows
    if rows and others:
        if [len(row) for row in rows] != [len(row) for row in others]:
            return UNEQUAL
        return _compare_in_order(list(chain(*rows)), list(chain(*others)), deadline)
    if (rows and r"\begin" not in b) or (others and r"\begin" not in a):
        return UNEQUAL
    if rows or others:
        return None
    undecided: list[str | None] = []

    def are_equal(ours: list[str], theirs: list[str]) -> bool:
        comparison = _compare_in_order(ours, theirs, deadline)
        undecided.append(comparison.undecided)
        return comparison.is_equal

    verdict = compare_sets(a, b, are_equal)
    return None if verdict is None else Comparison(verdict, None if verdict or not undecided else undecided[0])


def _compare_with_equation(a: str, b: str, deadline: Deadline) -> Comparison:
    """An equation and an expression: equal if the equation gives the expression a name, as y=2x+3 does."""
    equation, other = (a, b) if "=" in a else (b, a)
    value = re.sub(rf"^{NAME}=", "", equation)
    return UNEQUAL if "=" in value else compare_forms(value, other, deadline)


def _compare_by_algebra(a: str, b: str, deadline: Deadline) -> Comparison:
    if max(len(a), len(b)) > MAX_SYMBOLIC_CHARS:
        return Comparison(False, "too_long")
    are_relations = all(re.search(r"[=<>]|\\[lg]e(?![A-Za-z])", form) for form in (a, b))
    verdict = (compare_relations if are_relations else compare_expressions)(a, b)
    written = rational(a), rational(b)
    if verdict.is_same is not None:
        numbers = [as_fraction(number) for number in verdict.numbers or ()]
        return EQUAL if verdict.is_same or (numbers and _is_rounded(written, numbers)) else UNEQUAL
    if not (_is_tame(a) and _is_tame(b)):
        return Comparison(False, "untame")
    values = [_value(form, deadline) for form in (a, b)]
    if reason := next((value.reason for value in values if value.reason), None):
        return Comparison(False, reason)
    x, y = (outcome.value for outcome in values)
    if x is not None and y is not None:
        return Comparison(_is_same_value(x, y, written))
    answer = _asked(_is_equal, a, b, deadline=deadline)
    return Comparison(bool(answer.value), answer.reason or ("unparsable" if answer.value is None else None))


def _value(form: str, deadline: Deadline) -> Outcome:
    """The number that a form denotes, by SymPy unless it is written as a rational; None if it denotes none."""
    written = rational(form)
    if written is not None:
        return Outcome(value=(written, Fraction(0)))
    return _asked(_number, form, deadline=deadline)
