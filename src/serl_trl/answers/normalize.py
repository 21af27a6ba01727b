r"""Canonical forms: one string in which most spellings of a mathematical answer coincide, without any algebra.

`\dfrac12`, `0.50` and `x = 1/2` all become `1/2`. What the form leaves open, `equality.py` decides.
"""

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from .numerals import listed, plain_number


MAX_ANSWER_CHARS = 1000  # longer answers are not even rewritten
MAX_NUMBER_CHARS = 300
MAX_CACHED = 4096
MAX_DEPTH = 20  # of brackets in a tuple; what is nested deeper is compared as a string

# Rewriting, in this order -----------------------------------------------------------------------------------------

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SYMBOLS = {
    "\u2212": "-", "\u2013": "-", "\u2044": "/", "\u00d7": r"\times ", "\u00f7": "/", "·": r"\cdot ", "⋅": r"\cdot ",
    "π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\neq ", "±": r"\pm ",
    "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ", "≈": r"\approx ", "ℝ": r"\mathbb{R}",
    "\u00b0": r"^\circ ", "’": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip
_MARK_UP = (
    (r"^\W*(?:\\text\{)?\s*[Tt]he (?:final )?answer is:?\s*\}?", ""),
    (r"^(?:\\approx|(?:\\text\{)?\s*(?:approximately|approx\.|about|roughly)\s*\}?)\s*", ""),
    (r"\\+(?:boxed|fbox|framebox)\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", r"\1"),
    (r"\\(?:text)?color\s*\{\w+\}|</?[a-z]{1,6}>|`+|__+", ""),
    (r"\\underline\s*(?=\{)", ""),
    (r"\\(?:left|right)\.|\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle)(?![A-Za-z])", ""),
    (r"\\(?:bf|it|rm|tiny|small|normalsize|[lL]arge|LARGE|[hH]uge)(?![A-Za-z])", ""),
    (r"\\[hv]?(?:space|phantom)\*?\{[^{}]*\}", ""),
    (r"(?<!\\)\\(?:[!,;: ]|$)|\\q?quad|~", " "),
    (r"\\?\$|(?<!\\)\\[()\[\]]|(?<![\w)*])\*{1,3}|\*{1,3}(?![\w( *])", ""),
    (r"\\text\{\s*(-?\d[^{}]*)\}", r"\1"),  # \text{5 cm}
    (
        r"^\\(?:text|math|bold)[a-z]*\s*\{((?=[^{}]*\\)(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}$",
        r"\1",
    ),  # \text{\frac{1}{2}}
)
_OPERATORS = (
    (r"\*\*", "^"),
    (r"!=", r"\\neq "),
    (r"<=|\\leq(?:slant)?(?![A-Za-z])", r"\\le "),
    (r">=|\\geq(?:slant)?(?![A-Za-z])", r"\\ge "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r":=", "="),
    (r"\{:\}", ":"),
    (r"^(\d+)\s*(?:\\text\{)?\s*to\s*\}?\s*(\d+)$", r"\1:\2"),  # a ratio
    (r"^0(?=\d:\d\d)", ""),  # 07:45
    (r"^(-?\d+)\s+and\s+(\d+)/(\d+)$", lambda match: _mixed(*match.groups())),  # 2 and 1/3
    (r"(?<=,)\s*\.{3}|\\(?:ldots|cdots|dots[bcimo])(?![A-Za-z])", r"\\dots "),
    (r"(\d*\.\d*?)(\d)\2{2,}\s*(?:\\dots|\.{3})$", lambda match: _repeating(match[1], match[2])),  # 0.333...
    (r"(\.\d+)\s*(?:\\dots|\.{3})$", r"\1"),  # 3.14159...
    (r"(?<=\d)\s*[xX]\s*10(?=\s*\^)", r"\\times 10"),
    (r"\^\(([^()]*)\)", r"^{\1}"),
    (r"\+/-", r"\\pm "),
    (r"(?<![\w})\]])\+\s*(?=\\infty)", ""),
    (r"\\[lr]brace(?![A-Za-z])", lambda match: r"\{" if "lbrace" in match[0] else r"\}"),
    (r"\\langle(.*)\\rangle", r"(\1)"),
    (r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset"),
    (r"(\d*\.\d*)\\(?:overline|bar|dot)\s*\{(\d+)\}", lambda match: _repeating(*match.groups())),
    (r"\{\s*(\w+)\s*\\choose\s*(\w+)\s*\}", r"\\binom{\1}{\2}"),
    (r"\{\s*(-?\w+)\s*\\over\s*(-?\w+)\s*\}", r"\\frac{\1}{\2}"),
    (r"^\\\{\s*[a-z]\s*(?:\\in\s*\\math(?:bb|bf)\s*\{?R\}?\s*)?(?:\\mid|:|\|)\s*(.*)\\\}$", r"\1"),
    (r"\\math(?:bb|bf)\s*\{?R\}?|\\Reals?(?![A-Za-z])|(?i:\ball real numbers\b)", r"(-\\infty,\\infty)"),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\frac\s*(\w)\s*(\w)(?!\w)", r"\\frac{\1}{\2}"),
    # An angle within a function is one, in radians; on its own its unit is dropped like any other.
    (r"\\?(sin|cos|tan|cot|sec|csc)\s*[({]?\s*(\d+)\s*[)}]?\s*\^\s*\{?\s*\\circ\s*\}?\s*[)}]?", r"\\\1(\\frac{\2\\pi}{180})"),
)  # fmt: skip
_SCALES = {"thousand": "3", "million": "6", "billion": "9", "trillion": "12"}
# Units of two or three letters; single letters, and any three letters after a space, may be algebra.
_UNIT = (
    r"(?:\s*(?:[ck]?m/s|km/h|[ckm]m|kg|m[lL]|mph|[ckm]?m\^\{?[23]\}?)|\s+(?:sq|cu|deg|ft|in|lbs?|oz|hrs?|min|sec|ton|day|men|way|USD|EUR|GBP"
    r"|o'clock|cups?|[A-Za-z]{4,}))"
)
_AND = "\x01"  # what "and" and "or" become, until thousands are joined: "5 and 144" is no 5,144
_UNITS = (
    (rf"(?<=\d)\s*(?:\\(?:text|mathrm)\{{\s*)?({'|'.join(_SCALES)})\b(?:\s*\}})?", lambda match: rf"\times10^{{{_SCALES[match[1]]}}}"),
    (r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?(?:\s*(?:\\(?:text|mathrm)\{\s*[CF]\s*\}|[CF]\b))?|\\degree(?![A-Za-z])", ""),
    (r"(?<=\d)\s*(?:Hz|per\s+[a-z]+|(?:\^\{?\\text\{)?(?:st|nd|rd|th)\}{0,2})\.?$", ""),
    (r"\\?%|\s*(?<=\d)\s*(?:pct|per ?cent)\b|^\s*(?:USD|EUR|GBP)\s*(?=\d)", ""),
    (r"\s{0,4}(?:,\s{0,4})?(?:\\(?:text|mbox|textrm)\{\s{0,4},?\s{0,4}(?:and|or)\s{0,4}\}|(?<=\W)(?:and|or)\b)\s{0,4}", _AND),
    (r"(?i)(?<=\d)\s*(?:\\(?:text|mathrm)\{\s*)?([ap])\.?\s?m\b\.?\s*\}?", lambda match: match[1].lower() + "m"),  # 3:30 pm is no length
    (r"^(0?\d|1[0-2])(?=[ap]m$)", r"\1:00"),
    (r"^(1[3-9]|2[0-3])(?=:[0-5]\d$)(.*)", lambda match: f"{int(match[1]) - 12}{match[2]}pm"),  # 15:30
    # A unit after a value: 15\mbox{ cm}^2, 18 dollars, 5 cm. The unit is the question's, so it carries nothing.
    (r"(?<=[\w})\]])(?:[\s/]*(?:\\cdot\s*)?\\(?:text|mbox|mathrm|textrm|textbf|textnormal|textit|rm)\{(?!\s*[ei]\s*\})[^{}\d]*\}(?:\^\{?-?\d\}?)?)+[\s.]*$", ""),
    (r"(?<=[\w})\]])\s*\\frac\{\s*\\(?:text|mathrm)\{[^{}\d]*\}\s*\}\{\s*\\(?:text|mathrm)\{[^{}\d]*\}\s*\}$", ""),
    (rf"(?:(?<=[\d}})])|(?<=\\pi))(?!\s+(?:sqrt|times\s+\S)\b){_UNIT}(?![A-Za-z])"
     r"(?:[\s/]+(?!north|south|east|west)[A-Za-z]+)*(?:\^?\{?[23]\}?)?[\s.]*$", ""),
)  # fmt: skip
_WORDING = (
    *[(r"\\(?:text|mbox|emph|bm|text[a-z]{2}|textnormal|math[a-z]{2,3}|boldsymbol|operatorname\*?)\s*\{([^{}]*)\}", r" \1 ")] * 2,
    (r"(?<![\\A-Za-z])infinity(?![A-Za-z])", r"\\infty"),
    (r"(?<![\\A-Za-z])(pi|infty|sin|cos|tan|log|ln)(?![A-Za-z])", r"\\\1"),
    (r"(?:(?<![\\A-Za-z])|\\)sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
    (rf"[\s.,;{_AND}]+$", ""),
    (r"(?<!\S)(-?\d+) (\d+)/(\d+)$", r"\1\\frac{\2}{\3}"),  # 1 1/2
    (r"\s+", " "),
    (r"(\\[A-Za-z]+ (?=[A-Za-z])|_\w (?=\w)|\d (?=\d))| ", r"\1"),  # only the spaces that separate are kept
    (r"\\frac(\d|\\[A-Za-z]+)(?=[\d\\{])", r"\\frac{\1}"),
    (r"(\\frac\{[^{}]*\})(\d)", r"\1{\2}"),
    (r"\\sqrt(\w)", r"\\sqrt{\1}"),
    (r"([\^_])\{(\w)\}(?!\w)", r"\1\2"),
    (r"_\{(\d+)\}$", r"_\1"),
    (rf"^[(\[]([^()\[\],{_AND}]*)[)\]]$", r"\1"),
    (r"^\{(.*)\}$", r"\1"),
)  # fmt: skip
_REWRITES = [
    (re.compile(pattern), replacement)
    for table in (_MARK_UP, _OPERATORS, _UNITS, _WORDING)
    for pattern, replacement in table
]
_ESCAPED_TWICE = re.compile(
    r"\\\\(?=(?:[dt]?frac|sqrt|left|right|text|math(?:rm|bf)|pi|cdot|times|infty|circ|pm|mp|[lg]eq?|cup|ln|log|sin|cos|tan|cot|theta)(?![a-z]))"
)
_JOINED_THOUSANDS = re.compile(r"(?<=\d)(?:,\\!\s*|\{,\})(?=\d{3})")  # 10,\!080
_SPACED_THOUSANDS = re.compile(r"(?<![\d,. ])\d{1,3}(?: \d{3})+(?:\.\d+)?(?![\d,. ])")
_THOUSANDS = re.compile(r"(?<![\d,.])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
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


def _repeating(decimal: str, period: str) -> str:
    """0.1 and 6 make 1/6."""
    places, digits = len(decimal.partition(".")[2]), len(period)
    return str(Fraction(decimal + "0") + Fraction(int(period), 10**places * (10**digits - 1)))


def _mixed(whole: str, top: str, bottom: str) -> str:
    """A proper fraction behind a whole number is a part of it; anything else is a second answer."""
    is_proper = 0 < int(top) < int(bottom) and whole.lstrip("-") != "0"
    return rf"{whole}\frac{{{top}}}{{{bottom}}}" if is_proper else f"{whole} and {top}/{bottom}"


def _column(match: re.Match[str]) -> str:
    return "(" + match[2].replace(r"\\", ",") + ")" if r"\\" in match[2] else match[2]


# The form ----------------------------------------------------------------------------------------------------------

_WORDS = re.compile(r"(?<![\\A-Za-z])(?!sqrt|sinh|cosh|tanh|infty)[A-Za-z]{4,}")


_SHORT_WORD = re.compile(r"[A-Z][a-z]+|(?i:yes|no|odd)")


def is_words(form: str) -> bool:
    """Whether `form` is natural language, which a computer algebra system would read as a product of letters."""
    return bool(_WORDS.search(re.sub(r"\\(?:begin|end)\{\w+\}", "", form)))


def _symbol(char: str) -> str:
    """An ASCII spelling of one character; compatibility forms (full-width, fractions) by their Unicode decomposition."""
    if char in _SYMBOLS:
        return _SYMBOLS[char]
    if unicodedata.category(char) in {"Sc", "Cf"}:  # a currency, or invisible
        return ""
    kind, _, rest = unicodedata.decomposition(char).partition(" ")
    if kind == "<fraction>":
        top, bottom = "".join(chr(int(code, 16)) for code in rest.split()).split("\u2044")
        return rf"\frac{{{top}}}{{{bottom}}}" if bottom else char
    return unicodedata.normalize("NFKC", char)


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    text = re.sub(r"√\s*(\d+|[a-z])", r"\\sqrt{\1}", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+", lambda match: "^{" + match[0].translate(_SUPERSCRIPTS) + "}", text)
    return "".join(map(_symbol, text))


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
    form = _JOINED_THOUSANDS.sub("", _ascii(head + equals + plain_number(tail)))
    if len(form) > MAX_ANSWER_CHARS:  # one character can stand for eighteen
        return form
    may_hold_thousands = not re.search(r"[(\[]|\\\{|\d,\s+\d", form.partition("=")[2] or form)
    if r"\begin" not in form:
        form = _ESCAPED_TWICE.sub(r"\\", form)
    for pattern, replacement in _REWRITES:
        form = pattern.sub(replacement, form).strip()
    form = _SPACED_THOUSANDS.sub(lambda match: match[0].replace(" ", ""), form)
    if may_hold_thousands:  # brackets and spaces make a tuple or a list
        form = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), form)
    form = re.sub(rf",?{_AND}", ",", form)
    form = _ASSIGNMENT.sub("", form, count=1)
    if is_words(form) or _SHORT_WORD.fullmatch(form):
        return form.casefold()
    return _canonical_list(_VECTOR.sub(_column, form))
