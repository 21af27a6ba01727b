r"""The final answer of a response: where it is, in which form it is given, or why there is none.

In order of trust: the last complete `\boxed{...}` (neighbouring boxes, `\boxed{1}, \boxed{2}`, are one list); what
follows the last "the answer is", "Answer:" or `####`; the value that a complete last sentence comes to ("Therefore,
she has 12 apples."); the whole response, if it is nothing but a value. "The final answer is" behind the last box
corrects it. A number somewhere in the reasoning is never an answer, so a response that was cut off has none.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from .latex import EXACT, MAX_ANSWER_CHARS, canonical_form, rational
from .response import boxes_of, last_boxes, response_of


class Found(NamedTuple):
    """What a response holds.

    Args:
        answer (`str` or `None`): The final answer as written, without the mark-up around it.
        form (`str`): How it was given: `"box"`, `"statement"`, `"conclusion"` or `"lone"`; or why there is none:
            `"empty"` (a blank response), `"cut_off"` (a box that was opened and not closed), `"unmarked"` (nothing
            says what the answer is), `"wrong_type"` (an answer, but no number, or no letter from A to J).
    """

    answer: str | None
    form: str


# Statements --------------------------------------------------------------------------------------------------------

FOREIGN_LEAD = (
    r"\b(?:respuesta|r\u00e9ponse|antwort|risposta|resposta|\u043e\u0442\u0432\u0435\u0442)\b[^\n.:=?]{0,40}?(?:\b(?:es|est|ist|lautet|\u00e8|\u00e9)(?!\w)|:)"
    r"|(?:\u7b54\u6848|\u7b54\u3048|\u7b54)\s*(?:\u662f|\u4e3a|\u70ba|\u306f|[:\uff1a])|(?:\uc815\ub2f5|\ub2f5)\s*(?:\uc740|:)"
    r"|(?:\u0627\u0644\u062c\u0648\u0627\u0628|\u0627\u0644\u0625\u062c\u0627\u0628\u0629|\u0909\u0924\u094d\u0924\u0930)\s*:"
)
_LEAD = re.compile(
    r"####|\bAns\b\s*[.:=]|^A:(?=\s)|^\W*(?:Solution|Result)s?:[ \t]*(?=\$|\\\(|\\\[|\*\*|-?[\d.]+\s*$)"
    r"|(?<![A-Za-z])(?P<final>final[\s_]+)?(?:answers?(?!\s+(?:this|that|the|your|it|such)\b)|solutions?(?=\s+(?:is|are)\b))(?![A-Za-z])(?:[^\n.:=?]{0,80}?(?:\b(?:is|are|be|equals|was)\b|[:=])"
    r"|\s*(?:[-\u2013\u2014\u2192]|->)\s|\**[ \t]*\n|\s*(?=\$|\\\(|\\\[))"
    rf"|{FOREIGN_LEAD}",
    re.IGNORECASE | re.MULTILINE,
)
_TURNED_LEAD = re.compile(  # 12 is the answer
    r"(?:^|[.!?]\s+|=>|\u21d2|\bget\b|\bgives\b|\bobtain\b)\s*(\*\*[^*\n]{1,60}\*\*|\$[^$\n]{1,80}\$|\\\(.{1,80}?\\\)|[-\w./,^()]{1,30})"
    r"\s+(?:is|as)\s+(?:the|our|my)\s+(?:final\s+|correct\s+)*(?:answer|solution)\b(?!\s*(?:to|of)\s+(?:part|step))",
    re.MULTILINE,
)
_NO_VALUE = re.compile(r"(?:this|that|which|it|what|here|not|the|an?)\b", re.IGNORECASE)
_MATH = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\begin\{(?:align|equation|gather)\*?\}(.+?)\\end\{(?:align|equation|gather)\*?\}|\\\((.+?)\\\)|(?<!\\)\$(?!\d[\d,.]*(?:\s|$))((?:[^$\n\\]|\\.|\n(?!\n))+)\$"
    r"|(?<!\\)\$(\d[\d,.]*)\$",
    re.DOTALL,
)
_RETRACTION = re.compile(
    r"[^.\n?!]{0,80}[.?!]\s*(?:But )?(?:Wait|Hmm|No\b|Actually|That(?:'s| is) (?:not|wrong|incorrect))"
)
_DOUBT = re.compile(
    r"(?:thought|guess\w*|assumed|seems?)\s+(?:that\s+|like\s+)?(?:the\s+)?(?:final\s+)?$", re.IGNORECASE
)
_ENDS_AFTER_MATH = re.compile(
    r"[\s.*!\u3002]*$|[\u3002\u0964\u3067\uc785\uc774]|\s+(?!and\b|or\b)[a-z(]|[.,;:!]|\s*\n"
)
_SENTENCE_END = re.compile(
    r"\n|(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\bsq)[.!?](?=\s|$|\*)|\s+(?:but|and not|rather than|instead of|not)\b|[\u3002\u0964]|[\s*\"$]*(?:\u3067\u3059|\uc785\ub2c8\ub2e4|\uc774\ub2e4)|\s+\((?!mod)(?=[^()]*[A-Za-z]{2})|[,;]\s+(?!and\b|or\b)(?=[A-Za-z]{2})|\s+(?:because|since|as|which|where|when|if|so)\b"
    r"|\s+and\s+(?:she|he|it|they|we|the|this|there)\b"
)
_FILLER = re.compile(
    r"(?:(?:therefore|thus|then|also|probably|most likely|likely|definitely|now|, I think|I think|approximately|about|roughly|simply|just|only|exactly|equal to|indeed|clearly|the (?:number|value))\b[\s,:]*)+",
    re.IGNORECASE,
)
_NOT_AN_ANSWER = re.compile(
    r"(?:not|that|to|found|obtained|given|in|an?(?=\s+[a-z])|we|by|what|correct|wrong|incorrect|[Tt]he|unclear|unknown|I(?=\s))\b|I'm|[?_]"
)
_PLACEHOLDER = re.compile(
    r"(?!\\\{\s*\\\})\W*(?:(?:the|your|my|final)?\s*(?:final\s*)?(?:answer|result|solution)(?:\s*here)?|\\[lcd]?dots|\.{2,}|\\text\{\s*(?:(?:your |final )?answer)?\s*\})?\W*",
    re.IGNORECASE,
)
_VERB = re.compile(r"(?:\b(?:is|are|equals|be|becomes|was|were|totals)\b(?:\s+equal\s+to\b)?|=|:(?=\s))\s*")
_DIGITS = r"[-\u2212]?\s?\\?[$\u20ac\u00a3]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+,\d\d?(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:\s?/\s?\d+)?(?:\s?\\?%)?"
_NUMBER = re.compile(rf"(?<![\w.,\\^_{{/-]){_DIGITS}(?![\w/])")


def _is_complete(text: str) -> bool:
    """Whether all that `text` opens is closed: a response that was cut off leaves a brace, a formula or a command."""
    pairs = (("{", "}"), ("\\(", "\\)"), ("\\[", "\\]"))
    is_closed = all(text.count(start) == text.count(end) for start, end in pairs)
    return is_closed and not re.search(r"\\boxed|(?:^|\$|\\\(|\\\[|\s)\\b?o?x?e?d?$", text)


def _num_words(text: str) -> int:
    return len(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", re.sub(r"\\(?:begin|end)\{\w+\*?\}", "", text)))


def _leading_math(text: str) -> str | None:
    """The formula in dollars, `\\(` or `\\[` that `text` begins with, unless it goes on (`$2$ and $3$`)."""
    display = _MATH.match(text.lstrip())
    if display is None or not _ENDS_AFTER_MATH.match(text.lstrip(), display.end()):
        return None
    return next(group for group in display.groups() if group is not None)


def _statement(rest: str, not_an_answer: re.Pattern[str] = _NOT_AN_ANSWER) -> str | None:
    """The answer that follows "the answer is", or None if what follows is not one."""
    rest = re.sub(r"^(?:[\s*:_`>\"'\u201c]|[-\u2022](?=\s)|=>)+", "", rest[:MAX_ANSWER_CHARS])
    for _ in range(2):
        if (formula := _leading_math(rest)) is not None:
            return formula
        if (end := _SENTENCE_END.search(rest)) and end[0] == "?":
            return None
        rest = _FILLER.sub(
            "", rest[: end.start() if end else None].strip(' *_`"').removesuffix("\\").rstrip(' "'), count=1
        )
        rest = re.sub(r"[\"\s]*\}+$", "", rest) if rest.count("}") > rest.count("{") else rest  # {"answer": 12}
    if not _is_complete(rest):
        return None
    if re.match(r"that\s", rest) and len(set(_NUMBER.findall(rest))) == 1:
        return _NUMBER.findall(rest)[0]  # that she has 12 apples
    number = _NUMBER.match(rest)
    if number and _num_words(rest) > 6:
        return number[0]  # 12 distinct sequences that meet the given conditions
    return None if not_an_answer.match(rest) or _num_words(rest) > 6 else rest


def is_taken_back(text: str, lead: re.Match[str]) -> bool:
    """Whether a statement is only what the writer thought at first: "I thought the answer is 3. Wait, ..."."""
    return bool(_DOUBT.search(text[max(0, lead.start() - 40) : lead.start()]) or _RETRACTION.match(text, lead.end()))


def _stated(text: str, statement: Callable[[str], str | None] = _statement) -> tuple[str, bool, int] | None:
    """The last answer that `text` states in words, whether it is called final, and where."""
    turned = next(
        (match for match in reversed(list(_TURNED_LEAD.finditer(text))) if not _NO_VALUE.match(match[1])), None
    )
    for lead in reversed(list(_LEAD.finditer(text))):
        if is_taken_back(text, lead):
            continue
        if turned and turned.end() >= lead.start():
            break
        if (answer := statement(text[lead.end() :])) and not _PLACEHOLDER.fullmatch(answer):
            return answer, bool(lead["final"]), lead.end()
    return (turned[1].strip("*$"), "final" in turned[0], turned.end()) if turned else None


# Conclusions -------------------------------------------------------------------------------------------------------

_SENTENCE_START = re.compile(r"(?:[.!?]\s+(?=[A-Z$(*]|\\[^\])])|\s(?=(?:Therefore|Thus|Hence|So|Finally),?\s))")
_CONCLUDES = re.compile(
    r"[\W\d]*?(?:\u2234|=>|(?:The|Her|His|Their|Its|My)\b[^.=]*\b(?:is|are|equals)\s+\S+(?:\s+[a-z]+){0,2}[.!]$|.*\b(?:in total|altogether|in all)[.!]$|(?:Therefore|Thus|Hence|So|Finally|Altogether|Consequently|Overall|As a result|In (?:conclusion|total|the end|all)"
    r"|(?:This|That|It) (?:means|gives|leaves)|We (?:find|get|obtain|have|conclude)|Final)\b)",
    re.IGNORECASE,
)
_REASONS = re.compile(
    r"\W*(?:First|Second|Next|Then|Now|Let|Step|Suppose|Assume|Consider|If|Since|Given|To|When we|We need)\b", re.I
)
_GIVES_UP = re.compile(
    r"\b(?:not sure|unsure|not (?:enough|certain|possible|clear)|cannot|can't|can ?not|could(?:n't| not)|unable|do(?:n't| not) know|unclear|no idea"
    r"|give up|stuck|need more|tried|impossible to)\b|\?\W*$",
    re.IGNORECASE,
)
_DISPLAY_BLOCK = re.compile(r"\s*\$\$\s*((?:(?!\$\$).)+?)\s*\$\$|\s*\\\[\s*((?:(?!\\\[).)+?)\s*\\\]", re.DOTALL)
_UNIT_AT_END = r"(?:\s*(?:\\?[%$\u20ac\u00a3\u00b0]|o'clock|[A-Za-z\u00b2\u00b3/]{1,5}(?![A-Za-z]))){0,2}[\s.!*]*$"


def _last_sentence(text: str) -> str:
    text = _DISPLAY_BLOCK.sub(
        lambda block: " $" + " ".join((block[1] or block[2]).split()) + "$", text[-MAX_ANSWER_CHARS:]
    )
    line = text.rpartition("\n")[2]
    starts = [match.end() for match in _SENTENCE_START.finditer(line)]
    return line[starts[-1] :] if starts else line


def _value_in(sentence: str) -> str | None:
    """What a concluding sentence comes to: what follows its last verb, else its last formula, else its only number."""
    for verb in reversed(list(_VERB.finditer(_MATH.sub(lambda match: "$" * len(match[0]), sentence)))):
        value = _statement(sentence[verb.end() :])
        if value and not _num_words(re.sub(r"\\[a-z]+", "", value)) > 4 and re.search(r"[\d$\\]|^[A-Za-z]$", value):
            return value
    if formulas := list(_MATH.finditer(sentence)):
        return next(group for group in formulas[-1].groups() if group is not None)
    numbers = _NUMBER.findall(sentence)
    return numbers[0] if len(set(numbers)) == 1 else None


def _concluded(text: str) -> str | None:
    """The value that the last sentence comes to, if it is complete and drawn as a conclusion."""
    sentence = _last_sentence(text)
    if _GIVES_UP.search(sentence) or not _is_complete(sentence):
        return None
    is_whole = re.search(r"^(?:\u2234|=>)|(?:[.!]|\$|\\\]|\\\)|\*\*|\u3002)\s*$", sentence)
    if is_whole and _CONCLUDES.match(sentence):
        return _value_in(sentence)
    if sentence == text and not _REASONS.match(text):  # one sentence and no more
        formulas = list(_MATH.finditer(text))
        if formulas and re.fullmatch(r"[\s.!]*|\s+is (?:the|our) (?:solution|answer)\.?", text[formulas[-1].end() :]):
            return next(group for group in formulas[-1].groups() if group is not None)
        said = re.search(rf"(?:\bis|\bare|\bit's|:)\s+({_DIGITS}){_UNIT_AT_END}", text)
        return said[1] if said and len(text) <= 100 else None
    return None


_UNFINISHED = re.compile(r"(?:\b(?:or|and|is|are|the|of)|[=,:]|</?think>)\s*$", re.IGNORECASE)


def _lone(text: str) -> str | None:
    """The whole response, if it is a single short line: a terse model says nothing but the answer."""
    line = text.strip()
    is_short = len(line) <= 100 and "\n" not in line and not _UNFINISHED.search(line)
    return line if is_short and _is_complete(line) else None


def _set_apart(text: str) -> str | None:
    """A last line that is nothing but a value in bold or in dollars, or a number below a blank line."""
    before, newline, line = _DISPLAY_BLOCK.sub(r"\n$\1\2$", text).rpartition("\n")
    line = line.strip().rstrip(".")
    is_marked = re.fullmatch(r"\*\*[^*]{1,80}\*\*|\$[^$]{1,200}\$|\\\([^\n]{1,200}\\\)", line)
    is_number = before.endswith("\n") and re.fullmatch(_DIGITS + r"(?:\s[A-Za-z]+)?", line)
    return line if newline and before.strip() and (is_marked or is_number) and _is_complete(line) else None


def _is_value(answer: str) -> bool:
    """Whether a lone answer can be a value: a sum, worked out or cut off, or a word must be said to be the answer."""
    if re.search(r"\d\s*=", answer):
        return False
    form = canonical_form(answer)
    return bool(EXACT.fullmatch(form)) or not re.search(r"=|[-+*/^\\]$|(?<![\\A-Za-z])[A-Za-z]{2}", form)


def _tidy(answer: str) -> str | None:
    """`answer` without the mark-up around it, or None if nothing is left (an empty box, a placeholder)."""
    answer = re.sub(r"\*\*(?=\s)|(?<=\s)\*\*", "", answer)
    answer = re.sub(r"^(?:\\[,;! ])+|(?:\\[,;! ])+$", "", answer.strip())
    answer = re.sub(r"^[\\\"'\u201c]*[\"'\u201c]+|[\\\"'\u201d]*[\"\u201d]+$", "", answer.strip(" \t\r\n*"))
    if math := re.fullmatch(r"\$+([^$]+)\$+\.?|\\[(\[](.+)\\[)\]]\.?", answer, re.DOTALL):
        answer = (math[1] or math[2]).strip()
    answer = re.sub(r"(?:(?<!\\right)(?<!\\left)[.,;\s])+$", "", answer)
    return None if _PLACEHOLDER.fullmatch(answer) else answer


# One function a type -----------------------------------------------------------------------------------------------


_LEAD_IN_BOX = re.compile(r"^\s*(?:\\text\{)?[\w ]*\banswers?\b(?:\s+is\b|:)\s*\}?", re.IGNORECASE)


def _marked(text: str, statement: Callable[[str], str | None] = _statement) -> tuple[str, str] | None:
    """The answer that `text` marks as final, by a box or in words, and which of the two."""
    boxes, stated = last_boxes(text), _stated(text, statement)
    if stated and (boxes is None or (stated[1] and stated[2] > boxes[1])):
        answer = _tidy(stated[0])
        return (answer, "statement") if answer else None
    answer = _tidy(_LEAD_IN_BOX.sub("", boxes[0])) if boxes else None
    return (answer, "box") if answer else None


def missing(text: str) -> Found:
    """Why there is no answer in a response that has none."""
    is_cut_off = re.search(r"\\f?boxed", text) and not boxes_of(text)
    return Found(None, "empty" if not text else "cut_off" if is_cut_off else "unmarked")


_NO_TEXT_ANSWER = re.compile(
    r"(?:not|that|to|found|obtained|given|by|what|correct|wrong|incorrect|unclear|unknown)\b|[?_]"
)


def _text_statement(rest: str) -> str | None:
    return _statement(rest, _NO_TEXT_ANSWER)


_CLAUSE = re.compile(
    r"\b(?:I|I'm|me|we|us|let|let's|is|are|was|were|be|can|cannot|can't|do|don't|not)\b|\w[.!?]\s+\w", re.IGNORECASE
)


def find_text(text: str) -> Found:
    """The final answer of a response whose answers are words."""
    text = response_of(text)
    if marked := _marked(text, _text_statement):
        return Found(*marked)
    sentence = _last_sentence(text)
    is_whole = (sentence == text and text[-1:] in (".", "!") and _is_complete(text)) or _CONCLUDES.match(sentence)
    if (
        is_whole
        and not _GIVES_UP.search(sentence)
        and sentence[-1:] not in ",:"
        and (verb := re.search(r"^.*?\b(?:is|are|was|were)\b", sentence))
    ):
        value = _text_statement(sentence[verb.end() :])
        if value and (answer := _tidy(value)):
            return Found(answer, "conclusion")
    lone = _lone(text)
    answer = _tidy(lone) if lone and _num_words(lone) <= 6 and not _CLAUSE.search(lone) else None
    return Found(answer, "lone") if answer else missing(text)


def find_math(text: str) -> Found:
    """The final answer of a response whose answers are mathematical expressions."""
    text = response_of(text)
    if marked := _marked(text):
        value, form = marked
        if form == "statement" and _num_words(value) > 1:
            value = _value_in(value) or value  # Final Answer: The largest $n$ is 34.
        return Found(_tidy(value) or value, form)
    if boxes_of(text):
        return Found(None, "unmarked")  # a box with a placeholder
    if (lone := _lone(text)) and (answer := _tidy(lone)):
        is_formula = re.fullmatch(r"\$+[^$]+\$+\.?|\\\(.+\\\)\.?|\\\[.+\\\]\.?", lone)
        if is_formula or _is_value(answer):
            return Found(answer, "lone")
    if (line := _set_apart(text)) and (answer := _tidy(line)) and _is_value(answer.rpartition("=")[2] or answer):
        return Found(answer, "lone")
    if (concluded := _concluded(text)) and (answer := _tidy(concluded)):
        return Found(answer, "conclusion")
    return missing(text)


def find_number(text: str) -> Found:
    """The final answer of a response whose answers are rational numbers."""
    answer, form = find_math(text)
    if answer is None:
        return Found(None, form)
    number = number_in(answer)
    return Found(number, form if number is not None else "wrong_type")


_PLAIN_DIGITS = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:\s*/\s*\d+(?![\d.]))?")


def number_in(answer: str) -> str | None:
    """The number in an answer, behind the last equals sign if there is one."""
    if rational(answer) is not None:
        return answer
    plain = answer.rpartition("=")[2].replace(",\\!", ",").replace("\u2212", "-")
    match = _PLAIN_DIGITS.search(plain) if plain.isascii() else None
    number = match[0].replace(",", "") if match else None
    form = canonical_form(answer)
    if re.fullmatch(r"[-\d.]+(?:\^|\*).*|.*\\(?:sqrt|pi).*", form):
        return answer  # 2^3 is a number that only algebra knows
    value = rational(form)
    # The digits as written, unless they are only a part of the number, as in 1.5\times10^3.
    return number if value is None or (number is not None and rational(number) == value) else str(value)
