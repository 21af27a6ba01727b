r"""Values of simple expressions at fixed points, in floats: what tells most expressions apart at once.

Two expressions that differ at a point by more than rounding are different. Two that agree may be equal: `precise.py`
decides, since floats cannot tell 2^{100}-1 from 2^{100}. Roots and logarithms of what is negative at a point have no
value there, unless the expression has an i: letters are real, so that \sqrt{xy} and \sqrt{x}\sqrt{y} are the same.

Why there are floats beside exact values: two forms that differ are told apart in 1.0 ms instead of 2.4 (mean of 1,194
pairs in the manner of MATH), and a vote on 16 such answers takes 15 ms instead of 19. Of 4,333 random pairs that floats
tell apart, exact values leave 62 to SymPy, whose worker has up to 2 s for each.
"""

import cmath
import math
from collections.abc import Callable
from functools import lru_cache

from .grammar import Node, Tree, tree
from .points import value


MAX_CACHED = 4096
MAX_MAGNITUDE = 1e60  # of any value on the way; beyond it, floats say little
MARGIN = 1e-4  # relative; what differs by more is different: not by rounding, of a decimal in the text or of a float
MAX_LOSS = 1e-9  # by which sums may be smaller than their terms; less is rounding, not a value
MAX_ARGUMENT = 100  # of a function
MAX_FACTORIAL = 40

_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "cot": lambda x: 1 / math.tan(x),
    "sec": lambda x: 1 / math.cos(x),
    "csc": lambda x: 1 / math.sin(x),
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "exp": math.exp,
    "ln": math.log,
    "log": math.log10,
    "lg": math.log10,
}


class NoValue(Exception):  # noqa: N818
    """The expression has no value at this point, or none that can be trusted."""


class _Floats:
    """Evaluates one expression at one point; `loss` is the share of its digits that is left."""

    def __init__(self, expression: Tree, point: dict[str, complex]) -> None:
        self.point = point
        self.has_i = "i" in expression.kinds
        self.is_real = bool(expression.letters) and not self.has_i
        self.loss = 1.0

    def value(self, node: Node) -> complex:
        result: complex = getattr(self, "_" + node.kind, self._function)(node)
        if not abs(result) < MAX_MAGNITUDE:
            raise NoValue
        return result

    def lose(self, share: float) -> None:
        """Counts the digits that are lost when this share of a value is left; a factor of ten is no loss."""
        self.loss *= min(1.0, 10 * share)
        if self.loss < MAX_LOSS:
            raise NoValue

    def _num(self, node: Node) -> complex:
        return complex(node.args[0])

    def _letter(self, node: Node) -> complex:
        return self.point[node.args[0]]

    def _pi(self, node: Node) -> complex:
        return complex(cmath.pi)

    def _e(self, node: Node) -> complex:
        return complex(cmath.e)

    def _i(self, node: Node) -> complex:
        return 1j

    def _neg(self, node: Node) -> complex:
        return -self.value(node.args[0])

    def _add(self, node: Node) -> complex:
        a, b = (self.value(arg) for arg in node.args)
        large = max(abs(a), abs(b))
        self.lose(abs(a + b) / large if large else 1.0)
        return a + b

    def _mul(self, node: Node) -> complex:
        return self.value(node.args[0]) * self.value(node.args[1])

    def _div(self, node: Node) -> complex:
        top, bottom = (self.value(arg) for arg in node.args)
        if bottom == 0:
            raise NoValue
        return top / bottom

    def _pow(self, node: Node) -> complex:
        base, exponent = (self.value(arg) for arg in node.args)
        if base == 0 or abs(exponent) > 1000:
            raise NoValue
        is_whole = not exponent.imag and exponent.real == int(exponent.real)
        base = base if is_whole else self.radicand(base, node)
        return cmath.exp(exponent * cmath.log(base)) if exponent.imag else base**exponent

    def _root(self, node: Node) -> complex:
        radicand, index = (self.value(arg) for arg in node.args)
        if index.imag or not 2 <= index.real <= 100 or index.real != int(index.real):
            raise NoValue
        if index == 2:
            return self.radicand(radicand, node) ** 0.5
        if radicand.imag or radicand.real < 0:
            if self.has_i or not index.real % 2 or abs(radicand.imag) > 0:
                raise NoValue  # the real root or the principal one?
            return complex(-((-radicand.real) ** (1 / index.real)))
        return complex(radicand.real ** (1 / index.real))

    def radicand(self, base: complex, node: Node) -> complex:
        """A base whose root is taken; a negative one, which floats may put below the cut, is put above: -4-0j."""
        if base.real < 0 and abs(base.imag) < 1e-9 * abs(base.real):
            if self.is_real and not node.args[0].is_constant:
                raise NoValue
            return complex(base.real, 0.0)
        return base

    def _natural(self, node: Node) -> int:
        number = self.value(node)
        if number.imag or number.real != int(number.real) or not 0 <= number.real <= MAX_FACTORIAL:
            raise NoValue
        return int(number.real)

    def _factorial(self, node: Node) -> complex:
        return complex(math.factorial(self._natural(node.args[0])))

    def _binomial(self, node: Node) -> complex:
        return complex(math.comb(self._natural(node.args[0]), self._natural(node.args[1])))

    def _real(self, node: Node) -> float:
        number = self.value(node)
        if number.imag:
            raise NoValue
        return number.real

    def _abs(self, node: Node) -> complex:
        return complex(abs(self.value(node.args[0])))

    def _floor(self, node: Node) -> complex:
        number = self._real(node.args[0])
        if abs(number - round(number)) < 1e-6 * max(1.0, abs(number)):
            raise NoValue  # which side of the step?
        return complex(math.floor(number))

    def _ceil(self, node: Node) -> complex:
        return self._floor(node) + 1

    def _function(self, node: Node) -> complex:
        arguments = [self._real(arg) for arg in node.args]
        if max(map(abs, arguments)) > MAX_ARGUMENT:
            raise NoValue
        result = _FUNCTIONS[node.kind](arguments[0])
        if len(arguments) == 2:
            result /= math.log10(arguments[1])
        self.lose(abs(result) or 1.0)  # the sine of \pi is not quite 0, its cotangent not infinite
        self.lose(1 / (abs(result) or 1.0))
        return complex(result)


@lru_cache(maxsize=MAX_CACHED)
def _at(letter: str, kind: str, number: int) -> complex:
    return complex(value(letter, kind, number))


def _value_at(expression: Tree, kind: str, number: int) -> complex | None:
    floats = _Floats(expression, {letter: _at(letter, kind, number) for letter in expression.letters})
    try:
        return floats.value(expression.root)
    except (NoValue, ArithmeticError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=MAX_CACHED)
def fingerprint(form: str, kind: str = "plain") -> tuple[complex | None, ...] | None:
    r"""
    The values of a canonical form at fixed points; all the same if it has no unknown.

    Args:
        form (`str`): A canonical form (`normalize.canonical_form`).
        kind (`str`, *optional*, defaults to `"plain"`): Which points: `"plain"` or `"integer"` ([`points.value`]).

    Returns:
        `tuple` or `None`: the value at each of three points, None where there is none; None if there is no value at
        all, or the form is not in the grammar.

    Example:

    >>> fingerprint(r"\sqrt{16}"), fingerprint("x+1") is None, fingerprint("x<5")
    (((4+0j), (4+0j), (4+0j)), False, None)
    """
    expression = tree(form)
    if expression is None:
        return None
    num_points = 3 if expression.letters else 1
    values = tuple(_value_at(expression, kind, number) for number in range(num_points)) * (3 // num_points)
    return None if values == (None,) * 3 else values
