r"""Whether two simple expressions denote the same, decided with exact rationals and, for roots and functions, many digits.

Integers and fractions are exact as far as they can be written down, up to `MAX_BITS`: 2^{100}-1 is not 2^{100}. Roots,
logarithms and the like are evaluated with so many digits that every term of every sum keeps 200 bits; what then still
agrees is equal. Whatever would need more room than that is not decided.
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from .grammar import Node, Tree, tree
from .points import NUM_POINTS, value


MAX_CACHED = 256
MAX_BITS = 120_000  # of an exact number, 36,000 digits
MAX_WORK_BITS = 10 * MAX_BITS  # of all numbers on the way at all points together: a few tenths of a second
MAX_PRECISION = 12_000  # bits, of a number that is not rational
FIRST_PRECISION = 400
KEPT_BITS = 200  # that a value has left when all that is lost in sums is taken off
AGREEMENT_BITS = 150  # to which equal values agree
FAR_BITS = 4000  # of the size of a number beyond all decimals that answers write
MAX_EXPONENT = 2**40  # of a power that is not exact
MIN_COMMON = 2  # points at which both expressions have a value

Number = Any  # a Fraction, or a real or complex number of mpmath


class NoValue(Exception):  # noqa: N818
    """The expression has no value at this point."""


class TooLarge(NoValue):
    """A number on the way does not fit."""


def _mpmath() -> Any:
    import mpmath  # here: only what floats cannot tell apart needs it

    return mpmath


class _Precise:
    """Evaluates one expression at one point; `lost` counts the bits that its sums need beyond those of the result."""

    def __init__(self, expression: Tree, point: dict[str, Fraction], precision: int, work: list[int]) -> None:
        self.point, self.precision, self.work = point, precision, work
        self.has_i = "i" in expression.kinds
        self.is_real = bool(expression.letters) and not self.has_i
        self.lost = 0
        self.is_exact = True  # so far: nothing but rationals

    def value(self, node: Node) -> Number:
        result = getattr(self, "_" + node.kind, self._function)(node)
        if isinstance(result, Fraction):
            self.count(result.numerator.bit_length() + result.denominator.bit_length())
            return result
        self.is_exact = False
        self.count(self.precision)
        return self.tidy(result)

    def count(self, num_bits: int) -> None:
        self.work[0] += num_bits
        if num_bits > 2 * MAX_BITS or self.work[0] > MAX_WORK_BITS:
            raise TooLarge

    def tidy(self, number: Number) -> Number:
        """A number without a real or an imaginary part that is mere rounding."""
        mp = _mpmath().mp
        if not mp.isfinite(number):
            raise NoValue
        if isinstance(number, mp.mpc):
            edge = mp.ldexp(1, -self.precision + 60)
            if abs(number.imag) <= edge * abs(number.real):
                return number.real
            if abs(number.real) <= edge * abs(number.imag):
                return mp.mpc(0, number.imag)
        return number

    def inexact(self, number: Number) -> Number:
        """A number in mpmath; a long one needs more digits than others."""
        if not isinstance(number, Fraction):
            return number
        self.lost += max(0, _num_digits(number.numerator) - 64, _num_digits(number.denominator) - 64)
        return in_mpmath(number)

    def _num(self, node: Node) -> Number:
        return node.args[0]

    def _letter(self, node: Node) -> Number:
        return self.point[node.args[0]]

    def _pi(self, node: Node) -> Number:
        return +_mpmath().mp.pi

    def _e(self, node: Node) -> Number:
        return +_mpmath().mp.e

    def _i(self, node: Node) -> Number:
        return _mpmath().mp.mpc(0, 1)

    def _neg(self, node: Node) -> Number:
        return -self.value(node.args[0])

    def _add(self, node: Node) -> Number:
        a, b = (self.value(arg) for arg in node.args)
        if a == 0 or b == 0:
            return b if a == 0 else a
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            total = a + b
            self.lost += abs(_size(a) - _size(b)) + (max(_size(a), _size(b)) - _size(total) if total else 0)
            return total
        a, b = self.inexact(a), self.inexact(b)
        mp = _mpmath().mp
        sizes = int(mp.mag(a)), int(mp.mag(b))
        total = a + b
        left = max(sizes) - int(mp.mag(total)) if total else self.precision
        self.lost += abs(sizes[0] - sizes[1])
        if left > self.precision - 100:
            return Fraction(0)  # nothing but rounding is left
        self.lost += max(0, left)
        return total

    def _mul(self, node: Node) -> Number:
        a, b = (self.value(arg) for arg in node.args)
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a * b
        return self.inexact(a) * self.inexact(b)

    def _div(self, node: Node) -> Number:
        a, b = (self.value(arg) for arg in node.args)
        if b == 0:
            raise NoValue
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            return a / b
        return self.inexact(a) / self.inexact(b)

    def _pow(self, node: Node) -> Number:
        base, exponent = (self.value(arg) for arg in node.args)
        if base == 0:
            raise NoValue
        if abs(exponent) > MAX_EXPONENT:
            raise TooLarge
        if isinstance(exponent, Fraction) and exponent.denominator == 1:
            power = exponent.numerator
            if isinstance(base, Fraction) and abs(power) * _num_digits_of(base) <= MAX_BITS:
                return base**power
            self.lost += abs(power).bit_length()
            return self.inexact(base) ** power
        if base.imag == 0 and base.real < 0 and self.is_real and not node.args[0].is_constant:
            raise NoValue
        result = self.inexact(base) ** self.inexact(exponent)
        self.lost += abs(int(_mpmath().mp.mag(result))).bit_length() if result else 0  # an error of the exponent grows
        return result

    def _root(self, node: Node) -> Number:
        radicand, index = (self.value(arg) for arg in node.args)
        if not isinstance(index, Fraction) or index.denominator != 1 or not 2 <= index <= 100:
            raise NoValue
        if radicand == 0:
            return radicand
        mp = _mpmath().mp
        if index > 2 and not (radicand.imag == 0 and radicand.real > 0):
            if self.has_i or index % 2 == 0 or radicand.imag != 0:
                raise NoValue  # the real root or the principal one?
            return -mp.root(-self.inexact(radicand), index.numerator)
        if radicand.imag == 0 and radicand.real < 0 and self.is_real and not node.args[0].is_constant:
            raise NoValue
        return mp.root(self.inexact(radicand), index.numerator)

    def _natural(self, node: Node) -> int:
        number = self.value(node)
        if not isinstance(number, Fraction) or number.denominator != 1 or number < 0:
            raise NoValue
        return number.numerator

    def _factorial(self, node: Node) -> Number:
        number = self._natural(node.args[0])
        if number * max(1, number.bit_length() - 1) > MAX_BITS:
            raise TooLarge
        return Fraction(math.factorial(number))

    def _binomial(self, node: Node) -> Number:
        top, bottom = (self._natural(arg) for arg in node.args)
        if min(bottom, abs(top - bottom)) * max(1, top.bit_length()) > MAX_BITS:
            raise TooLarge
        return Fraction(math.comb(top, bottom))

    def _abs(self, node: Node) -> Number:
        return abs(self.value(node.args[0]))

    def _floor(self, node: Node) -> Number:
        number = self.value(node.args[0])
        if isinstance(number, Fraction):
            return Fraction(math.floor(number))
        mp = _mpmath().mp
        if number.imag != 0 or mp.mag(number) > self.precision - KEPT_BITS:
            raise NoValue
        nearest = mp.nint(number)
        is_whole = abs(number - nearest) <= mp.ldexp(max(1, abs(number)), -AGREEMENT_BITS)
        return Fraction(int(nearest if is_whole else mp.floor(number)))

    def _ceil(self, node: Node) -> Number:
        return -self._floor(Node("floor", (Node("neg", node.args, node.is_constant),), node.is_constant))

    def _function(self, node: Node) -> Number:
        arguments = [self.value(arg) for arg in node.args]
        is_logarithm = node.kind in ("ln", "log", "lg")
        if any(argument.imag != 0 or (abs(argument) > 2**64 and not is_logarithm) for argument in arguments):
            raise NoValue
        mp = _mpmath().mp
        if is_logarithm:
            if min(arguments) <= 0 or (len(arguments) == 2 and arguments[1] == 1):
                raise NoValue
            logs = [mp.ln(self.inexact(argument)) for argument in arguments]
            result = logs[0] if node.kind == "ln" else logs[0] / (logs[1] if len(logs) == 2 else mp.ln(10))
        else:
            name = {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}.get(node.kind, node.kind)
            result = getattr(mp, name)(self.inexact(arguments[0]))
            self.lost += (
                max(0, int(mp.mag(self.inexact(arguments[0])))) if arguments[0] else 0
            )  # an error grows with it
        if isinstance(result, mp.mpc):  # the sine of what has none
            raise NoValue
        if node.kind != "exp" and abs(mp.mag(result)) > self.precision - 100 and result != 0:
            if result > 1 or result < -1:
                raise NoValue  # a pole
            return Fraction(0)
        self.lost += max(0, -int(mp.mag(result))) if result else 0  # near a zero of the function
        return result if result else Fraction(0)


def _num_digits_of(base: Fraction) -> float:
    """Binary digits that each factor of a power of a rational adds."""
    return math.log2(max(abs(base.numerator), base.denominator))


def _num_digits(number: int) -> int:
    """Binary digits without the zeros at the end, which cost no precision."""
    return number.bit_length() - (number & -number).bit_length() + 1


def _size(number: Fraction) -> int:
    """The binary exponent, roughly."""
    return number.numerator.bit_length() - number.denominator.bit_length()


class Values(NamedTuple):
    """What a form comes to at the points of a kind, None where it has no value; and how many bits its sums need."""

    numbers: tuple[Number | None, ...]
    lost: int
    is_exact: bool  # whether there was nothing but rationals on the way


@lru_cache(maxsize=MAX_CACHED)
def values(form: str, kind: str, precision: int = FIRST_PRECISION) -> Values | None:
    r"""
    The values of a form at all points of a kind; None if it is not in the grammar or its numbers are too large.

    Args:
        form (`str`): A canonical form (`normalize.canonical_form`).
        kind (`str`): `"plain"`, `"signed"`, `"integer"` or `"grid"`: which points ([`points.value`]).
        precision (`int`): Bits of all numbers that are not rational.

    Example:

    >>> values("2^{100}-1", "plain").numbers[0] - 2**100, values("9^{9^{9^9}}", "plain")
    (Fraction(-1, 1), None)
    """
    expression = tree(form)
    if expression is None:
        return None
    points: list[dict[str, Fraction]] = [
        {letter: value(letter, kind, number) for letter in expression.letters}
        for number in range(NUM_POINTS[kind] if expression.letters else 1)
    ]
    numbers: list[Number | None] = []
    lost, is_exact, work = 0, True, [0]
    with _mpmath().mp.workprec(precision):
        for point in points:
            precise = _Precise(expression, point, precision, work)
            try:
                numbers.append(precise.value(expression.root))
            except TooLarge:
                return None
            except (NoValue, ArithmeticError, ValueError, RecursionError, TypeError):
                numbers.append(None)
            lost, is_exact = max(lost, precise.lost), is_exact and precise.is_exact
    return Values(tuple(numbers) if expression.letters else tuple(numbers) * NUM_POINTS[kind], lost, is_exact)


class Pair(NamedTuple):
    """The values of two forms at one point, and the bits to which they must agree to be equal."""

    ours: Number
    theirs: Number
    num_bits: int


def pairs(a: str, b: str, kind: str) -> list[Pair] | None:
    """
    The values of two forms at those points of a kind where both have one.

    Both are evaluated with so many digits that the smallest term of either keeps [`KEPT_BITS`]; None if that is too many.
    """
    precision = FIRST_PRECISION
    while precision <= MAX_PRECISION:
        ours, theirs = values(a, kind, precision), values(b, kind, precision)
        if ours is None or theirs is None:
            return None
        lost = max(ours.lost, theirs.lost)
        if lost + KEPT_BITS <= precision or (ours.is_exact and theirs.is_exact):
            both = zip(ours.numbers, theirs.numbers, strict=True)
            return [Pair(x, y, lost + AGREEMENT_BITS) for x, y in both if x is not None and y is not None]
        precision = max(2 * precision, lost + 2 * KEPT_BITS)
    return None


def agree(pair: Pair) -> bool:
    """Whether two values are one number: exactly if they are rational, else to so many bits."""
    x, y, num_bits = pair
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x == y
    mp = _mpmath().mp
    with mp.workprec(num_bits + KEPT_BITS):
        x, y = in_mpmath(x), in_mpmath(y)
        return bool(abs(x - y) <= mp.ldexp(max(abs(x), abs(y)), -num_bits))


def are_proportional(first: Pair, second: Pair) -> bool:
    """Whether the values of two forms have the same quotient at two points."""
    num_bits = min(first.num_bits, second.num_bits)
    with _mpmath().mp.workprec(max(first.num_bits, second.num_bits) + KEPT_BITS):
        return agree(Pair(_product(first.ours, second.theirs), _product(first.theirs, second.ours), num_bits))


def _product(x: Number, y: Number) -> Number:
    return x * y if isinstance(x, Fraction) and isinstance(y, Fraction) else in_mpmath(x) * in_mpmath(y)


def in_mpmath(x: Number) -> Number:
    """A value in mpmath, at the precision that is set."""
    return _mpmath().mp.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else x


def as_fraction(number: Number) -> Fraction | None:
    """A real number as an exact rational; None for one that is complex, or too large to be near one that is written."""
    if isinstance(number, Fraction):
        return number
    mp = _mpmath().mp
    if number.imag != 0 or abs(mp.mag(number)) > FAR_BITS:
        return None
    mantissa, exponent = number.real.man_exp  # without the sign
    return (-1 if number.real < 0 else 1) * Fraction(int(mantissa)) * Fraction(2) ** exponent
