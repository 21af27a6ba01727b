r"""Values of simple expressions at fixed points: what tells most different answers apart before SymPy is asked.

Two expressions that differ at a point are different. The grammar is small on purpose: numbers, letters, `+ - * / ^`,
`\frac`, `\sqrt`, `\pi`, `\cdot`, `\times`, brackets and implied products. Whatever else occurs makes no fingerprint.
"""

import cmath
import re
from functools import lru_cache


MAX_CACHED = 4096
MAX_CHARS = 200
MAX_MAGNITUDE = 1e60  # of any value on the way; beyond it, floats say little
MARGIN = 1e-4  # relative; what differs by less may be rounding, of a decimal in the text or of a float

# Each point gives every letter a value of its own; both signs, and no letter's value is a simple function of another's.
_POINTS = tuple(
    {letter: complex(sign * (0.6 + 0.37 * (k * 7 % 53) ** 0.5 + shift), 0.0) for k, letter in enumerate(_letters)}
    for _letters in ("abcdfghjklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",)
    for sign, shift in ((1, 0.0), (-1, 0.13), (1, 1.71))
)
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|\\(?:frac|sqrt|pi|cdot|times|div)(?![A-Za-z])|[A-Za-z]|[-+*/^(){}\[\]]")


class _NoValue(Exception):  # noqa: N818
    """The expression is not in the grammar, or has no finite value."""


class _Parser:
    """Evaluates one expression at one point while it parses it."""

    def __init__(self, tokens: list[str], values: dict[str, complex]) -> None:
        self.tokens, self.values, self.position = tokens, values, 0

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
            value = _checked(value + sign * self.product())
        return value

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
        if self.peek() != "^":
            return base
        self.take()
        exponent = self.group() if self.peek() == "{" else self.atom()
        if self.peek() == "^":
            raise _NoValue
        if base == 0 or abs(exponent) > 1000:
            raise _NoValue
        base = _above_the_cut(base)
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


def _evaluated(tokens: list[str], values: dict[str, complex]) -> complex:
    parser = _Parser(tokens, values)
    value = parser.sum()
    if parser.peek():
        raise _NoValue
    return value


@lru_cache(maxsize=MAX_CACHED)
def fingerprint(form: str) -> tuple[complex, ...] | None:
    r"""
    The values of a canonical form at fixed points; all the same if it has no unknown.

    Args:
        form (`str`): A canonical form (`latex.canonical_form`).

    Returns:
        `tuple[complex, ...]` or `None`: None if the form is not in the grammar, or too large.

    Example:

    >>> fingerprint(r"\sqrt{16}"), fingerprint("x+1") is None, fingerprint(r"\sin x")
    (((4+0j), (4+0j), (4+0j)), False, None)
    """
    tokens = _TOKEN.findall(form)
    if len(form) > MAX_CHARS or not tokens or "".join(tokens) != form.replace(" ", ""):
        return None
    try:
        return tuple(_evaluated(tokens, point) for point in _POINTS)
    except (_NoValue, RecursionError):
        return None


def is_certainly_different(a: str, b: str) -> bool:
    """
    Whether the fingerprints of two canonical forms differ by more than any rounding.

    Example:

    >>> is_certainly_different("x^2+1", "x^2+2"), is_certainly_different("(x+1)^2", "x^2+2x+1")
    (True, False)
    """
    first, second = fingerprint(a), fingerprint(b)
    if first is None or second is None:
        return False
    scale = max(map(abs, (*first, *second)))
    return max(abs(x - y) for x, y in zip(first, second, strict=True)) > MARGIN * scale
