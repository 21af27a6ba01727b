"""The letter, from A to J, that a response to a multiple-choice question chooses."""

import re
import unicodedata
from collections.abc import Iterator

from .clean_response import Response
from .find_answer import Found, missing
from .languages import Language
from .normalize import MAX_ANSWER_CHARS
from .phrases import AND_OR, AND_OR_SIGNS, JOINED_TAIL, choice_lead_of, choosing_of, languages_of_choice, option_of
from .stated_answer import MAX_STATED_CHARS, is_taken_back


# A letter ----------------------------------------------------------------------------------------------------------

_CONNECTED = rf"(?:(?:,|/|&|\+)\s*(?:and |or )?|(?<=[\s)*])(?:and|or|e|i|{AND_OR})\s+|{AND_OR_SIGNS}\s?)"
# (b), B, A unless a word follows (A lot of), b at the end or before a point; not one of a list (A and C)
_LETTER = (
    r"(?:(?<=\()([A-Ja-j])(?=\))|([B-HJ])(?![A-Za-z0-9_-]|'[a-z])|([AI])(?![A-Za-z0-9_-]|'[a-z]|\s+[a-z])"
    r"|([a-j])(?=\)|\.\s+[A-Z\d]|[\"'`*.\u201d\]}$]{0,8}\s*(?:\n|\Z)))"
    rf"(?![)*\s]{{0,4}}{_CONNECTED}\(?[A-J](?![A-Za-z]))"
)
_OPENING = r"[\s*_:$({\[\"'`\u201c]{0,12}"
_BEFORE_LETTER = (
    r"(?:\s*\b(?:therefore|thus|then|clearly|probably|most likely|likely|option|choice|answer|letter|the|correct|one|is"
    rf"|(?:first|second|third|fourth|fifth|last)(?:\sone)?,?)\b,?|,?\s*I think,?){{0,8}}{_OPENING}"
)
_CHOICE = re.compile(f"(?i:{_BEFORE_LETTER}){_LETTER}")
_NAMES = r"(?:(?i:the|correct|right|final|best|answer|option|choice|letter|statement|is)\b[\s:.*(]*){0,8}"
_ONE = re.compile(rf"[\s(\[*]*{_NAMES}([A-Ja-j])[\s)\]*]*")
_ALONE = re.compile(  # (B), Option B, B. 42, B: east, B) east, B east
    rf"[\s(\[$*\"'`]*{_NAMES}(?:([B-HJ])|([AI])(?!\s+[a-z]))(?![A-Za-z\d_'-])(?![)*\]\s]{{0,4}}(?:{_CONNECTED}|;)[\s(]*[A-J](?![A-Za-z]))"
    r"(?=[)\]*\"'`$]{0,6}\s*(?:\Z|[).:,;]|[-\u2013\u2014]\s+|(?<=[\s)])(?:[A-Za-z]{2}|[\d$(]|\\(?!(?:c[au]p|times|cdot|pm|mp|to|in|[lgn]eq?|sub|sup|land|lor|wedge|vee)))))"
)
_LIST = re.compile(rf"[\s(]*[A-J]\)?(?:[\s)]*(?:{_CONNECTED}|;)[\s(]*[A-J]\)?)+[\s)]*")
_SPACING = re.compile(r"\\(?:[,;:! ]|q?quad(?![a-z]))|~")
_COMMAND = re.compile(  # those that lay out; any other, as \\angle, is part of a formula
    r"\\(?:text[a-z]*|math[a-z]*|boldsymbol|bm|bf|rm|it|f?boxed|fbox|[mh]box|left|right|displaystyle|[bB]igg?[lr]?|[lL]arge|LARGE|[hH]uge|emph"
    r"|underline|ensuremath|operatorname)(?![A-Za-z])\*?|\\?[{}]|\\(?=[&$])"
)
_FONT = re.compile(r"\\(?:text(?:bf)?|math(?:bf|rm)|boldsymbol)(?=\{)|\\[()\[\]]")

# What says that it is the one --------------------------------------------------------------------------------------

_ASSERTED = re.compile(  # what a letter must follow to be the choice
    r"(?<![A-Za-z])(?:answer|ans|option|choice|selection|alternative|statement|response|letter|solution|correct one)s?\b"
    r"(?:(?:(?!\bcannot\b|n't\b)[^.\n?:]){0,80}?\b(?:is|are|be|was)\b|[^.\n?]{0,40}?:|[^.\n?]{0,40}?(?:=>?|\s[-\u2013\u2014]|->|\u2192))|(?<![A-Za-z])ans\."
    r"|\b(?:it(?:'s| is| must be)|I(?:'d| would) say|(?:that|which) leaves|left with|that's|has to be|matches|vote:|final:|correct:)"
    r"(?=[\s(*\"']{0,6}[A-J]\b[)*\"']{0,4}[.!]?\s*(?:\n|\Z))"
    r"|\b(?:choose|select|pick|chose|chosen|picked|selected|go(?:ing)? with)\b"
    r"|(?:^|(?<=[.\n,;]))\W{0,8}(?:Therefore|Thus|Hence|So)\b,?(?:\s*it(?:'s| is| must be)\b)?"
    r"|\b(?:not|nor)\s+\W{0,3}[A-J]\W{0,3}\s*but(?:\s+rather)?\b",
    re.IGNORECASE | re.MULTILINE,
)
_IS_CORRECT = re.compile(  # (B) is correct, C fits best, C it is
    r"(?<![\w'\\])(?:\(?([A-J])|\(([a-j]))[)\]*\"']{0,4}(?i:\s+(?:is|must be|seems)\s+(?:the\s+|therefore\s+|indeed\s+|clearly\s+){0,3}"
    r"(?:correct|right|best|answer|one\s+that)\b|\s+fits\s+best\b|\s+it\s+is\b(?=[.!]?\s*(?:\n|\Z)))"
)
_ONLY = re.compile(  # Only (C) satisfies both; that makes C the best choice
    r"\bmakes\s+[(*\"']{0,4}([A-J])[)*\"']{0,4}\s+(?:the|our)\s(?:[a-z]{1,10}\s)?(?:answer|choice|option)\b|"
    r"\b[Oo]nly\s+(?:option\s+|choice\s+|answer\s+|statement\s+)?[(*\"']{0,4}([A-J])[)*\"']{0,4}\s+(?:satisfies|works|fits|matches|holds|remains|is\s+left)\b"
)
_NAMED = rf"\b(?i:option|choice|answer|alternative)\b[ *_:$({{\[\"'\u201c]{{0,12}}{_LETTER}"
_MENTIONED = re.compile(rf"{_NAMED}(?=[)\]}}*\"'\u201d]{{0,6}}[.!])|\A\W{{0,12}}{_NAMED}[\W_]{{0,12}}\Z")  # Option B.
_LINE = re.compile(  # B) 42
    rf"(?:Q\d{{1,6}}:)?[^\w\n]{{0,20}}(?:(?i:option|choice)\s[(*]{{0,4}})?{_LETTER}(?:[)\]}}*$.,:\"']|\s+[-\u2013\u2014:]\s+(?=[A-Za-z]{{2}})|\s*\Z)"
)
_BARE_LINE = re.compile(rf"\W{{0,20}}{_LETTER}\W{{0,20}}|\W{{0,20}}{_LETTER},? (?:because|since|as) .*")
_SEVERAL = re.compile(r"\([A-J]\)|(?<![A-Za-z])[A-J][).](?!\w)")
_NON_WORDS = re.compile(r"[\W_]+")


def choice_in(answer: str) -> str | None:
    r"""The letter of a short answer: alone, or before what it stands for; None for a formula, and for several letters.

    Example:

    >>> [choice_in(answer) for answer in ("(B)", "b", "B. 42", r"\text{B}", "42", "B^2 - 4AC", "A, C")]
    ['B', 'B', 'B', 'B', None, None, None]
    """
    answer = _SPACING.sub(" ", unicodedata.normalize("NFKC", answer[:MAX_ANSWER_CHARS]))
    answer = _COMMAND.sub("", answer).strip(" .$*_'\"`<>")
    letter = _ONE.fullmatch(answer) or _ALONE.match(answer)
    return next(group for group in letter.groups() if group).upper() if letter else None


def _has_several(answer: str) -> bool:
    """Whether an answer is a list of letters: A, C; A and C."""
    return bool(_LIST.fullmatch(_COMMAND.sub("", _SPACING.sub(" ", answer)).strip(" .$*_'\"`<>")))


def _letter(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group).upper()


def _mark_up(match: re.Match[str]) -> str:
    return match[0].upper().replace(_letter(match), "")


def _asserted(text: str) -> re.Match[str] | None:
    """The last letter that `text` says is right."""
    said = [(match.start(), match) for pattern in (_IS_CORRECT, _ONLY) for match in pattern.finditer(text)]
    for lead in _ASSERTED.finditer(text):
        letter = _CHOICE.match(text, lead.end())
        is_heading = lead[0].endswith(":") and "answer" not in lead[0].lower() and letter and "\n" in letter[0]
        if letter and not is_heading and not is_taken_back(text, lead):  # "each option:" and a list of them below
            said.append((lead.start(), letter))
    if not said or not text.isascii():  # most responses are in English
        said += [pair for row in languages_of_choice(text.lower()) for pair in _asserted_in(row, text)]
    return max(said, key=lambda pair: pair[0])[1] if said else None


def _asserted_in(language: Language, text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """The letters that `text` says are right in another language, and where it says so."""
    text = JOINED_TAIL.sub("", text)  # B'dir
    for lead in choice_lead_of(language).finditer(text):
        option = option_of(language).match(text, lead.end())
        if letter := _CHOICE.match(text, option.end() if option else lead.end()):
            yield lead.start(), letter
    yield from ((match.start(), match) for match in choosing_of(language).finditer(text))


def _lone(text: str) -> re.Match[str] | None:
    """The letter that the last line begins with, unless that line ends a list of choices: it goes on from the one before."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    last = _LINE.match(lines[-1]) or _LINE.match(lines[-1].rpartition("#### ")[2])
    before = _LINE.match(lines[-2]) if len(lines) > 1 else None
    is_bare = len(_NON_WORDS.sub("", lines[-1])) == 1
    first = _BARE_LINE.fullmatch(lines[0])
    if last is None or len(_SEVERAL.findall(lines[-1])) > 1:
        return first
    is_listed = (
        before is not None and _mark_up(before) == _mark_up(last) and ord(_letter(last)) == ord(_letter(before)) + 1
    )
    return first if is_listed and not is_bare else last


def find_choice(text: str) -> Found:
    """
    The letter that a response chooses: boxed, or the last that it asserts, not one that it only discusses.

    Example:

    >>> find_choice("A is too small, so the answer is (B)."), find_choice("Both A and C look plausible.")
    (Found(answer='B', form='statement'), Found(answer=None, form='unmarked'))
    """
    response = Response.read(text)
    boxes = response.last_boxes()
    if boxes and (letter := choice_in(boxes[0])):
        return Found(letter, "box")
    # a boxed formula is no choice, but the line behind it may be; several letters leave only what is said later
    start = boxes[1] if boxes and _has_several(boxes[0]) else 0
    found = _unboxed(_FONT.sub("", response.text[start:][-MAX_STATED_CHARS:]))
    if found:
        return found
    return Found(None, "wrong_type") if boxes else missing(response)


def _unboxed(plain: str) -> Found | None:
    """The letter that a response chooses in words."""
    if said := _asserted(plain):
        return Found(_letter(said), "statement")
    mentioned = [*_MENTIONED.finditer(plain)]
    if mentioned and not re.search(r"\w", plain[mentioned[-1].end() :]):
        return Found(_letter(mentioned[-1]), "conclusion")
    if lone := _lone(plain):
        return Found(_letter(lone), "lone")
    return None
