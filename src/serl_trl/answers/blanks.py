r"""Mark-up without content: what stands where an answer should, and says nothing.

`\boxed{}`, `\boxed{\text{ }}`, `$$`, `**`, `\frac{}{}`, `___`, `...`, `?`, `\square`, "[insert answer]", "<answer>". None of
it is an answer in any type: a policy that learns to box nothing would agree with itself in every vote.
"""

import re
from functools import lru_cache

from .phrases import LABELS


_MAX_CHARS = 400  # what is longer holds something
_EMPTY_SET = re.compile(r"\\\{\s*\\\}|\\left\\\{\s*\\right\\\}")
_WITHOUT_CONTENT = re.compile(  # commands and characters that lay out, join or hold something else
    r"\\(?:begin|end)\s?\{[^{}]{0,20}\}(?:\[[^\[\]]{0,10}\]|\{[clr|@!. ]{1,20}\})?"
    r"|\\(?:h|v)?(?:phantom|space|skip)\*?\s?(?:\{[^{}]{0,80}\})?|\\(?:rule|raisebox"
    r"|vspace)(?:\[[^\[\]]{0,20}\])?(?:\{[^{}]{0,20}\}){0,2}"
    r"|\\(?:text)?color(?:box)?\s?\{[^{}]{0,20}\}|\\(?:label|tag|ref)\*?\{[^{}]{0,40}\}"
    r"|\\(?:f?boxed|fbox|framebox|mbox|hbox|text[a-z]{0,6}|math(?:rm|bf|it|sf|tt|cal|frak|scr|bb|bin|rel|op|ord|open"
    r"|close|normal)|emph|bm|boldsymbol|pmb"
    r"|operatorname|underline|overline|underbrace|overbrace|vec|hat|widehat|bar|tilde|dot|ddot|overrightarrow|cancel"
    r"|ensuremath|centering|left|right"
    r"|middle|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|[dtc]?frac|sqrt|[dt]?binom|substack|stackrel|overset"
    r"|underset|tiny|small|normalsize"
    r"|large|Large|LARGE|huge|Huge|bf|it|rm|sf|tt|quad|qquad|enspace|enskip|thinspace|medspace|thickspace"
    r"|negthinspace|nobreakspace|hfill|hline|newline|linebreak"
    r"|noindent|par|[lcdvxi]?dots[bcmoi]?|ldotp|cdotp?|colon|square|Box|blacksquare|boxempty|checkbox|circ|degree"
    r"|blank|null|relax|limits|nolimits|strut|space|nonumber"
    r"|vert|Vert|lvert|rvert|lbrace|rbrace|lbrack|rbrack|textunderscore|textellipsis|underscore)(?![A-Za-z])"
    r"|\\[\\ ,;:!.%$#&_()\[\]{}|/>-]|&nbsp;|</?(?:final_?)?answer>|</?(?:b|i|u|p|br|hr|em|strong|span|div|center|sub"
    r"|sup|code|pre|boxed)\s?/?>|<!--.{0,80}?-->"
    r"|[\s\\{}()\[\]$_*~.,;:!?'\"`#|/&^%@\u2013\u2014\u2015\u2026\u22ef\u00b7\u2022\u2019\u2018\u201c\u201d\u00ab\u00bb\u2039\u203a\u3001\u3002\u300c-\u300f\u3010\u3011\u25a0-\u25a3"
    r"\u2610-\u2612\u2b1c\u25fb\u25fc\u25fd\u25fe\u00bf\u00a1\u060c\u061f\u061b\u0964\u00b0\u20ac\u00a3\u00a5\u200b-\u200f\u2060\ufeff\u00ad\uff01-\uff0f\uff1a-\uff1b\uff1f\uff3b-\uff40\uff5b\uff5d]"
)
_RULES = re.compile(r"[-\u2212+=<>]{2,}|[-\u2212]")  # a line drawn, or an arrow, alone; < alone may be an answer

_ANSWER = r"(?:answers?|ans|results?|solutions?)"
_WORDS = re.compile(  # your final answer here
    rf"(?:(?:please|insert|enter|put|write|type|fill in|place|add|give|state|provide|box|replace with|is|the|a|an"
    rf"|your|my|our|final|correct|right|numerical|numeric|exact|boxed"
    rf"|computed|calculated|simplified|single|only|number|integer|value|letter|option|choice"
    rf"|expression)\s+){{0,6}}{_ANSWER}(?:\s+(?:goes?|is|in|for|to|as|the|a|here|below|above|box|this"
    rf"|question|problem|value|number|letter|only|text|an?|integer|decimal|fraction|expression|option|choice|simplest"
    rf"|form))*"
    r"|(?:your|insert|enter|put|write|fill)\b[\w\s]{0,40}\bhere|tbd|todo|tba|placeholder|fill (?:me )?in|blank|empty"
    r"|x{3,6}|n a",
    re.IGNORECASE,
)
_HELD_WORDS = re.compile(  # <number>, [your value], {final_answer}
    rf"(?:[\w\s/]{{0,30}}\b)?(?:{_ANSWER}|values?|numbers?|integers?|letters?|options?|choices?|expressions?"
    rf"|formulas?|blank|here|your|final|insert|enter|fill|input"
    r"|output|placeholder|text|todo|tbd|math|latex|content|variable|response|equation)(?:\b[\w\s/]{0,30})?",
    re.IGNORECASE,
)
_HOLDERS = re.compile(
    r"<[^<>]{1,60}>|\\lt[^<>\\]{1,60}\\gt|\\langle[^<>\\]{1,60}\\rangle|\[[^\[\]]{1,60}\]|\{\{?[^{}]{1,60}\}\}?"
)


# Most answers begin with a number, or with a word: those are decided at once.
_BEGINS_WITH_DIGIT = re.compile(r"[-\s$.]{0,3}\d[^=]*\Z")
_BEGINS_WITH_LETTER = re.compile(r"[A-Za-z][^=<>\\\[\]{}]*\Z")
_KEYWORDS = [
    "ans",
    "result",
    "solution",
    "here",
    "tbd",
    "todo",
    "tba",
    "placeholder",
    "blank",
    "fill",
    "empty",
    "xxx",
    "n/a",
]


def may_be_placeholder(text: str) -> bool:
    """Whether `text` holds one of the words that a placeholder in words consists of."""
    text = text.lower()
    for word in _KEYWORDS:  # noqa: SIM110 (every answer comes this way, and a loop is faster)
        if word in text:
            return True
    return False


def says_nothing(answer: str) -> bool:
    r"""Whether an answer is mark-up without content, or something that stands for an answer.

    Args:
        answer (`str`): What stands where a final answer should.

    Returns:
        `bool`: Whether nothing is left without the mark-up, or only a placeholder. The empty set, `\{\}`, is an answer,
        and so is a lone `<`, `=`, or a symbol such as `\infty`.

    Example:

    >>> [says_nothing(answer) for answer in (r"\boxed{\text{ }}", "$$", "[insert answer]", r"\frac{}{}", r"\{\}", "x")]
    [True, True, True, True, False, False]
    """
    if len(answer) > _MAX_CHARS:
        return not answer.strip()
    if _BEGINS_WITH_DIGIT.match(answer):
        return False
    if _BEGINS_WITH_LETTER.match(answer) and not may_be_placeholder(answer):
        return answer.strip(" .:*").casefold() in LABELS
    return _is_blank(answer)


@lru_cache(maxsize=4096)  # an answer is looked at where it is read and where it is compared
def _is_blank(answer: str) -> bool:
    if _EMPTY_SET.search(answer):
        return False
    rest = _WITHOUT_CONTENT.sub(" ", answer).strip()
    if not rest or _RULES.fullmatch(rest):
        return True
    name, equals, value = answer.strip("=").rpartition("=") if answer[:2] == "==" else answer.rpartition("=")
    if equals and name.strip(" $=<>\\([{") and says_nothing(value):
        return True  # x =
    words = " ".join(rest.strip("<>=+-").split())
    return bool(_WORDS.fullmatch(words)) or words.casefold() in LABELS or _is_held(answer)


def _is_held(answer: str) -> bool:
    """Whether brackets hold a name for what should stand there: <answer>, [number]."""
    inner = answer.strip()
    for _ in range(4):  # \boxed{\text{[answer]}}
        stripped = re.sub(
            r"\A\\(?:f?boxed|fbox|text[a-z]{0,6}|mbox|math[a-z]{2})\s?\{(.*)\}\Z", r"\1", inner, flags=re.DOTALL
        )
        stripped = stripped.strip("$*`\"'.\u3002 \n")
        if stripped == inner:
            break
        inner = stripped
    if not _HOLDERS.fullmatch(inner):
        return False
    words = " ".join(re.sub(r"\\(?:lt|gt|langle|rangle)|[<>\[\]{}_]", " ", inner).split())
    return bool(_HELD_WORDS.fullmatch(words)) or words.casefold() in LABELS
