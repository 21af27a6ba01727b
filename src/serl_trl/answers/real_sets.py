r"""Sets of real numbers as answers write them: intervals, unions, inequalities, all reals but some.

They are brought into one shape, intervals from left to right that do not touch, so that `x\le 3 and x>-1` is `(-1,3]`.
"""

import re
from collections.abc import Callable
from itertools import groupby, pairwise
from typing import NamedTuple

from .expressions import compare_expressions
from .normalize import parts, set_parts, tuple_parts
from .numeric_check import fingerprint


INFINITY = {r"\infty": float("inf"), r"+\infty": float("inf"), r"-\infty": float("-inf")}
ROUNDING = 1e-9  # relative, within which floats do not say which of two ends comes first

_RELATION = re.compile(r"<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?:q)?(?![A-Za-z])")
_WITHOUT = re.compile(r"(.*)(?:\\setminus|\\backslash|-)\\\{(.*)\\\}")
_VARIABLE = re.compile(r"[A-Za-z]|\\(?!infty|pi)[a-z]+")


class Interval(NamedTuple):
    """An interval with the forms of its ends, and whether they belong to it."""

    low: str
    has_low: bool
    high: str
    has_high: bool


class RealSet(NamedTuple):
    """Intervals from left to right, and the unknown that an inequality is about."""

    intervals: tuple[Interval, ...]
    variable: str | None


def looks_like_a_set(form: str) -> bool:
    """Whether a form can be nothing but a set of real numbers: (1,2) may be a point, (1,2] is none."""
    if any(mark in form for mark in (r"\cup", r"\setminus", r"\backslash")) or _RELATION.search(form):
        return True
    ends = tuple_parts(form)
    if ends is not None:
        return len(ends) == 2 and (form[0] + form[-1] in ("(]", "[)") or not INFINITY.keys().isdisjoint(ends))
    items = parts(form)
    return len(items) > 1 and all(tuple_parts(item) for item in items) and any(map(looks_like_a_set, items))


def real_set(form: str) -> RealSet | None:
    r"""
    The set that a canonical form denotes, or None.

    Args:
        form (`str`): A canonical form (`normalize.canonical_form`).

    Example:

    >>> real_set(r"x\le3,x>-1").intervals, real_set(r"[1,2)\cup[2,\infty)").intervals, real_set("x+1")
    ((Interval(low='-1', has_low=False, high='3', has_high=True),), (Interval(low='1', has_low=True, high='\\infty', has_high=False),), None)
    """
    items = parts(form)
    if _RELATION.search(form):
        return _of_inequalities(items)
    if without := _WITHOUT.fullmatch(form):
        whole = real_set(without[1])
        points = parts(without[2])
        return _without(points, None) if whole is not None and whole.intervals == (_ALL,) else None
    pieces = [piece for item in items for piece in item.split(r"\cup")]
    intervals: list[Interval] = []
    for piece in pieces:
        members = set_parts(piece)
        found = [_interval(piece)] if members is None else [Interval(x, True, x, True) for x in members]
        intervals += [interval for interval in found if interval is not None]
        if None in found:
            return None
    return _joined(intervals, None)


_ALL = Interval(r"-\infty", False, r"\infty", False)


def _interval(form: str) -> Interval | None:
    ends = tuple_parts(form)
    if ends is None or len(ends) != 2:
        return None
    low, high = ends
    return Interval(low, form[0] == "[" and low not in INFINITY, high, form[-1] == "]" and high not in INFINITY)


def _of_inequalities(items: list[str]) -> RealSet | None:
    """One chain a<x<b; or several for one unknown: two rays that meet are what they have in common, others a union."""
    found = [_of_inequality(item) for item in items]
    names = {each[0] for each in found if each is not None}
    if None in found or len(names) != 1:
        return None
    name = names.pop()
    excluded = [each[1] for each in found if each is not None and isinstance(each[1], list)]
    if len(excluded) == len(items):  # x\ne1,x\ne2
        return _without([point for points in excluded for point in points], name)
    intervals = [each[1] for each in found if each is not None and isinstance(each[1], Interval)]
    if len(intervals) != len(items):
        return None
    if len(intervals) == 2:
        left, right = sorted(intervals, key=lambda each: each.high == r"\infty")
        if left.low == r"-\infty" and right.high == r"\infty" and _is_before(right.low, left.high):
            intervals = [Interval(right.low, right.has_low, left.high, left.has_high)]
    return _joined(intervals, name)


def _of_inequality(form: str) -> tuple[str, Interval | list[str]] | None:
    """The unknown of x<5, 5>x or 1<x<5 and its interval; of x\\neq5 what it is not."""
    signs = _RELATION.findall(form)
    sides = [side.strip() for side in _RELATION.split(form)]
    if any("=" in side or not side for side in sides) or not 1 <= len(signs) <= 2:
        return None
    if signs[0] in (">", r"\ge"):
        sides, signs = sides[::-1], [{">": "<", r"\ge": r"\le"}.get(sign, sign) for sign in signs[::-1]]
    at = 1 if len(sides) == 3 else 0 if _VARIABLE.fullmatch(sides[0]) else 1
    name = sides[at]
    others = sides[:at] + sides[at + 1 :]
    if not _VARIABLE.fullmatch(name) or any(name in re.findall(_VARIABLE, other) for other in others):
        return None
    if signs[0].startswith(r"\ne"):
        return (name, others) if len(signs) == 1 else None
    if not set(signs) <= {"<", r"\le"}:
        return None
    closed = [sign == r"\le" for sign in signs]
    if len(sides) == 3:
        low, high = others
        return name, Interval(low, closed[0] and low not in INFINITY, high, closed[1] and high not in INFINITY)
    if at == 0:
        return name, Interval(r"-\infty", False, others[0], closed[0])
    return name, Interval(others[0], closed[0], r"\infty", False)


def _position(end: str) -> float | None:
    """Where an end is on the line; None for an end with an unknown in it."""
    if end in INFINITY:
        return INFINITY[end]
    values = fingerprint(end)
    if values is None or len(set(values)) != 1 or values[0] is None or values[0].imag:
        return None
    return values[0].real


def _is_before(a: str, b: str) -> bool:
    """Whether one end is left of another; not if they are the same, or if floats do not tell."""
    x, y = _position(a), _position(b)
    return x is not None and y is not None and x < y and not _is_there(a, b)


def _is_there(a: str, b: str) -> bool:
    """Whether two ends are at the same place."""
    x, y = _position(a), _position(b)
    if a == b or x is None or y is None or x in INFINITY.values() or y in INFINITY.values():
        return a == b or (x is not None and x == y)
    return abs(x - y) <= ROUNDING * max(abs(x), abs(y)) and compare_expressions(a, b).is_same is not False


def _joined(intervals: list[Interval], variable: str | None) -> RealSet | None:
    """The union of intervals, those that touch made one; None if one is empty, or if their order is not known."""
    if len(intervals) == 1 and (_position(intervals[0].low) is None or _position(intervals[0].high) is None):
        return RealSet(tuple(intervals), variable)
    ordered: list[tuple[float, bool, Interval]] = []
    for interval in intervals:
        low, high = _position(interval.low), _position(interval.high)
        if low is None or high is None or low > high:
            return None
        ordered.append((low, not interval.has_low, interval))
    joined: list[Interval] = []
    for _, _, interval in sorted(ordered, key=lambda each: each[:2]):
        last = joined[-1] if joined else None
        touches = last is not None and (
            _is_before(interval.low, last.high)
            or (_is_there(interval.low, last.high) and (interval.has_low or last.has_high))
        )
        if last is None or not touches:
            joined.append(interval)
        elif _is_there(last.high, interval.high):
            joined[-1] = last._replace(has_high=last.has_high or interval.has_high)
        elif _is_before(last.high, interval.high):
            joined[-1] = last._replace(high=interval.high, has_high=interval.has_high)
    return RealSet(tuple(joined), variable)


def _without(points: list[str], variable: str | None) -> RealSet | None:
    """All real numbers but some."""
    positions = [_position(point) for point in points]
    if len(points) > 1 and None in positions:
        return None
    ordered = [point for _, point in sorted(zip([p or 0.0 for p in positions], points, strict=True))]
    ends = [r"-\infty", *(key for key, _ in groupby(ordered)), r"\infty"]
    pieces = [Interval(low, False, high, False) for low, high in pairwise(ends)]
    return RealSet(tuple(pieces), variable)


def compare_sets(a: str, b: str, compare: Callable[[list[str], list[str]], bool]) -> bool | None:
    r"""
    Whether two forms denote the same set of real numbers; None if that cannot be told by their shape.

    Args:
        a, b (`str`): Canonical forms, of which one at least looks like a set ([`looks_like_a_set`]).
        compare (`Callable`): Whether the ends of the one, in order, equal those of the other.

    Example:

    >>> compare_sets("x<5", r"(-\infty,5)", lambda a, b: a == b), compare_sets("x<5", "5", lambda a, b: a == b)
    (True, False)
    """
    first, second = real_set(a), real_set(b)
    if first is None or second is None:
        read = [form for form, found in ((a, first), (b, second)) if found is not None]
        others = [form for form in (a, b) if form not in read]
        return False if read and not any(map(looks_like_a_set, others)) else None
    if first.variable and second.variable and first.variable != second.variable:
        return False
    ours, theirs = first.intervals, second.intervals
    if [(i.has_low, i.has_high) for i in ours] != [(i.has_low, i.has_high) for i in theirs]:
        return False
    return compare([end for i in ours for end in (i.low, i.high)], [end for i in theirs for end in (i.low, i.high)])
