"""What Math-Verify and SymPy do for us. Runs in a worker process that can be killed (`bounded.py`), never in training.

Importing this module is what makes a worker slow to start, so that nothing imports it before an answer needs it.
"""

import cmath
import logging
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sympy
from math_verify import LatexExtractionConfig, parse, verify


MAX_CACHED = 4096
NUM_DIGITS = 30  # to which a number is evaluated

# Math-Verify warns that its own time limit is off. It is off because the process that runs this can be killed.
for _name in ("math_verify.parser", "math_verify.grader"):
    logging.getLogger(_name).addFilter(lambda record: "Timeout is disabled" not in record.getMessage())

# Units are gone already; Math-Verify would take the m of 1+2m for one.
_LATEX = LatexExtractionConfig(normalization_config=replace(LatexExtractionConfig().normalization_config, units=False))


@lru_cache(maxsize=MAX_CACHED)
def _parsed(form: str) -> tuple[Any, ...]:
    return tuple(parse(f"${form}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=None))


@lru_cache(maxsize=MAX_CACHED)
def number(form: str) -> complex | None:
    """The value of a canonical form that denotes one complex number, or None.

    Example:

    >>> number(r"\\sqrt{16}"), number("x+1")
    ((4+0j), None)
    """
    parsed = _parsed(form)
    if not parsed or not isinstance(parsed[0], sympy.Expr) or parsed[0].has(sympy.MatrixBase, sympy.MatrixExpr):
        return None
    expression = parsed[0].xreplace({symbol: sympy.I for symbol in parsed[0].free_symbols if symbol.name == "i"})
    if expression.free_symbols:
        return None
    value = sympy.N(expression, NUM_DIGITS, chop=True)
    if not (isinstance(value, sympy.Expr) and value.is_number and value.is_finite):
        return None
    return _complex(value)


def _complex(value: sympy.Expr) -> complex | None:
    """None where a float overflows, at 10^{400}, or where all that is left of a number, 10^{-400}, is 0."""
    try:
        approximation = complex(value)
    except OverflowError:
        return None
    is_lost = approximation == 0 and value != 0
    return approximation if cmath.isfinite(approximation) and not is_lost else None


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
