r"""Canonical forms: one string in which most spellings of a mathematical answer coincide, without any algebra.

`\dfrac12`, `0.50` and `x = 1/2` all become `1/2`. `rewriting.py` has the stages. What the form leaves open,
`compare.py` decides.
"""

import re
from fractions import Fraction
from functools import lru_cache

from .numerals import listed, plain_number
from .rewriting import (
    in_ascii,
    with_joined_thousands,
    with_one_spelling,
    without_double_escapes,
    without_mark_up,
    without_thin_separators,
    without_units,
    without_wording,
)


MAX_ANSWER_CHARS = 1000  # longer answers are not even rewritten
MAX_NUMBER_CHARS = 300
MAX_CACHED = 4096
MAX_DEPTH = 20  # of brackets in a tuple; what is nested deeper is compared as a string

_VECTOR = re.compile(r"\\begin\{([bpv]?matrix|array)\}(?:\{[clr|]*\})?((?:(?!\\begin|&).)*?)(?:\\\\)?\\end\{\1\}")

# The name before a value: x = 5, f(2) = 5, Area = 25\pi, (x, y) = (1, 2), \sin x = 0.5. A right-hand side with letters
# makes it an equation, which Math-Verify understands, unless all that stands left is a numbered unknown.
NAME = (
    r"(?:\\(?:overline|vec|hat|bar|angle)\{\w+\}|\|?\\?[A-Za-z]+(?: ?[A-Za-z]+)?(?:_(?:\w|\{[^{}]*\}))?'*(?:\([^()=]*\))?(?::\w+)?\|?|\([a-z](?:,[a-z])+\)"
    r"|[A-Z]{1,3}[/:][A-Z]{1,3}|\\frac\{[A-Z]{1,3}\}\{[A-Z]{1,3}\})"
)
_NO_VARIABLE = r"(?:[^=<>A-Za-z]|\\(?!l[te]|g[te]|ne)[A-Za-z]+|(?<![A-Za-z])[ei](?![A-Za-z]))+$"
_ASSIGNMENT = re.compile(
    rf"\A(?:(?:{NAME}(?:=|\\approx))+(?={_NO_VARIABLE})|[A-Za-z]_\d=(?=[^=]+$)|[A-Za-z]\\in(?![A-Za-z]))"
)
_TURNED_ASSIGNMENT = re.compile(r"\A([-\d./]+)=[a-z]\Z")
_UNKNOWN = re.compile(r"([a-z])=([^=<>]+)")

# Numbers -----------------------------------------------------------------------------------------------------------

_DECIMAL = r"(?:\d+(?:\.\d*)?|\.\d+)"
_RATIONAL = re.compile(
    rf"(?P<sign>[-+]?)(?:(?P<whole>\d+)(?=\\frac))?(?:\\frac\{{(?P<top>-?{_DECIMAL})\}}\{{(?P<bottom>-?{_DECIMAL})\}}"
    rf"|(?P<num>{_DECIMAL})(?:/(?P<den>{_DECIMAL})|(?:[eE]|\\(?:times|cdot)10\^)\{{?(?P<exp>[-+]?\d{{1,3}})\}}?)?)"
)
DECIMAL_COMMA = re.compile(r"-?(?:0,\d+|\d+,\d\d|\d+,\d{4,})")
_ITEM = r"-?\d+(?:[/_]\d+)?"  # a canonical rational, or a numeral with its base
_TUPLE = rf"[\[(]{_ITEM}(?:,{_ITEM})*[\])]"
EXACT = re.compile(rf"(?:{_ITEM}|{_TUPLE})(?:,(?:{_ITEM}|{_TUPLE}))*|\d+(?::\d+)+(?:[ap]m)?")


def rational(form: str) -> Fraction | None:
    """The exact value of an integer, decimal, fraction, mixed number or number in scientific notation."""
    return _rational(form) if len(form) <= MAX_NUMBER_CHARS else None


@lru_cache(maxsize=MAX_CACHED)
def _rational(form: str) -> Fraction | None:
    match = _RATIONAL.fullmatch(form)
    if match is None:
        return None
    top, bottom = Fraction(match["top"] or match["num"]), Fraction(match["bottom"] or match["den"] or 1)
    if bottom == 0:
        return None
    value = int(match["whole"] or 0) + top / bottom * Fraction(10) ** int(match["exp"] or 0)
    return -value if match["sign"] == "-" else value


# Lists and tuples --------------------------------------------------------------------------------------------------


def parts(form: str, separator: str = ",") -> list[str]:
    """`form` cut at the separators outside of all brackets."""
    depth, cuts = 0, [-1]
    for i, char in enumerate(form):
        depth += (char in "([{") - (char in ")]}")
        if char == separator and depth == 0:
            cuts.append(i)
    return [form[a + 1 : b] for a, b in zip(cuts, [*cuts[1:], len(form)], strict=True)]


def tuple_parts(form: str) -> list[str] | None:
    """The items of a tuple or interval, `(1,2]`; None for anything else, and for one nested beyond MAX_DEPTH."""
    if len(form) < 3 or form[0] not in "([" or form[-1] not in ")]":
        return None
    depth = 0
    for char in form[:-1]:
        depth += (char in "([") - (char in ")]")
        # (1,2),(3,4) and (x+1)(x,2) begin and end with different brackets
        if not 0 < depth <= MAX_DEPTH:
            return None
    inner = parts(form[1:-1])
    return inner if len(inner) > 1 else None


def named_parts(form: str) -> list[str] | None:
    """The values of `y=3,x=2`, in the order of the unknowns; None unless several unknowns have one value each."""
    unknowns = [_UNKNOWN.fullmatch(item) for item in sorted(parts(form))]
    values = {match[1]: match[2] for match in unknowns if match}
    return list(values.values()) if len(values) == len(unknowns) > 1 else None


def set_parts(form: str) -> list[str] | None:
    r"""The items of a set in braces, `\{1,2\}`; None for anything else."""
    return parts(form[2:-2]) if re.fullmatch(r"\\\{(?:(?!\\[{}]).)*\\\}", form) else None


_MATRIX = re.compile(
    r"\\begin\{([bpB]?matrix|smallmatrix|array)\}(?:\{[clr|]*\})?((?:(?!\\begin|\\end).)*)\\end\{\1\}"
)


def matrix_rows(form: str) -> list[list[str]] | None:
    r"""The entries of a matrix, row by row; None for anything else, a determinant too.

    Example:

    >>> matrix_rows(r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"), matrix_rows("(1,2)")
    ([['1', '2'], ['3', '4']], None)
    """
    match = _MATRIX.fullmatch(form)
    if match is None:
        return None
    rows = re.sub(r"\\\\(?:\[[^\]]*\])?$", "", match[2]).split(r"\\")
    return [[_canonical_item(cell) for cell in row.split("&")] for row in rows]


_DATE = re.compile(
    r"\d{4}([-/.])(0?[1-9]|1[0-2])\1(0?[1-9]|[12]\d|3[01])|(0?[1-9]|[12]\d|3[01])([-/.])(0?[1-9]|[12]\d|3[01])\5\d{4}"
    r"|\d+(?:\.\d+){2,}"  # a version, or a number of the house: 1.2.3
)


def is_code(form: str) -> bool:
    """Whether hyphens or slashes only hold a form together: a date, a phone number or the like is no difference."""
    groups = form.split("-")
    is_number_in_groups = len(groups) > 1 and all(group.isdecimal() for group in groups)
    has_zeros = any(len(group) > 1 and group[0] == "0" for group in groups)
    return bool(_DATE.fullmatch(form)) or (is_number_in_groups and (has_zeros or len(groups) > 3))


def _canonical_item(form: str) -> str:
    """One item of a list: without the unknown before its value, and in lowest terms if it is rational."""
    form = _TURNED_ASSIGNMENT.sub(r"\1", _ASSIGNMENT.sub("", form, count=1))
    form = re.sub(r"(?<=.)\\approx.*", "", form)
    head, _, last = form.rpartition("=")  # a chain x = 5 + 6 = 11, or a sum 5 + 6 = 11, comes to its end
    is_chain = "=" in head or not re.search(r"(?<!\\)(?<![A-Za-z])[A-Za-z]", head)
    form = last if head and is_chain and re.fullmatch(_NO_VARIABLE, last) else form
    if form.count(">") > 1 and "<" not in form:
        form = "<".join(reversed(form.split(">")))
    value = rational(form)
    if value is not None:
        return str(value)
    inner = tuple_parts(re.sub(r"^[A-Z](?=\()", "", form))  # P(3,4) is a point
    if inner is None:
        return form
    return re.sub("[A-Z]", "", form[:2])[0] + ",".join(map(_canonical_item, inner)) + form[-1]


def _canonical_list(form: str) -> str:
    """A form with each of its items canonical, and sorted unless they could be the two halves of a decimal `1,50`."""
    form = re.sub(r"\\\}\\cup\\\{", ",", form)
    if (members := set_parts(form)) is not None:
        distinct = {_canonical_item(value) for member in members for value in _both_signs(member)}
        return distinct.pop() if len(distinct) == 1 else r"\{" + ",".join(sorted(distinct)) + r"\}"
    if len(solutions := parts(form, ";")) > 1:
        are_pairs = all("," in solution for solution in solutions)  # p=5,q=2;p=7,q=2
        form = ",".join(
            f"({','.join(named_parts(solution) or parts(solution))})" if are_pairs else solution
            for solution in solutions
        )
    if named_parts(form):  # x=2,y=3
        return ",".join(
            _UNKNOWN.sub(lambda item: f"{item[1]}={_canonical_item(item[2])}", i) for i in sorted(parts(form))
        )
    items = parts(_ASSIGNMENT.sub("", form, count=1))
    items = [_canonical_item(value) for item in items for value in _both_signs(item)]
    is_ordered = DECIMAL_COMMA.fullmatch(form) or r"\dots" in items  # 1,2,...,n
    return ",".join(items if is_ordered else sorted(items))


def _both_signs(item: str) -> list[str]:
    r"""The two values of an item with one \pm."""
    if len(re.findall(r"\\(?:pm|mp)(?![A-Za-z])", item)) != 1:
        return [item]
    return [re.sub(r"\\(?:pm|mp)(?![A-Za-z])\+?", sign, item) for sign in "+-"]


def _column(match: re.Match[str]) -> str:
    return "(" + match[2].replace(r"\\", ",") + ")" if r"\\" in match[2] else match[2]


# The form ----------------------------------------------------------------------------------------------------------

_WORDS = re.compile(r"(?<![\\A-Za-z])(?!sqrt|sinh|cosh|tanh|infty)[A-Za-z]{4,}")


_SHORT_WORD = re.compile(r"[A-Z][a-z]+|(?i:yes|no|odd)")


def is_words(form: str) -> bool:
    """Whether `form` is natural language, which a computer algebra system would read as a product of letters."""
    return bool(_WORDS.search(re.sub(r"\\(?:begin|end)\{\w+\}", "", form)))


def canonical_form(answer: str) -> str:
    r"""The string that most spellings of `answer` share.

    Removed: `$`, boxes, spacing and sizing commands, fonts, colours, currency, units after a value, thousands
    separators, the left-hand side of `x = 5`, trailing punctuation, degree and percent signs. So `50\%` equals `50`,
    and therefore not `0.5`; Math-Verify has it equal to both, but then 50 and 0.5 would be one class. Rationals are
    exact and in lowest terms: `0.5` is `1/2`, `0.333` is not `1/3`. A list without brackets or a set in braces is
    sorted, a tuple is not. A numeral such as `1011_2` keeps its base.

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
    return form if len(form) > MAX_ANSWER_CHARS else _rewritten(form)


@lru_cache(maxsize=MAX_CACHED)
def _rewritten(form: str) -> str:
    if form.isascii() and (value := rational(form)) is not None:
        return str(value)  # what all the rewriting below comes to
    head, equals, tail = listed(form).rpartition("=")
    form = without_thin_separators(in_ascii(head + equals + plain_number(tail)))
    if len(form) > MAX_ANSWER_CHARS:  # one character can stand for eighteen
        return form
    # brackets and spaces make a tuple or a list; asked now, for the stages drop them
    may_hold_commas = not re.search(r"[(\[]|\\\{|\d,\s+\d", form.partition("=")[2] or form)
    form = without_mark_up(without_double_escapes(form))
    form = without_wording(without_units(with_one_spelling(form)))
    form = with_joined_thousands(form, may_hold_commas)
    form = _ASSIGNMENT.sub("", form, count=1)
    if is_words(form) or _SHORT_WORD.fullmatch(form):
        return form.casefold()
    return _canonical_list(_VECTOR.sub(_column, form))
