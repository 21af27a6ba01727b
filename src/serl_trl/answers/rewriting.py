r"""The rewriting of an answer on its way to a canonical form, in stages whose order matters.

1. `in_ascii`: one spelling a character. All later patterns know ASCII only.
2. `without_thin_separators`: of thousands, 10,\!080, before the thin space becomes one like any other.
3. `without_double_escapes`: \\frac as \frac, before anything looks for commands.
4. `without_mark_up`: boxes, delimiters, fonts, spacing. Later patterns look at the ends of the form.
5. `with_one_spelling`: of operators, fractions, sets, ratios. The degrees of a sine become a number, before units go.
6. `without_units`: units, percent, currency. Here "and" becomes a mark, and `\text{ cm}` still shows what a unit is.
7. `without_wording`: the rest of `\text`, and the spaces that separate nothing, which units needed.
8. `with_joined_thousands`: commas and spaces. The mark keeps "5 and 144" from being 5,144, and becomes a comma last.
"""

import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction


Rule = tuple[str, str | Callable[[re.Match[str]], str]]


class Stage:
    """
    Rules that are applied one after the other, each wherever its pattern occurs in what the ones before have left.

    Args:
        *rules (`tuple`): A pattern and what takes its place, as `re.sub` has it.

    Example:

    >>> Stage(("a", "b"), ("bb", "c "))("ab")
    'c'
    """

    def __init__(self, *rules: Rule) -> None:
        self._rules = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def __call__(self, form: str) -> str:
        for pattern, replacement in self._rules:
            form = pattern.sub(replacement, form).strip()
        return form


# Characters --------------------------------------------------------------------------------------------------------

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SYMBOLS = {
    "\u2212": "-", "\u2013": "-", "\u2044": "/", "\u00d7": r"\times ", "\u00f7": "/", "·": r"\cdot ", "⋅": r"\cdot ",
    "π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\neq ", "±": r"\pm ",
    "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ", "≈": r"\approx ", "ℝ": r"\mathbb{R}",
    "\u00b0": r"^\circ ", "’": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip


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


def in_ascii(text: str) -> str:
    """`text` with Unicode signs, superscripts and fractions as LaTeX writes them, and without invisible characters."""
    if text.isascii():
        return text
    text = re.sub(r"√\s*(\d+|[a-z])", r"\\sqrt{\1}", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+", lambda match: "^{" + match[0].translate(_SUPERSCRIPTS) + "}", text)
    return "".join(map(_symbol, text))


# Mark-up and spelling ----------------------------------------------------------------------------------------------

without_mark_up = Stage(
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


def _repeating(decimal: str, period: str) -> str:
    """0.1 and 6 make 1/6."""
    places, digits = len(decimal.partition(".")[2]), len(period)
    return str(Fraction(decimal + "0") + Fraction(int(period), 10**places * (10**digits - 1)))


def _mixed(whole: str, top: str, bottom: str) -> str:
    """A proper fraction behind a whole number is a part of it; anything else is a second answer."""
    is_proper = 0 < int(top) < int(bottom) and whole.lstrip("-") != "0"
    return rf"{whole}\frac{{{top}}}{{{bottom}}}" if is_proper else f"{whole} and {top}/{bottom}"


with_one_spelling = Stage(
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


# Units and wording -------------------------------------------------------------------------------------------------

_SCALES = {"thousand": "3", "million": "6", "billion": "9", "trillion": "12"}
# Units of two or three letters; single letters, and any three letters after a space, may be algebra.
_UNIT = (
    r"(?:\s*(?:[ck]?m/s|km/h|[ckm]m|kg|m[lL]|mph|[ckm]?m\^\{?[23]\}?)|\s+(?:sq|cu|deg|ft|in|lbs?|oz|hrs?|min|sec|ton|day|men|way|USD|EUR|GBP"
    r"|o'clock|cups?|[A-Za-z]{4,}))"
)
_AND = "\x01"  # what "and" and "or" become, until thousands are joined: "5 and 144" is no 5,144
without_units = Stage(
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
without_wording = Stage(
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


# Separators and escapes --------------------------------------------------------------------------------------------

_THIN_SEPARATOR = re.compile(r"(?<=\d)(?:,\\!\s*|\{,\})(?=\d{3})")
_SPACED_THOUSANDS = re.compile(r"(?<![\d,. ])\d{1,3}(?: \d{3})+(?:\.\d+)?(?![\d,. ])")
_THOUSANDS = re.compile(r"(?<![\d,.])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_ESCAPED_TWICE = re.compile(
    r"\\\\(?=(?:[dt]?frac|sqrt|left|right|text|math(?:rm|bf)|pi|cdot|times|infty|circ|pm|mp|[lg]eq?|cup|ln|log|sin|cos|tan|cot|theta)(?![a-z]))"
)


def without_thin_separators(form: str) -> str:
    r"""`10,\!080` and `10{,}080` as `10080`."""
    return _THIN_SEPARATOR.sub("", form)


def without_double_escapes(form: str) -> str:
    r"""`\\frac` as `\frac`, unless there is a matrix, in which `\\` ends a row."""
    return form if r"\begin" in form else _ESCAPED_TWICE.sub(r"\\", form)


def with_joined_thousands(form: str, may_hold_commas: bool) -> str:
    """`10 080` and, unless commas make a list, `10,080` as `10080`; the mark for "and" as a comma."""
    form = _SPACED_THOUSANDS.sub(lambda match: match[0].replace(" ", ""), form)
    if may_hold_commas:
        form = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), form)
    return re.sub(f",?{_AND}", ",", form)
