"""What Math-Verify and SymPy do for us. Runs in a worker process that can be killed (`killable_worker.py`), never in training.

Importing this module is what makes a worker slow to start, so that nothing imports it before an answer needs it.
"""

import logging
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy
from math_verify import LatexExtractionConfig, parse, verify


MAX_CACHED = 4096
NUM_DIGITS = 50  # to which a number is evaluated
ROUNDING = Fraction(1, 10**45)  # relative size of what is left of a part that is 0
MAX_EXPONENT = 20_000  # binary, of a value that is sent

# Math-Verify warns that its own time limit is off. It is off because the process that runs this can be killed.
for _name in ("math_verify.parser", "math_verify.grader"):
    logging.getLogger(_name).addFilter(lambda record: "Timeout is disabled" not in record.getMessage())

# Units are gone already; Math-Verify would take the m of 1+2m for one.
_LATEX = LatexExtractionConfig(normalization_config=replace(LatexExtractionConfig().normalization_config, units=False))


@lru_cache(maxsize=MAX_CACHED)
def _parsed(form: str) -> tuple[Any, ...]:
    return tuple(parse(f"${form}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=None))


@lru_cache(maxsize=MAX_CACHED)
def number(form: str) -> tuple[Fraction, Fraction] | None:
    """Real and imaginary part of a canonical form that denotes one complex number, to 50 digits, or None.

    Example:

    >>> number(r"\\sqrt{16}"), number("x+1")
    ((Fraction(4, 1), Fraction(0, 1)), None)
    """
    parsed = _parsed(form)
    if not parsed or not isinstance(parsed[0], sympy.Expr) or parsed[0].has(sympy.MatrixBase, sympy.MatrixExpr):
        return None
    expression = parsed[0].xreplace({symbol: sympy.I for symbol in parsed[0].free_symbols if symbol.name == "i"})
    if expression.free_symbols:
        return None
    value = sympy.N(expression, NUM_DIGITS)
    if not (isinstance(value, sympy.Expr) and value.is_number and value.is_finite):
        return None
    real, imaginary = (_fraction(part) for part in value.as_real_imag())
    if real is None or imaginary is None:
        return None
    size = max(abs(real), abs(imaginary))  # a part that is mere rounding is none
    return real * (abs(real) > ROUNDING * size), imaginary * (abs(imaginary) > ROUNDING * size)


def _fraction(part: sympy.Expr) -> Fraction | None:
    """Exact, unless it is so large or so small that it would not fit; 0 where SymPy found no digit that is not 0."""
    if isinstance(part, sympy.Rational):
        return Fraction(int(part.p), int(part.q))
    if not isinstance(part, sympy.Float):
        return None
    mantissa, exponent = part.num.man_exp  # rounded to a double, which tells its size and not its digits
    if abs(exponent) > MAX_EXPONENT:
        return None
    if mantissa <= 1 < abs(exponent) and str(part).lstrip("-").startswith("0.e"):
        return Fraction(0)
    exact = sympy.Rational(part)
    return Fraction(int(exact.p), int(exact.q))


@lru_cache(maxsize=MAX_CACHED)
def is_equal(a: str, b: str) -> bool | None:
    """Whether two canonical forms denote the same, by Math-Verify in both directions; None if one cannot be parsed.

    Example:

    >>> is_equal("(x+1)^2", "x^2+2x+1"), is_equal("x<5", "5>x"), is_equal("x", "x+1")
    (True, True, False)
    """
    golds, targets = list(_parsed(a)), list(_parsed(b))
    if not golds or not targets:
        return None
    return verify(golds, targets, timeout_seconds=None) or verify(targets, golds, timeout_seconds=None)
