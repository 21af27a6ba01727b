r"""The final answer of a response: where it is, in which form it is given, or why there is none.

In order of trust: the last complete `\boxed{...}` (neighbouring boxes, `\boxed{1}, \boxed{2}`, are one list); what
follows the last "the answer is", "Answer:" or `####`; the value that a complete last sentence comes to ("Therefore,
she has 12 apples."); the whole response, if it is nothing but a value. "The final answer is" behind the last box
corrects it. A number somewhere in the reasoning is never an answer, so a response that was cut off has none.

How often each occurs: of 400 completions of SmolLM2-135M-Instruct (docs/lab-notes.md), 77 state an answer, 15 come to
one, 4 are nothing but one, and none has a box. `check_extraction` counts the forms in any file of completions.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import chain, islice, repeat
from typing import NamedTuple

from .blanks import may_be_placeholder, says_nothing
from .clean_response import UNFINISHED, Response
from .concluded_answer import concluded, gives_up, is_concluding, last_sentence, line_set_apart, lone_line, value_in
from .grammar import tree
from .normalize import (
    EXACT,
    MAX_ANSWER_CHARS,
    MAX_CACHED,
    canonical_form,
    named_parts,
    rational,
    set_parts,
    tuple_parts,
)
from .numerals import decimal_of, plain_number
from .phrases import AND_OR, AND_OR_SIGNS
from .stated_answer import is_complete, is_unfinished, leads_to_answer, num_words, stated, statement


class Found(NamedTuple):
    """What a response holds.

    Args:
        answer (`str` or `None`): The final answer as written, without the mark-up around it.
        form (`str`): How it was given: `"box"`, `"statement"`, `"conclusion"` or `"lone"`; or why there is none:
            `"empty"` (a blank response), `"cut_off"` (a box or thinking that was opened and not closed), `"unmarked"`
            (nothing says what the answer is), `"wrong_type"` (an answer, but no number, or no letter from A to J).
    """

    answer: str | None
    form: str


_BOX_COMMAND = re.compile(r"\\f?boxed|\\fbox")


def missing(response: Response) -> Found:
    """Why there is no answer in a response that has none."""
    text = response.text
    is_cut_off = text.endswith(UNFINISHED) or (_BOX_COMMAND.search(text) and not response.closed_boxes)
    return Found(None, "empty" if not text else "cut_off" if is_cut_off else "unmarked")


# Mark-up around an answer ------------------------------------------------------------------------------------------

# bold print within; thin spaces and quotation marks around; <12>; $12$; a point at the end; \text{ the } 17th
_BOLD = re.compile(r"\*\*(?=\s)|(?<=\s)\*\*")
_THIN_SPACE = r"(?:\\[,;! ]|\\q?quad(?![a-z]))"
_OUTER_SPACE = re.compile(rf"^(?:#{{1,6}}\s+|(?:{_THIN_SPACE}\s*)+)|(?:\s*{_THIN_SPACE})+$|\\$")
_QUOTES = re.compile(r"^[\\\"'\u201c]*[\"'\u201c\u00ab]+|[\\\"'\u201d]*[\"\u201d\u00bb]+$|^==|==$")
_ANGLES = re.compile(r"<([^<>/]+)>")
_DELIMITERS = re.compile(r"\$+([^$]+)\$+\.?|\\[(\[](.+)\\[)\]]\.?", re.DOTALL)
_FINAL_POINT = re.compile(r"(?:(?<!\\right)(?<!\\left)[.,;\s])+$")
_ORDINAL = re.compile(r"^\\text\{\s*the\s*\}\s*")
# \boxed{\text{The answer is } 12}
_LEAD_IN_BOX = re.compile(r"^\s*(?:\\text\{)?[\w ]{0,60}\banswers?\b(?:\s+is\b|:)\s*\}?", re.IGNORECASE)


def _tidy(answer: str) -> str | None:
    """`answer` without the mark-up around it, or None if nothing is left (an empty box, a placeholder)."""
    if len(answer) > MAX_ANSWER_CHARS:
        return answer.strip() or None
    if says_nothing(answer):
        return None
    answer = _OUTER_SPACE.sub("", _BOLD.sub("", answer).strip())
    answer = _QUOTES.sub("", answer.strip(" \t\r\n*"))
    if math := _DELIMITERS.fullmatch(answer):
        answer = (math[1] or math[2]).strip()
    elif named := _ANGLES.fullmatch(answer):
        answer = named[1].strip()
    answer = _ORDINAL.sub("", _FINAL_POINT.sub("", answer)).strip()
    return None if says_nothing(answer) else answer


def _marked(response: Response, read: Callable[[str], str | None] = statement) -> tuple[str, str] | None:
    """The answer that a response marks as final, by a box or in words, and which of the two."""
    boxes = response.last_boxes()
    rest = response.text[boxes[1] :] if boxes else response.text  # behind a box only "the final answer is" counts
    said = stated(rest, read) if boxes is None or "final" in rest.lower() else None
    if said and (boxes is None or said[1]):
        answer = _tidy(said[0])
        return (answer, "statement") if answer else None
    answer = _tidy(_LEAD_IN_BOX.sub("", boxes[0])) if boxes else None
    return (answer, "box") if answer else None


_CONCLUDING_WORD = re.compile(
    r"(?:(?:Therefore|Thus|Hence|So|Finally|Then|And|It is|We get|We have)\b[,:]?\s*)+", re.IGNORECASE
)


def _lone(response: Response) -> str:
    """The only line of a response, unless it leads to an answer and none follows: "Therefore, ____."."""
    line = lone_line(response) or ""
    ends_with_word = line.isascii() and line.rstrip(" .")[-1:].isalnum()
    if ends_with_word and not may_be_placeholder(line) and not _CONCLUDING_WORD.match(line):
        return line
    rest = line
    for lead in leads_to_answer(line):
        rest = line[lead.end() :]
    if word := _CONCLUDING_WORD.match(rest):
        rest = rest[word.end() :]
    return "" if says_nothing(rest) else line


# One function a type -----------------------------------------------------------------------------------------------

_NO_TEXT_ANSWER = re.compile(  # the answer is not ..., unknown, ____
    r"(?:not|that|to|found|obtained|given|by|what|correct|wrong|incorrect|unclear|unknown|many things)\b|[?_]"
)
_CLAUSE = re.compile(  # a sentence rather than a name: I do not know
    r"\b(?:I|I'm|me|we|us|let|let's|is|are|was|were|be|can|cannot|can't|do|don't|not)\b|\w[.!?]\s+\w|,\s+and\b",
    re.IGNORECASE,
)
# It must be Paris; the capital of France is Paris
_IT_IS = re.compile(r"^(?:It|That|This)(?:'s|\s+(?:is|must be|would be))\s+(?=\S)")
_COPULA = re.compile(r"^.*?\b(?:is|are|was|were)\b")


def _text_statement(rest: str) -> str | None:
    return statement(rest, _NO_TEXT_ANSWER)


def find_text(text: str) -> Found:
    """The final answer of a response whose answers are words.

    Example:

    >>> find_text("Let us recall. The answer is the Nile."), find_text("Paris"), find_text("No idea")
    (Found(answer='the Nile', form='statement'), Found(answer='Paris', form='lone'), Found(answer=None, form='unmarked'))
    """
    response = Response.read(text)
    if marked := _marked(response, _text_statement):
        return Found(*marked)
    sentence = last_sentence(response)
    is_alone = sentence == response.text and sentence[-1:] in (".", "!") and is_complete(sentence)
    is_whole = is_alone or is_concluding(sentence)
    if gives_up(sentence):
        return missing(response)
    if is_whole and not is_unfinished(sentence) and (verb := _COPULA.match(sentence)):
        value = _text_statement(sentence[verb.end() :])
        if value and (answer := _tidy(value)):
            return Found(answer, "conclusion")
    lone = _IT_IS.sub("", _lone(response))
    answer = _tidy(lone) if lone and num_words(lone) <= 6 and not _CLAUSE.search(lone) else None
    return Found(answer, "lone") if answer else missing(response)


# $x+1$; 3 + 4 = 7, of which no one says that it is the answer; an equation, a cut operator, words, a row of numbers
_FORMULA_ONLY = re.compile(r"\$+[^$]+\$+\.?|\\\(.+\\\)\.?|\\\[.+\\\]\.?")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]|\\[A-Za-z]|[\u2205]")
_SUM = re.compile(r"\d\s*=")
_NO_VALUE = re.compile(r"=|(?:[-+*/^\\]|\\times|\\cdot)$|(?<![\\A-Za-z])[A-Za-z]{2}|[^\W\d_\x00-\x7f]{2}|\d \d")
# 17, I believe.
_AS_FAR_AS_I_KNOW = re.compile(r",\s+I (?:believe|think|guess)\b\.?$")


def _is_value(answer: str) -> bool:
    """Whether a lone answer can be a value: a sum, worked out or cut off, or a word must be said to be the answer."""
    if _SUM.search(answer):
        return False
    form = canonical_form(answer)
    return bool(EXACT.fullmatch(form)) or (bool(_LETTER_OR_DIGIT.search(form)) and not _NO_VALUE.search(form))


def find_math(text: str) -> Found:
    r"""The final answer of a response whose answers are mathematical expressions.

    Example:

    >>> find_math(r"So it is \boxed{\frac{1}{2}}."), find_math("3 + 9 = 12. So she has 12 apples.")
    (Found(answer='\\frac{1}{2}', form='box'), Found(answer='12', form='conclusion'))
    """
    response = Response.read(text)
    if marked := _marked(response):
        value, form = marked
        if form == "statement" and num_words(value) > 1:
            value = value_in(value) or value  # Final Answer: The largest $n$ is 34.
        return Found(_tidy(value) or value, form)
    if response.closed_boxes:
        return Found(None, "unmarked")  # a box with nothing in it, or a placeholder
    lone = _AS_FAR_AS_I_KNOW.sub("", _lone(response))
    if lone and (answer := _tidy(lone)) and (_FORMULA_ONLY.fullmatch(lone) or _is_value(answer)):
        return Found(answer, "lone")
    if (
        (line := line_set_apart(response))
        and (answer := _tidy(line))
        and _is_value(answer.rpartition("=")[2] or answer)
    ):
        return Found(answer, "lone")
    if (conclusion := concluded(response)) and (answer := _tidy(conclusion)):
        return Found(answer, "conclusion")
    return missing(response)


def find_number(text: str) -> Found:
    """The final answer of a response whose answers are rational numbers.

    Example:

    >>> find_number("The answer is 1,250 apples."), find_number("The answer is Paris.")
    (Found(answer='1250', form='statement'), Found(answer=None, form='wrong_type'))
    """
    answer, form = find_math(text)
    if answer is None:
        return Found(None, form)
    number = number_in(answer)
    return Found(number, form if number is not None else "wrong_type")


# 1,250 or 3/4 as written; 2^3, of which only algebra knows the value
_PLAIN_DIGITS = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:\s*/\s*\d+(?![\d.]))?")
_ALGEBRAIC = re.compile(r"[-\d.]+(?:\^|\*).*|.*\\(?:sqrt|pi).*")
_OPERATOR = re.compile(r"[^-]\+|!|\\d?binom|\\cdot|\\times")
_GLOSS = re.compile(r"\d\s+\(")  # 12 (7+5)
_LISTED = re.compile(r"[,:]")
# a number with its separators; what stands between two of them if they are several; 2 and 1/3; a date
_NUMERAL = re.compile(r"\d+(?:[.,'\u2019]\d+)*(?:\s?/\s?\d+)?")
_BETWEEN_SEVERAL = re.compile(
    rf"\s*[,;&]\s*[-\u2212$\\]?\s*|[^\d=]*(?<![A-Za-z])(?:and|or|{AND_OR})(?![A-Za-z])[^\d]*|[^\d]*{AND_OR_SIGNS}[^\d]*"
)
_MIXED = re.compile(r"(-?)(\d+)\s+and\s+(\d+)\s?/\s?(\d+)(?![\d/]).*", re.DOTALL)
_DATE = re.compile(r"\d{1,4}[-/]\d{1,2}[-/]\d{1,4}|\d{1,2}:\d\d(?!\d)")


def number_in(answer: str) -> str | None:
    """The number in an answer, behind the last equals sign if there is one; None if there are several, or a date.

    Example:

    >>> [number_in(answer) for answer in ("12 apples", "1.234,50 Euro", "121 or 144", "2 and 1/3", "minus 3")]
    ['12', '1234.50', None, '7/3', '-3']
    """
    return None if len(answer) > MAX_ANSWER_CHARS else _number_in(answer)


@lru_cache(maxsize=MAX_CACHED)
def _number_in(answer: str) -> str | None:
    if rational(answer) is not None:
        return answer
    if mixed := _MIXED.fullmatch(answer.strip()):
        sign, whole, top, bottom = mixed.groups()
        return f"{sign}{int(whole) * int(bottom) + int(top)}/{bottom}"
    if answer.count("=") > 1 and _holds_several(canonical_form(answer)):
        return None  # x=1 or x=2
    plain = plain_number(answer.rpartition("=")[2].replace(",\\!", ",").replace("{,}", ","), may_be_list=False)
    if rational(plain) is not None:
        return plain
    if plain == answer and _are_several(answer):
        return None
    plain = plain.replace("\u2212", "-")
    match = _PLAIN_DIGITS.search(plain) if plain.isascii() else None
    number = match[0].replace(",", "") if match else None
    form = canonical_form(answer)
    if _holds_several(form):
        return None
    expression = tree(form) if _OPERATOR.search(form) and not _GLOSS.search(answer) else None
    if expression is not None and expression.letters:
        return None  # x+5
    if expression is not None or _ALGEBRAIC.fullmatch(form):
        return answer  # 2^3 and 5! are numbers that only algebra knows
    value = rational(form)
    # The digits as written, unless they are only a part of the number, as in 1.5\times10^3.
    return number if value is None or (number is not None and rational(number) == value) else str(value)


def _holds_several(form: str) -> bool:
    """Whether a canonical form is a tuple, an interval, a set, a list of numbers, values of several unknowns, a ratio."""
    is_list = bool(_LISTED.search(form) and EXACT.fullmatch(form))
    return is_list or bool(tuple_parts(form) or named_parts(form)) or len(set_parts(form) or ()) > 1


def _are_several(answer: str) -> bool:
    """Whether an answer begins with two numbers that are different, or with digits that are none: a date."""
    first, second = islice(chain(_NUMERAL.finditer(answer), repeat(None)), 2)
    if first is None:
        return False
    if _DATE.match(answer, first.start()) or decimal_of(first[0].partition("/")[0].strip()) is None:
        return True
    between = answer[first.end() : second.start()] if second else ""
    return second is not None and first[0] != second[0] and _BETWEEN_SEVERAL.fullmatch(between) is not None
