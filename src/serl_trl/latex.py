r"""Mathematical answers: a canonical form for each, and equality of two, bounded in time.

An answer is first brought to a *canonical form*, a string in which most spellings of a value coincide (`\dfrac12`,
`0.50` and `x = 1/2` all become `1/2`). Equal forms are equal answers, and two forms that are exact (rationals, and
lists or tuples of them) are unequal if they differ. Only what is left goes to Math-Verify, both ways round, under a
deadline, and only if it is tame: model output is hostile input.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

from math_verify import LatexExtractionConfig, parse, verify


TIME_LIMIT_S = 5.0  # for one parse, and for one comparison; the number is Math-Verify's own default
MAX_SYMBOLIC_CHARS = 300  # longer answers are compared as strings only
MAX_ANSWER_CHARS = 1000  # longer answers are not even rewritten
MAX_EXPONENT = {"number": 3000, "symbol": 200, "bracket": 30}  # of the base; 2^{2024} is an ordinary answer
MAX_CACHED = 4096

# Math-Verify warns once that its own time limit is off. It is off because _bounded sets one that also holds outside
# the main thread, where signal.alarm cannot be used.
for _name in ("math_verify.parser", "math_verify.grader"):
    logging.getLogger(_name).addFilter(lambda record: "Timeout is disabled" not in record.getMessage())

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)


def last_box(text: str) -> str | None:
    r"""Content of the last `\boxed{...}` whose braces balance; one pass with a stack, linear on any input."""
    opened: list[int | None] = []  # start of the content for a box, None for another brace
    last: tuple[int, int] | None = None
    for token in _BRACES.finditer(text):
        if "box" in token[0]:
            opened.append(token.end())
        elif token[0] == "{":
            opened.append(None)
        elif token[0] == "}" and opened:
            start = opened.pop()
            if start is not None and (last is None or start > last[0]):
                last = (start, token.start())
    return None if last is None else text[slice(*last)]


_PLAIN = str.maketrans(
    {
        "\u2212": "-",
        "\u2013": "-",
        "\u00d7": r"\times ",
        "·": r"\cdot ",
        "π": r"\pi ",
        "∞": r"\infty ",
        "√": r"\sqrt ",
        "°": "",
    }
    | {"≤": r"\le ", "≥": r"\ge ", "²": "^2", "³": "^3", "½": r"\frac12 ", "\u00a0": " ", "\u202f": " ", "\u2009": " "}
)
# Units of two or three letters; single letters, and any three letters after a space, may be algebra.
_UNIT = r"(?:\s*(?:[ckm]m|kg|m[lL]|mph)|\s+(?:ft|in|lbs?|oz|hrs?|min|sec|ton|day|men|way|USD|[A-Za-z]{4,}))"
_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\d)(?:,\\!\s*|\{,\})(?=\d{3})", ""),  # 10,\!080
        (r"\\(?:left|right)\.|\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle)(?![A-Za-z])", ""),
        (r"(?<!\\)\\[!,;: ]|\\q?quad(?![A-Za-z])|~", " "),
        (r"\\?\$|(?<!\\)\\[()\[\]]|(?<![\w)])\*\*|\*\*(?![\w(])", ""),
        (r"\*\*", "^"),
        (r"\\varnothing(?![A-Za-z])", r"\\emptyset"),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degree(?![A-Za-z])|\\?%", ""),
        (r"\s*,?\s*(?:\\(?:text|mbox|textrm)\{\s*(?:and|or)\s*\}|(?<=\W)(?:and|or)\b)\s*", ","),
        # A unit after a value: 15\mbox{ cm}^2, 18 dollars, 5 cm. The unit is the question's, so it carries nothing.
        (r"(?<=[\w})\]])\s*\\(?:text|mbox|mathrm|textrm|textbf)\{[^{}\d]*\}(?:\^\{?\d\}?)?[\s.]*$", ""),
        (rf"(?:(?<=[\d}})])|(?<=\\pi))(?!\s+(?:sqrt|times)\b){_UNIT}(?![A-Za-z])"
         r"(?:[\s/]+[A-Za-z]+)*(?:\^?\{?[23]\}?)?[\s.]*$", ""),
        *[(r"\\(?:text|mbox|text[a-z]{2}|math[a-z]{2}|boldsymbol|operatorname)\s*\{([^{}]*)\}", r" \1 ")] * 2,
        (r"(?<![\\A-Za-z])(pi|infty|sin|cos|tan|log|ln)(?![A-Za-z])", r"\\\1"),
        (r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"[\s.,;]+$", ""),
        (r"(?<!\S)(-?\d+) (\d+)/(\d+)$", r"\1\\frac{\2}{\3}"),  # 1 1/2
        (r"\s+", " "),
        (r"(\\[A-Za-z]+ (?=[A-Za-z])|_\w (?=\w)|\d (?=\d))| ", r"\1"),  # only the spaces that separate are kept
        (r"\\frac(\d)", r"\\frac{\1}"),
        (r"(\\frac\{[^{}]*\})(\d)", r"\1{\2}"),
        (r"\\sqrt(\w)", r"\\sqrt{\1}"),
        (r"([\^_])\{(\w)\}(?!\w)", r"\1\2"),
        (r"_\{(\d+)\}$", r"_\1"),
        # x = 5, f(2) = 5, Area = 25\pi; a right-hand side with letters is an equation, which Math-Verify understands.
        (r"^(?:\\?[A-Za-z]+(?:_\w+)?(?:\(\w+\))?=(?=(?:[^=A-Za-z]|\\[A-Za-z]+)+$)|[A-Za-z]\\in(?![A-Za-z]))", ""),
        (r"^\(([^(),]*)\)$", r"\1"),
        (r"^\\\{(.*)\\\}$", r"\1"),
    )
]  # fmt: skip
_DECIMAL = r"(?:\d+(?:\.\d*)?|\.\d+)"
_RATIONAL = re.compile(
    rf"(?P<sign>[-+]?)(?:(?P<whole>\d+)(?=\\frac))?(?:\\frac\{{(?P<top>-?{_DECIMAL})\}}\{{(?P<bottom>-?{_DECIMAL})\}}"
    rf"|(?P<num>{_DECIMAL})(?:/(?P<den>{_DECIMAL})|(?:[eE]|\\(?:times|cdot)10\^)\{{?(?P<exp>[-+]?\d{{1,3}})\}}?)?)"
)
_ITEM = r"-?\d+(?:[/_]\d+)?"  # a canonical rational, or a numeral with its base
_TUPLE = rf"[\[(]{_ITEM}(?:,{_ITEM})*[\])]"
EXACT = re.compile(rf"(?:{_ITEM}|{_TUPLE})(?:,(?:{_ITEM}|{_TUPLE}))*")


def rational(form: str) -> Fraction | None:
    """The exact value of an integer, decimal, fraction, mixed number or number in scientific notation."""
    match = _RATIONAL.fullmatch(form)
    if match is None or len(form) > MAX_SYMBOLIC_CHARS:
        return None
    top, bottom = Fraction(match["top"] or match["num"]), Fraction(match["bottom"] or match["den"] or 1)
    if bottom == 0:
        return None
    value = int(match["whole"] or 0) + top / bottom * Fraction(10) ** int(match["exp"] or 0)
    return -value if match["sign"] == "-" else value


def _parts(form: str) -> list[str]:
    """`form` cut at the commas outside of all brackets."""
    depth, cuts = 0, [-1]
    for i, char in enumerate(form):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            cuts.append(i)
    return [form[a + 1 : b] for a, b in zip(cuts, [*cuts[1:], len(form)], strict=True)]


def _canonical_parts(form: str) -> str:
    """`form` with each rational, alone or in a list or tuple, in lowest terms; the order of a list is dropped."""
    value = rational(form)
    if value is not None:
        return str(value)
    parts = _parts(form)
    if len(parts) > 1:
        return ",".join(sorted(_canonical_parts(part) for part in parts))
    inner = _parts(form[1:-1])
    if (
        form[:1] in {"(", "["}
        and form[-1:] in {")", "]"}
        and len(inner) > 1
        and not re.search(r"[()\[\]]", form[1:-1])
    ):
        return form[0] + ",".join(_canonical_parts(part) for part in inner) + form[-1]
    return form


@lru_cache(maxsize=MAX_CACHED)
def canonical_form(answer: str) -> str:
    r"""The string that most spellings of `answer` share.

    Removed: `$`, boxes, spacing and sizing commands, fonts, currency, units after a value, thousands separators, the
    left-hand side of `x = 5`, trailing punctuation, degree and percent signs. So `50\%` equals `50`, and therefore not
    `0.5`; Math-Verify has it equal to both, but then 50 and 0.5 would be one class. Rationals are exact and in lowest
    terms: `0.5` is `1/2`, `0.333` is not `1/3`. A list without brackets or in braces is sorted, a tuple is not. A
    numeral such as `1011_2` keeps its base.

    Args:
        answer (`str`):
            A final answer, in LaTeX or plain.

    Returns:
        `str`: the canonical form; above `MAX_ANSWER_CHARS` characters just `answer` with single spaces.

    Example:

    >>> canonical_form(r"$x = \dfrac{2}{4}$"), canonical_form("1,000 dollars"), canonical_form(r"(0.5, \sqrt2)")
    ('1/2', '1000', '(1/2,\\sqrt{2})')
    """
    form = " ".join(answer.split())
    if len(form) > MAX_ANSWER_CHARS:
        return form
    form = form.translate(_PLAIN)
    if (box := last_box(form)) is not None:
        form = box
    for pattern, replacement in _REWRITES:
        form = pattern.sub(replacement, form).strip()
    form = re.sub(r"(?<![\d,. ])\d{1,3}(?: \d{3})+(?![\d,. ])", lambda match: match[0].replace(" ", ""), form)
    # Commas with three digits after each are thousands, unless brackets make them a tuple.
    if not re.search(r"[(\[]|\\\{", form):
        form = re.sub(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])", lambda match: match[0].replace(",", ""), form)
    if is_words(form) or re.fullmatch("[A-Z][a-z]+", form):
        return form.casefold()
    return _canonical_parts(form)


_WORDS = re.compile(r"(?<![\\A-Za-z])(?!sqrt|sinh|cosh|tanh|infty)[A-Za-z]{4,}")
_UNTAME = re.compile(
    r"\\(?:sum|prod|int|oint|iint|lim)(?![A-Za-z])"
    r"|\d{31}"
    r"|(?<!_)\d \d"  # not a numeral, although Math-Verify joins the two
    r"|(?:[^\d]|\d{3})!|!!"  # only 0! to 99!
    r"|binom.*\d{4}"
)
_POWER = re.compile(r"(.?)\s*\^\s*(\{(?:[^{}]|\{[^{}]*\})*\}|-?\w+|\\[A-Za-z]+(?!\s*[A-Za-z{]))")


def is_words(form: str) -> bool:
    """Whether `form` is natural language, which a computer algebra system would read as a product of letters."""
    return bool(_WORDS.search(re.sub(r"\\(?:begin|end)\{\w+\}", "", form)))


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


_ALGEBRA = {"sympy", "mpmath", "math_verify", "latex2sympy2_extended", "antlr4"}


class _OutOfTime(BaseException):
    """Not an Exception, so that no `except Exception` on the way swallows it."""


def _bounded(function: Callable[[], Any], default: Any) -> Any:
    """`function()`, or `default` once TIME_LIMIT_S is over; looks at the clock on every Python call, in any thread."""
    deadline = time.monotonic() + TIME_LIMIT_S

    def check(frame: Any, event: str, arg: Any) -> None:
        # Raised elsewhere, say in a callback of the garbage collector, it would be swallowed, and tracing is then off.
        if time.monotonic() > deadline and str(frame.f_globals.get("__name__")).partition(".")[0] in _ALGEBRA:
            raise _OutOfTime

    previous = sys.gettrace()
    sys.settrace(check)
    try:
        return function()
    except (_OutOfTime, RecursionError, MemoryError):
        return default
    finally:
        sys.settrace(previous)


# Units are gone already; Math-Verify would take the m of 1+2m for one.
_LATEX = LatexExtractionConfig(normalization_config=replace(LatexExtractionConfig().normalization_config, units=False))


@lru_cache(maxsize=MAX_CACHED)
def _parsed(form: str) -> tuple[Any, ...]:
    return tuple(
        _bounded(lambda: parse(f"${form}$", [_LATEX], fallback_mode="no_fallback", parsing_timeout=None), default=())
    )


@lru_cache(maxsize=MAX_CACHED)
def _is_symbolically_equal(a: str, b: str) -> bool:
    golds, targets = list(_parsed(a)), list(_parsed(b))
    if not golds or not targets:
        return False
    return _bounded(
        lambda: verify(golds, targets, timeout_seconds=None) or verify(targets, golds, timeout_seconds=None),
        default=False,
    )


def is_equal_form(a: str, b: str) -> bool:
    """Whether two canonical forms denote the same answer; symmetric, never an exception."""
    if a == b:
        return True
    if EXACT.fullmatch(a) and EXACT.fullmatch(b):
        return False
    if is_words(a) or is_words(b) or not (_is_tame(a) and _is_tame(b)):
        return False
    return _is_symbolically_equal(*sorted((a, b)))  # one cache entry, one verdict for both orders
