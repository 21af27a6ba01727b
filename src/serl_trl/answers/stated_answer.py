"""Answers that a response states in words: "the answer is 12", "Answer: 12", `#### 12`, "12 is the answer"."""

import re
from collections.abc import Callable, Iterator
from itertools import islice, takewhile

from .blanks import says_nothing
from .languages import Language
from .normalize import MAX_ANSWER_CHARS
from .numerals import plain_number
from .phrases import TAIL, languages_in, lead_of


MAX_STATED_CHARS = 10_000  # from the end: what is called the answer further up and never again is an early guess
MAX_LEADS = 30  # "the answer is" tried, from the last one back

# What is read ------------------------------------------------------------------------------------------------------

# 12, -1,250.50, $3.20, 3/4, 1 3/4, 1.5e7, 1011_2, 50\%
DIGITS = (
    r"[-\u2212]?\s?\\?[$\u20ac\u00a3]?"
    r"(?:\d{1,3}(?:[,\u202f\u2009\u00a0]\d{3})+(?!\d)|\d+,\d\d?(?!\d)|\d+\s(?=\d+/\d)|\d+)?"
    r"(?:(?<=\s)\d+|\.\d+|(?<=\d))(?:\s?/\s?\d+|[eE][-+]?\d{1,3}(?!\w)|_\d{1,2}(?!\w))?"
    r"(?:\s?\\?%)?"
)
# a letter that takes no space before it, as a Chinese unit does, is no part of the number
NUMBER = re.compile(rf"(?<![A-Za-z\d.,\\^_{{/\u00c0-\u058f-]){DIGITS}(?![A-Za-z\d_/^\u00c0-\u03ff])")
_FORMULA = rf"{{1,{MAX_ANSWER_CHARS}}}"
MATH = re.compile(  # a formula between $$, \[ \], \begin{align}, \( \) or $ $; a price, $5 and $7, is none
    rf"\$\$(.{_FORMULA}?)\$\$|\\\[(.{_FORMULA}?)\\\]"
    rf"|\\begin\{{(?:align|equation|gather)\*?\}}(.{_FORMULA}?)\\end\{{(?:align|equation|gather)\*?\}}"
    rf"|\\\((.{_FORMULA}?)\\\)|(?<!\\)\$(?!\d[\d,.]{{0,40}}(?:\s|$))((?:[^$\n\\]|\\.|\n(?!\n)){_FORMULA})\$"
    rf"|(?<!\\)\$(\d[\d,.]{{0,40}}(?:\s*[^\s$\w][^$\n]{_FORMULA}(?<=[\w)}}\]]))?)\$(?!\d)",
    re.DOTALL,
)
# two letters or more that are no command; \begin{align} and \text{ or }; where a box or a command was cut off
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_FOREIGN_WORD = re.compile(r"[^\W\d_\x00-\x7f]{2,}")
_NO_WORDS = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\(?:text\w{0,8}|mbox)\{[^{}]*\}")
_CUT_COMMAND = re.compile(r"\\boxed|(?:^|\$|\\\(|\\\[|\s)\\b?o?x?e?d?$")
_UNFINISHED = re.compile(  # 5 and; x =
    r"(?:\b(?:or|and|is|are|the|of)|[=,:]|</?think>)\s*$", re.IGNORECASE
)


def is_complete(text: str) -> bool:
    """Whether all that `text` opens is closed: a response that was cut off leaves a brace, a formula or a command."""
    pairs = (("{", "}"), ("\\(", "\\)"), ("\\[", "\\]"))
    return all(text.count(start) == text.count(end) for start, end in pairs) and not _CUT_COMMAND.search(text)


def is_unfinished(text: str) -> bool:
    """Whether `text` ends where no sentence does: "5 and", "x ="."""
    return bool(_UNFINISHED.search(text))


def num_words(text: str) -> int:
    """Words of two letters or more outside of formulas' commands and text; four letters a word where no space parts them."""
    num = len(_WORD.findall(_NO_WORDS.sub("", text)))
    return num if text.isascii() else num + sum(map(_num_foreign_words, _FOREIGN_WORD.findall(text)))


def _num_foreign_words(run: str) -> int:
    return 1 if run[0].lower() != run[0].upper() else -(-len(run) // 4)


def formula_in(match: re.Match[str]) -> str:
    """What stands between the delimiters of a match of MATH."""
    return next(group for group in match.groups() if group is not None)


# What leads to it --------------------------------------------------------------------------------------------------

_ARROW = r"(?:[-\u2013\u2014\u2190-\u21ff\u2794-\u27be]|->)"
_LEAD = re.compile(  # ####, Ans:, Solution: $, Final price:, the answer is, Answer:, answer (a line or a formula follows)
    r"####|\bAns\b\s*[.:=]|^A:(?=\s)"
    r"|^[^\w\n]{0,12}(?:(?:Solution|Result)s?:[ \t]*(?=\$|\\\(|\\\[|\*\*|-?[\d.]{1,40}\s*$)"
    r"|Final\s(?:\w{1,20}\s)?\w{1,20}:(?=\s))"
    r"|(?<![A-Za-z])(?<!\byour\s)(?<!\bnot an\s)(?<!\bnot the\s)(?P<final>final[\s_]{1,2})?"
    r"(?:answers?(?![ \t]+(?:this|that|the|your|it|such)\b)|solutions?(?=\s+(?:is|are)\b))(?![A-Za-z])"
    rf"(?:\s*{_ARROW}\s"
    r"|(?:(?!\\f?box|\bnot\b|\bcannot\b|n't\b)[^\n.:=?]){0,80}?(?:\b(?:is|are|be|equals|was|comes\s(?:out\s)?to)\b|[:=])"
    r"|\*{0,4}[ \t]*\n|\s*(?=\$|\\\(|\\\[))",
    re.IGNORECASE | re.MULTILINE,
)
_LEAD_WORDS = ("ans", "solution", "####", "a:", "result", "final")  # a line without any of them holds no lead
_SET_APART = r"\*\*[^*\n]{1,60}\*\*|\$[^$\n]{1,80}\$|\\\(.{1,80}?\\\)|[-\w./,^()%]{1,30}"
_SEVERAL_WORDS = r"(?:[^\s.?!]|\.(?=\d)){1,30}(?:\s(?:[^\s.?!]|\.(?=\d|m\b)){1,30}){0,8}"
_THE_ANSWER = (
    r"(?:the|our|my)\s+(?:final\s+|correct\s+|right\s+)?(?:answer|solution)\b(?!\s*(?:to|of)\s+(?:part|step))"
)
_TURNED_LEAD = re.compile(  # 12 is the answer; on a line of its own, several words are
    rf"(?:^|[.!?]\s+|=>|\u21d2|\bget\b|\bgives\b|\bobtain\b)\s*({_SET_APART})\s+(?:is|as)\s+{_THE_ANSWER}"
    rf"|\bmakes\s+({_SET_APART})\s+{_THE_ANSWER}"
    rf"|^(?:[-*\u2022>]\s)?(?:(?:So|Thus|Hence|Therefore|And),?\s)?({_SEVERAL_WORDS})\s+(?:is|are)\s+{_THE_ANSWER}[.!]?$",
    re.MULTILINE,
)
_ANSWER_NOUNS = (re.compile("answer"), re.compile("solution"))  # a literal is searched for much faster than a choice
_BEFORE_TURNED = re.compile(  # what stands before the last word of _THE_ANSWER in it
    r"\b(?:is|as|are|makes\s.{1,90})\s+(?:the|our|my)\s+(?:(?:final|correct|right)\s+)?\Z", re.DOTALL
)
_BEFORE_TURNED_CHARS = 130
_MAX_TURNED_WORDS = 3  # Rio de Janeiro is the answer; adding all of them is no answer
_NO_VALUE = re.compile(r"(?:this|that|which|it|what|here|not)\b", re.IGNORECASE)
_RETRACTION = re.compile(  # ... 3. Wait, I forgot a term.
    r"[^.\n?!]{0,80}(?:[.?!]|\.{3})\s*(?:But )?"
    r"(?:Wait|Hmm|No\b|Actually|Hold on|no, wait|That(?:'s| is) (?:not|wrong|incorrect))"
    r"|[^.\n?!]{0,80}?,?\s+but\s+(?:let me|let's|I (?:need|should|have to))\b"
)
_DOUBT = re.compile(  # I thought that the answer is 3
    r"(?:thought|guess\w{0,5}|assumed|seems?)\s+(?:that\s+|like\s+)?(?:the\s+)?(?:final\s+)?$", re.IGNORECASE
)


def _before(end: int, matches: Iterator[re.Match[str]]) -> list[re.Match[str]]:
    return [*takewhile(lambda match: match.start() < end, matches)]


def _leads(text: str) -> Iterator[re.Match[str]]:
    """The matches of `_LEAD`, the last one first. Only lines that hold one of its words are looked at."""
    lowered = text.lower()
    words = [word for word in _LEAD_WORDS if word in lowered]
    end = len(text) if words else 0
    while end > 0:
        start = text.rfind("\n", 0, end - 1) + 1
        line = text[start:end].lower()
        if any(word in line for word in words):
            yield from reversed(_before(end, _LEAD.finditer(text, start)))
        end = start


def leads_to_answer(line: str) -> list[re.Match[str]]:
    """All that leads to an answer in a line, in any language, the last one last."""
    return [lead for lead, _ in leads_in_language(line)][::-1] + [*_leads(line)][::-1]


def leads_in_language(text: str) -> list[tuple[re.Match[str], Language]]:
    """What leads to an answer in other languages than English, the last one first."""
    found = [(lead, row) for row in languages_in(text.lower()) for lead in lead_of(row).finditer(text)]
    return sorted(found, key=lambda pair: pair[0].end(), reverse=True)


def is_taken_back(text: str, lead: re.Match[str]) -> bool:
    """Whether a statement is only what the writer thought at first: "I thought the answer is 3. Wait, ..."."""
    return bool(_DOUBT.search(text[max(0, lead.start() - 40) : lead.start()]) or _RETRACTION.match(text, lead.end()))


# What follows it ---------------------------------------------------------------------------------------------------

# what may stand before the answer: **12, "12, - 12, => 12
# (a hyphen on a line of its own begins a list; behind "is" it is the sign of a number)
_OPENING = re.compile(
    r"^(?:[\s*:_`>\"'\u201c\u300c\u0983,]|(?<=\n)-(?=\s)|-(?=\s+[^\s\d$\\.])|\u2022(?=\s)|=>|\.{2,}|\u2026|\\(?=\n))+"
)
_GOES_ON = re.compile(  # nothing that would continue a list of formulas
    r"[\s.*!\u3002]*$|[\u3002\u0964\u3067\uc785\uc774]|\s+(?!and\b|or\b)[a-z(]|[.,;:!]|\s*\n"
)
_SENTENCE_END = re.compile(  # 12. Then; 12 but; 12 (a dozen); 12, as; 12 and she
    r"\n|(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\bsq)(?<!\bR[sp])(?<!\bFr)(?<!\b[KkT][rk])(?<!\bapprox)[.!?](?=\s|$|\*)|[\u3002\u0964]"
    r"|\s+(?:but|and not|rather than|instead of|not)\b|\s+\((?!mod)(?=[^()]{0,80}[A-Za-z]{2})"
    r"|[,;]\s+(?!and\b|or\b)(?=[A-Za-z]{2})|\s+(?:because|since|as|which|where|when|if|so)\b"
    r"|\s+and\s+(?:she|he|it|they|we|the|this|there)\b"
)
_ENDS_OPEN = re.compile(r"\b(?:and|or|is)$|[\d)}]\s*(?:[+=^]|\\times|\\cdot)$|[\d)}]\s+[-/]$")  # 5 and; 5 +
_FILLER = re.compile(  # the answer is *therefore approximately* 12
    r"(?:(?:therefore|thus|then|also|actually|in fact|really|indeed|probably|most likely|likely|definitely|now|of course|, I think|I think|approximately"
    r"|about|roughly|simply|just|only|exactly|equal to|(?:written|expressed) as|clearly|the (?:number|value))\b[\s,:]*)+",
    re.IGNORECASE,
)
NOT_AN_ANSWER = re.compile(  # the answer is not ..., greater than 10, ____
    r"(?:not|that|to|found|obtained|given|in|is|an?(?=\s+[a-z])|we|by|what|correct|wrong|incorrect|[Tt]he|unclear|unknown"
    r"|inside|placed|looking|\([A-Z][a-z]+"
    r"|I(?=\s)|needed|required|(?:greater|less|more|larger|smaller|bigger)\s+than|at (?:least|most)|between)\b|I'm|[?_]|\\_"
)


def _leading_math(text: str) -> str | None:
    """The formula in dollars, `\\(` or `\\[` that `text` begins with, unless it goes on (`$2$ and $3$`)."""
    display = MATH.match(text)
    return formula_in(display) if display and _GOES_ON.match(text, display.end()) else None


def statement(rest: str, not_an_answer: re.Pattern[str] = NOT_AN_ANSWER) -> str | None:
    """The answer that follows "the answer is", or None if what follows is not one.

    Example:

    >>> statement(" therefore **12**, because 3 + 9 = 12."), statement(" found by adding")
    ('12', None)
    """
    rest = _OPENING.sub("", rest[:MAX_ANSWER_CHARS])
    if filler := _FILLER.match(rest):
        rest = rest[filler.end() :]
    for _ in range(2):
        if (formula := _leading_math(rest.lstrip())) is not None:
            return formula
        if (end := _SENTENCE_END.search(rest)) and end[0] == "?":
            return None
        rest = rest[: end.start() if end else None]
        if not rest.isascii():
            rest = TAIL.sub("", rest)
        rest = rest.strip(' *_`"\u300c\u300d').removesuffix("\\").rstrip(' "')
        rest = _FILLER.sub("", rest, count=1)
        rest = (
            re.sub(r"[\"\s]{0,4}\}{1,4}$", "", rest) if rest.count("}") > rest.count("{") else rest
        )  # {"answer": 12}
    if not is_complete(rest) or _ENDS_OPEN.search(rest):
        return None
    if re.match(r"that\s", rest) and len(set(NUMBER.findall(rest))) == 1:
        return NUMBER.findall(rest)[0]  # that she has 12 apples
    number = NUMBER.match(rest)
    if number and num_words(rest) > 6:
        return number[0]  # 12 distinct sequences that meet the given conditions
    return None if not_an_answer.match(rest) or num_words(rest) > 6 else rest


def _may_be_turned(text: str) -> bool:
    """Whether it is worth looking for `_TURNED_LEAD`, which is slow."""
    return any(
        _BEFORE_TURNED.search(text, max(0, noun.start() - _BEFORE_TURNED_CHARS), noun.start())
        for pattern in _ANSWER_NOUNS
        for noun in pattern.finditer(text)
    )


def _is_turned(value: str, read: Callable[[str], str | None]) -> bool:
    return not _NO_VALUE.match(value) and num_words(value) <= _MAX_TURNED_WORDS and read(value) is not None


def stated(text: str, read: Callable[[str], str | None] = statement) -> tuple[str, bool] | None:
    """The last answer that `text` states in words, and whether it is called final.

    Example:

    >>> stated("I thought the answer is 3. Wait, no. The final answer is 4.")
    ('4', True)
    """
    text = text[-MAX_STATED_CHARS:]
    turns = [*_TURNED_LEAD.finditer(text)] if _may_be_turned(text) else []
    turned = next((turn for turn in reversed(turns) if _is_turned(formula_in(turn), read)), None)
    for lead in islice(_leads(text), MAX_LEADS):
        if is_taken_back(text, lead):
            continue
        if turned and turned.end() >= lead.start():
            break
        answer = read(text[lead.end() : lead.end() + MAX_ANSWER_CHARS])
        if answer and not says_nothing(answer):
            return answer, bool(lead["final"])
    if turned:
        return formula_in(turned).strip('*$"'), "final" in turned[0]
    return _stated_in_language(text, read)


def _stated_in_language(text: str, read: Callable[[str], str | None]) -> tuple[str, bool] | None:
    """As [`stated`], in other languages than English. They are looked for last: most responses are in English."""
    for lead, row in leads_in_language(text)[:MAX_LEADS]:
        line, *others = text[lead.end() : lead.end() + MAX_ANSWER_CHARS].split("\n")
        answer = read("\n".join([TAIL.sub("", line), *others]))
        if answer and not says_nothing(answer):
            is_number = row.has_comma and read is statement
            return plain_number(answer, has_comma=True) if is_number else answer, bool(lead["final"])
    return None
