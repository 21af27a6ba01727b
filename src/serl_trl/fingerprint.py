r"""Values of simple expressions at fixed points: what settles most comparisons before SymPy is asked.

Two expressions that differ at a point are different; two that agree to the last digits at three points that have nothing
to do with either are equal. The grammar is small on purpose: numbers, letters, `+ - * / ^`, `\frac`, `\sqrt`, `\pi`,
`\cdot`, `\times`, brackets, implied products, factorials, logarithms and trigonometric functions. Whatever else occurs,
and whatever could be read in two ways, makes no fingerprint.
"""

import cmath
import math
import re
from functools import lru_cache
from typing import NamedTuple


MAX_CACHED = 4096
MAX_CHARS = 200
MAX_MAGNITUDE = 1e60  # of any value on the way; beyond it, floats say little
MARGIN = 1e-4  # relative; what differs by more is different: not by rounding, of a decimal in the text or of a float
TOLERANCE = 1e-12  # relative; what differs by less is equal, if no digits were lost on the way
ACCURATE_LOSS = 1e-3  # digits count as lost where all sums together are smaller than their terms by this factor,
ACCURATE_RATIO = 1e-6  # in a sum whose terms differ by this factor,
ACCURATE_EXPONENT = 100  # and in powers above this
MAX_LOSS = 1e-9  # by which sums may be smaller than their terms; less is rounding, not a value
MAX_FACTORIAL = 40

_GREEK = ("alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "sigma", "phi", "omega")
_LETTERS = (*"abcdfghjklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *("\\" + name for name in _GREEK))
# Each point gives every letter a value of its own; both signs, and no letter's value is a simple function of another's.
_POINTS = tuple(
    {letter: complex(sign * (0.6 + 0.37 * (k * 7 % 71) ** 0.5 + shift), 0.0) for k, letter in enumerate(_LETTERS)}
    for sign, shift in ((1, 0.0), (-1, 0.13), (1, 1.71))
)
_FUNCTIONS = {
    "\\sin": math.sin,
    "\\cos": math.cos,
    "\\tan": math.tan,
    "\\cot": lambda x: 1 / math.tan(x),
    "\\sec": lambda x: 1 / math.cos(x),
    "\\csc": lambda x: 1 / math.sin(x),
    "\\arcsin": math.asin,
    "\\arccos": math.acos,
    "\\arctan": math.atan,
    "\\ln": math.log,
    "\\log": math.log10,
}
_TOKEN = re.compile(
    r"\d+(?:\.\d+)?|\.\d+|\\(?:frac|sqrt|binom|pi|cdot|times|div)(?![A-Za-z])|[A-Za-z]|[-+*/^(){}\[\]!_]"
    rf"|\\(?:{'|'.join([*(name[1:] for name in _FUNCTIONS), *_GREEK])})(?![A-Za-z])"
)
_NUMERAL = re.compile(r"(-?\d+)_\d+")  # 204_5; as SymPy, which takes the digits for decimal


class _NoValue(Exception):  # noqa: N818
    """The expression is not in the grammar, or has no finite value."""


class _Parser:
    """Evaluates one expression at one point while it parses it."""

    def __init__(self, tokens: list[str], values: dict[str, complex]) -> None:
        self.tokens, self.values, self.position = tokens, values, 0
        self.is_accurate, self.loss = True, 1.0  # of digits, so far

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise _NoValue
        self.position += 1
        return token

    def sum(self) -> complex:
        value = -self.product() if self.peek() == "-" and self.take() else self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            value = self.added(value, sign * self.product())
        return value

    def added(self, a: complex, b: complex) -> complex:
        small, large = sorted((abs(a), abs(b)))
        total = _checked(a + b)
        self.lose(abs(total) / large if large else 1.0)
        self.is_accurate &= small == 0 or small > ACCURATE_RATIO * large
        return total

    def lose(self, share: float) -> None:
        """Counts the digits that are lost when this share of a value is left; a factor of ten is no loss."""
        self.loss *= min(1.0, 10 * share)
        self.is_accurate &= self.loss >= ACCURATE_LOSS
        if self.loss < MAX_LOSS:
            raise _NoValue

    def product(self) -> complex:
        value, before = self.power(), self.tokens[self.position - 1]
        while True:
            token = self.peek()
            if token in ("*", "\\cdot", "\\times"):
                self.take()
                value = _checked(value * self.signed())
            elif token in ("/", "\\div"):
                self.take()
                value = _quotient(value, self.signed())
                if self.peek() and self.peek() not in (")", "]", "}", "+", "-", "*", "/", "\\cdot", "\\times"):
                    raise _NoValue  # 1/2x: nobody knows
            elif token and token not in (")", "]", "}", "+", "-", "^"):
                if token[0].isdigit() or (before[0].isdigit() and token == "\\frac"):
                    raise _NoValue  # 2 3, x 3 and 1\frac{1}{2}: product or not?
                value = _checked(value * self.power())
            else:
                return value
            before = self.tokens[self.position - 1]

    def signed(self) -> complex:
        return -self.power() if self.peek() == "-" and self.take() else self.power()

    def power(self) -> complex:
        base = self.atom()
        if self.peek() == "!":
            self.take()
            base = _factorial(base)
        if self.peek() != "^":
            return base
        self.take()
        exponent = self.group() if self.peek() == "{" else self.atom()
        if self.peek() == "^":
            raise _NoValue
        if base == 0 or abs(exponent) > 1000:
            raise _NoValue
        base = _above_the_cut(base)
        self.is_accurate &= abs(exponent) <= ACCURATE_EXPONENT
        try:
            return _checked(cmath.exp(exponent * cmath.log(base)) if exponent.imag else base**exponent)
        except (OverflowError, ZeroDivisionError, ValueError):
            raise _NoValue from None

    def atom(self) -> complex:
        token = self.take()
        if token in "([":
            value = self.sum()
            self.take(")" if token == "(" else "]")
            return value
        if token == "{":
            self.position -= 1
            return self.group()
        if token == "\\frac":
            return _quotient(self.group(), self.group())
        if token == "\\binom":
            return _binomial(self.group(), self.group())
        if token in _FUNCTIONS:
            return self.function(token)
        if token == "\\sqrt":
            index = 2 + 0j
            if self.peek() == "[":
                self.take()
                index = self.sum()
                self.take("]")
            if index not in (2, 3):
                raise _NoValue
            radicand = self.group()
            if index == 3 and (radicand.imag or radicand.real < 0):
                raise _NoValue  # the real root or the principal one?
            return _above_the_cut(radicand) ** (1 / index)
        if token == "\\pi":
            return cmath.pi + 0j
        if token == "e":
            return cmath.e + 0j
        if token == "i":
            return 1j
        if token in self.values:
            return self.values[token]
        if token[0].isdigit() or token[0] == ".":
            return complex(float(token))
        raise _NoValue

    def function(self, name: str) -> complex:
        r"""\sin x, \sin^2(x+1), \log_2 8; what follows must not be readable as a part of the argument."""
        exponent, base = 1, None
        if self.peek() == "^":
            self.take()
            exponent = {"2": 2, "3": 3, "4": 4}.get(self.take(), 0)
        if name == "\\log" and self.peek() == "_":
            self.take()
            base = self.group() if self.peek() == "{" else self.atom()
        is_number = self.peek()[:1].isdigit()
        argument = self.atom()
        if is_number and (self.peek() in self.values or self.peek() == "\\pi"):
            argument *= self.atom()  # \sin 2x
        if exponent == 0 or self.peek() not in ("", ")", "]", "}", "+", "-"):
            raise _NoValue
        value = _function_value(name, argument, base)
        self.lose(abs(value) or 1.0)  # the sine of \pi is not quite 0, its cotangent not infinite
        self.lose(1 / (abs(value) or 1.0))
        return _checked(value**exponent)

    def group(self) -> complex:
        self.take("{")
        value = self.sum()
        self.take("}")
        return value


def _above_the_cut(value: complex) -> complex:
    """A negative real, which floats may put below the cut, where roots have the other sign: -4-0j."""
    return complex(value.real, 0.0) if value.real < 0 and abs(value.imag) < 1e-9 * abs(value.real) else value


def _checked(value: complex) -> complex:
    if not abs(value) < MAX_MAGNITUDE:
        raise _NoValue
    return value


def _quotient(top: complex, bottom: complex) -> complex:
    if bottom == 0:
        raise _NoValue
    return _checked(top / bottom)


def _natural(value: complex) -> int:
    if value.imag or value.real != int(value.real) or not 0 <= value.real <= MAX_FACTORIAL:
        raise _NoValue
    return int(value.real)


def _factorial(value: complex) -> complex:
    return complex(math.factorial(_natural(value)))


def _binomial(top: complex, bottom: complex) -> complex:
    return complex(math.comb(_natural(top), _natural(bottom)))


def _function_value(name: str, argument: complex, base: complex | None) -> complex:
    if argument.imag or (base is not None and base.imag) or abs(argument) > ACCURATE_EXPONENT:
        raise _NoValue
    try:
        value = _FUNCTIONS[name](argument.real)
        return complex(value if base is None else value / math.log10(base.real))
    except (ValueError, ZeroDivisionError):
        raise _NoValue from None


class Fingerprint(NamedTuple):
    """The values of an expression at fixed points, and whether all their digits can be trusted."""

    values: tuple[complex, ...]
    is_accurate: bool


@lru_cache(maxsize=MAX_CACHED)
def fingerprint(form: str) -> Fingerprint | None:
    r"""
    The values of a canonical form at fixed points; all the same if it has no unknown.

    Args:
        form (`str`): A canonical form (`latex.canonical_form`).

    Returns:
        [`Fingerprint`] or `None`: None if the form is not in the grammar, or too large.

    Example:

    >>> fingerprint(r"\sqrt{16}"), fingerprint("x+1") is None, fingerprint(r"x_1")
    (Fingerprint(values=((4+0j), (4+0j), (4+0j)), is_accurate=True), False, None)
    """
    if numeral := _NUMERAL.fullmatch(form):
        form = numeral[1]
    tokens = _TOKEN.findall(form)
    if len(form) > MAX_CHARS or not tokens or "".join(tokens) != form.replace(" ", ""):
        return None
    parsers = [_Parser(tokens, point) for point in _POINTS]
    try:
        values = tuple(parser.sum() for parser in parsers)
    except (_NoValue, RecursionError):
        return None
    if parsers[0].peek():
        return None
    return Fingerprint(values, all(parser.is_accurate for parser in parsers))


def is_same(a: str, b: str) -> bool | None:
    """
    Whether two canonical forms, expressions or equations, denote the same; None if their values do not tell.

    Equations are the same if the differences of their sides are, up to a constant factor.

    Example:

    >>> is_same("x^2+1", "x^2+2"), is_same("(x+1)^2", "x^2+2x+1"), is_same("y=2x", "2y-4x=0")
    (False, True, True)
    >>> is_same("1/3", "0.333333"), is_same("x<5", "5>x")
    (None, None)
    """
    are_equations = "=" in a and "=" in b
    first, second = (fingerprint(_residual(form) if are_equations else form) for form in (a, b))
    if first is None or second is None:
        return None
    factor = 1 + 0j
    if are_equations:
        if not all((*first.values, *second.values)):
            return None
        factor = first.values[0] / second.values[0]
    pairs = [(x, factor * y) for x, y in zip(first.values, second.values, strict=True)]
    scale = max(abs(value) for pair in pairs for value in pair)
    if any(abs(x - y) > MARGIN * scale for x, y in pairs):
        return False
    is_accurate = first.is_accurate and second.is_accurate
    return True if is_accurate and all(abs(x - y) <= TOLERANCE * max(abs(x), abs(y)) for x, y in pairs) else None


_FUNCTION_OF = re.compile(r"(?<![A-Za-z\\])[A-Za-z]\(")  # f(x)=2x: a product, or a function with a name?


def _residual(equation: str) -> str:
    """The difference of the sides of an equation; of more than two, something that is no expression."""
    left, _, right = equation.partition("=")
    return "=" if _FUNCTION_OF.search(equation) else f"{left}-({right})"
