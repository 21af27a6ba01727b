"""The letter, from A to J, that a response to a multiple-choice question chooses."""

import re
import unicodedata

from .extraction import Found, missing
from .latex import MAX_ANSWER_CHARS
from .response import last_boxes, response_of
from .statements import FOREIGN_LEAD, MAX_STATED_CHARS, is_taken_back


_ASSERTED = re.compile(  # what a letter must follow to be the choice
    r"(?<![A-Za-z])(?:answer|ans|option|choice|selection|alternative|statement|response|letter|solution|correct one)s?\b"
    r"(?:[^.\n?]{0,80}?\b(?:is|are|be|was)\b|[^.\n?]{0,40}?:|[^.\n?]{0,40}?(?:=>?|\s[-\u2013\u2014]|->|\u2192))|(?<![A-Za-z])ans\."
    r"|\b(?:it(?:'s| is| must be)|I would say|that leaves)\b(?=[\s(*\"']*[A-J]\b[)*\"']*[.!]?\s*(?:\n|\Z))"
    r"|\b(?:opci\u00f3n|opcion|alternativa)\b[^.\n]{0,30}?\b(?:es|\u00e9)(?: l?a)?(?!\w)|Option\b[^.\n]{0,30}?\bist\b"
    r"|(?:\u9009\u9879|\u6b63\u89e3)\s*(?:\u662f|\u4e3a|\u306f|:)"
    r"|\b(?:choose|select|pick|chose|chosen|picked|selected|go(?:ing)? with)\b|\u6545?\u9009(?:\u62e9)?"
    rf"|{FOREIGN_LEAD}"
    r"|(?:^|(?<=[.\n,;]))\W{0,8}(?:Therefore|Thus|Hence|So)\b,?(?:\s*it(?:'s| is| must be)\b)?"
    r"|\bnot\s+\W{0,3}[A-J]\W{0,3}\s*but(?:\s+rather)?\b",
    re.IGNORECASE | re.MULTILINE,
)
_BEFORE_LETTER = r"(?:\s*\b(?:therefore|thus|then|clearly|probably|most likely|likely|option|choice|answer|letter|the|correct|one|is)\b|,?\s*I think,?){0,8}[\s*_:$({\[\"'`\u201c]{0,12}"
_LETTER = (
    r"(?:(?<=\()([A-Ja-j])(?=\))|([B-HJ])(?![A-Za-z0-9_-]|'[a-z])|([AI])(?![A-Za-z0-9_-]|'[a-z]|\s+[a-z])"
    r"|([a-j])(?=\)|[\"'`*.\u201d\]}$]*\s*(?:\n|\Z)))(?![)*]*,? *(?:and |or )?\(?[A-J]\b)"
)
_CHOICE = re.compile(f"(?i:{_BEFORE_LETTER}){_LETTER}")
_IS_CORRECT = re.compile(
    r"(?<![\w'\\])(?:\(?([A-J])|\(([a-j]))[)\]*\"']*(?i:\s+(?:is|must be|seems)\s+(?:the\s+|therefore\s+|indeed\s+|clearly\s+)*"
    r"(?:correct|right|best|answer)\b)"
)
_MENTIONED = re.compile(
    rf"\b(?i:option|choice|answer|alternative)\b[ *_:$({{\[\"'\u201c]*{_LETTER}(?=[)\]}}*\"'\u201d]*[.!])"
    rf"|\A\W*(?i:option|choice|answer|alternative)\b[ *_:$({{\[\"'\u201c]*{_LETTER}[\W_]*\Z"
)
_LINE = re.compile(rf"(?:Q\d+:)?[^\w\n]*{_LETTER}(?:[)\]}}*$.,:\"']|\s*\Z)")
_BARE_LINE = re.compile(rf"\W*{_LETTER}\W*|\W*{_LETTER},? (?:because|since|as) .*")
_SEVERAL = re.compile(r"\([A-J]\)")
_IN_ANSWER = re.compile(rf"(?<![A-Za-z\\]){_LETTER}")


def choice_in(answer: str) -> str | None:
    r"""The letter of a short answer: `(B)`, `b`, `B. 42`, `\text{B}`."""
    answer = re.sub(r"\\[A-Za-z]+", "", unicodedata.normalize("NFKC", answer[:MAX_ANSWER_CHARS])).strip(" .$*_'\"`{}")
    letter = re.fullmatch("[a-j]", answer) or _IN_ANSWER.search(answer)
    return letter[0].strip("()").upper() if letter else None


def _letter(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group).upper()


def _asserted(text: str) -> re.Match[str] | None:
    """The last letter that `text` says is right."""
    said = [(match.start(), match) for match in _IS_CORRECT.finditer(text)]
    for lead in _ASSERTED.finditer(text):
        letter = _CHOICE.match(text, lead.end())
        is_heading = lead[0].endswith(":") and "answer" not in lead[0].lower() and letter and "\n" in letter[0]
        if letter and not is_heading and not is_taken_back(text, lead):  # "each option:" and a list of them below
            said.append((lead.start(), letter))
    return max(said, key=lambda pair: pair[0])[1] if said else None


def _lone(text: str) -> re.Match[str] | None:
    """The letter that the last line begins with, unless that line ends a list of choices: it goes on from the one before."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    last = _LINE.match(lines[-1]) or _LINE.match(lines[-1].rpartition("#### ")[2])
    before = _LINE.match(lines[-2]) if len(lines) > 1 else None
    is_bare = len(lines[-1].strip(" #*_()[]{}$.:'\"")) == 1
    first = _BARE_LINE.fullmatch(lines[0])
    if last is None or len(_SEVERAL.findall(lines[-1])) > 1:
        return first
    is_listed = last and before and ord(_letter(last)) == ord(_letter(before)) + 1
    return first if is_listed and not is_bare else last


def find_choice(text: str) -> Found:
    """
    The letter that a response chooses: boxed, or the last that it asserts, not one that it only discusses.

    Example:

    >>> find_choice("A is too small, so the answer is (B)."), find_choice("Both A and C look plausible.")
    (Found(answer='B', form='statement'), Found(answer=None, form='unmarked'))
    """
    text = response_of(text)
    if boxes := last_boxes(text):
        letter = choice_in(boxes[0])
        return Found(letter, "box" if letter else "wrong_type")
    plain = re.sub(r"\\(?:text(?:bf)?|math(?:bf|rm)|boldsymbol)(?=\{)|\\[()\[\]]", "", text[-MAX_STATED_CHARS:])
    if said := _asserted(plain):
        return Found(_letter(said), "statement")
    mentioned = list(_MENTIONED.finditer(plain))
    if mentioned and not re.search(r"\w", plain[mentioned[-1].end() :]):
        return Found(_letter(mentioned[-1]), "conclusion")
    if lone := _lone(plain):
        return Found(_letter(lone), "lone")
    return missing(text)
