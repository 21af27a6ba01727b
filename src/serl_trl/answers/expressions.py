r"""Whether two expressions, equations or inequalities denote the same, without SymPy and without a worker.

Floats tell most of them apart; what they cannot, exact rationals and many digits decide (`precise.py`). Letters are real,
within a factorial or a binomial natural: two expressions are the same if they are wherever both have a value.
"""

import re
from itertools import chain
from typing import NamedTuple

from .grammar import Node, Tree, nodes, tree
from .numeric_check import MARGIN, fingerprint
from .points import MAX_GRID_NUMBER, kinds_of_points
from .precise import Number, Pair, agree, are_proportional, pairs


MIN_COMMON = 2  # points at which both expressions must have a value
_FUNCTION_OF = re.compile(r"(?<![A-Za-z\\])[A-Za-z]\(")  # f(x)=2x: a product, or a function with a name?
_RELATION = re.compile(r"=|<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])")


class Verdict(NamedTuple):
    """Whether two forms are the same, None if that is not known; and their values, if they are numbers."""

    is_same: bool | None
    numbers: tuple[Number, Number] | None = None


UNKNOWN = Verdict(None)


def _residual(form: str) -> tuple[str, str] | None:
    r"""A relation as `left-(right)` and the kind of relation, `x>y` as `y<x`; None if there is none, or several."""
    found = _RELATION.findall(form)
    if len(found) != 1 or _FUNCTION_OF.search(form):
        return None
    left, _, right = form.partition(found[0])
    if found[0] in (">", r"\ge"):
        left, right = right, left
    return f"{left}-({right})", {">": "<", r"\ge": r"\le"}.get(found[0], found[0])


def _is_grid_too_coarse(expression: Tree) -> bool:
    """Whether a floor or a bar may turn where no point of the grid is: for large numbers, and what is not linear."""
    found = list(nodes(expression.root))
    bars = [node for node in found if node.kind == "abs" and not node.is_constant]
    numbers = [node.args[0] for node in found if node.kind == "num"]
    return (
        any(max(number.numerator, number.denominator) > MAX_GRID_NUMBER for number in numbers)
        or len(bars) > 1
        or any(not _is_linear(node) for bar in bars for node in nodes(bar.args[0]))
    )


def _is_linear(node: Node) -> bool:
    """Whether an operation keeps linear expressions linear."""
    return (
        node.is_constant or node.kind in ("letter", "add", "neg") or (node.kind == "mul" and node.args[0].is_constant)
    )


def _pairs(a: str, b: str) -> list[Pair] | None:
    """The values of two expressions where both have one; None if that is too little to tell."""
    first, second = tree(a), tree(b)
    if first is None or second is None:
        return None
    found = [pairs(a, b, kind) for kind in kinds_of_points((first, second))]
    known = [each for each in found if each is not None]
    both = list(chain(*known))
    return both if len(known) == len(found) and len(both) >= MIN_COMMON else None


def _are_different(a: str, b: str, is_relation: bool) -> bool:
    """Whether floats tell two expressions apart, or two residuals that may have a factor between them."""
    first, second = tree(a), tree(b)
    if first is None or second is None:
        return False
    kind = kinds_of_points((first, second))[0]
    if kind == "grid":
        return False
    ours, theirs = fingerprint(a, kind) or (), fingerprint(b, kind) or ()
    pairs = [(x, y) for x, y in zip(ours, theirs, strict=False) if x is not None and y is not None]
    if not is_relation:
        return any(abs(x - y) > MARGIN * max(abs(x), abs(y)) for x, y in pairs)
    if not pairs:
        return False
    u, v = pairs[0]
    return any(abs(x * v - y * u) > MARGIN * max(abs(x * v), abs(y * u)) for x, y in pairs[1:])


def compare_expressions(a: str, b: str) -> Verdict:
    """
    Whether two expressions denote the same.

    Args:
        a, b (`str`): Canonical forms (`normalize.canonical_form`).

    Returns:
        [`Verdict`]: not known if one is not in the grammar, or its numbers are too large.

    Example:

    >>> compare_expressions("(x+1)^2", "x^2+2x+1").is_same, compare_expressions("2^{100}", "2^{100}+1").is_same
    (True, False)
    """
    if _are_different(a, b, is_relation=False):
        return Verdict(False)
    found = _pairs(a, b)
    if found is None:
        return UNKNOWN
    if not all(map(agree, found)):
        first, second = tree(a), tree(b)
        is_number = first is not None and second is not None and not (first.letters or second.letters)
        return Verdict(False, found[0][:2] if is_number else None)
    expressions = [expression for expression in (tree(a), tree(b)) if expression is not None]
    if kinds_of_points(expressions)[0] == "grid" and any(map(_is_grid_too_coarse, expressions)):
        return UNKNOWN
    return Verdict(True)


def compare_relations(a: str, b: str) -> Verdict:
    r"""
    Whether two equations or inequalities denote the same: the differences of their sides are, up to a constant factor.

    Example:

    >>> compare_relations("y=2x", "2y-4x=0").is_same, compare_relations("x+y<1", "2>2y+2x").is_same
    (True, True)
    >>> compare_relations("x<y", "y<x").is_same, compare_relations(r"x<y", r"x\le y").is_same
    (False, False)
    """
    first, second = _residual(a), _residual(b)
    if first is None or second is None:
        return UNKNOWN
    (ours, kind), (theirs, other_kind) = first, second
    if tree(ours) is None or tree(theirs) is None:
        return UNKNOWN
    if kind != other_kind or _are_different(ours, theirs, is_relation=True):
        return Verdict(False)
    found = _pairs(ours, theirs)
    if found is None or not all(pair.ours != 0 and pair.theirs != 0 for pair in found):
        return UNKNOWN
    if not all(are_proportional(found[0], pair) for pair in found[1:]):
        return Verdict(False)
    is_turned = kind != "=" and _sign(found[0].ours) != _sign(found[0].theirs)
    return Verdict(not is_turned)


def _sign(x: Number) -> bool | None:
    return None if x.imag != 0 else bool(x.real > 0)


def is_same(a: str, b: str) -> bool | None:
    """
    Whether two canonical forms, expressions or relations, denote the same; None if their values do not tell.

    Example:

    >>> is_same("x^2+1", "x^2+2"), is_same("(x+1)^2", "x^2+2x+1"), is_same("y=2x", "2y-4x=0"), is_same("f(x)=2x", "g(x)=2x")
    (False, True, True, None)
    """
    are_relations = _RELATION.search(a) and _RELATION.search(b)
    return (compare_relations if are_relations else compare_expressions)(a, b).is_same
