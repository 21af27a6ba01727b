"""A response as a model gives it: cleared of what does not belong to it, and the boxes in it.

[`Response`] holds both, so that a text is cleaned once and searched for boxes once, whatever is then looked for in it.
What is done here takes time linear in the text, whatever it is made of: no regular expression repeats anything without
a bound where it may start anywhere.
"""

import re
from typing import NamedTuple

from .blanks import says_nothing
from .normalize import MAX_ANSWER_CHARS
from .numerals import ASCII_DIGITS, ASCII_MARKS
from .thoughts import breaks_off, said_in


MAX_RESPONSE_CHARS = 100_000  # 25,000 tokens or more; what stands further from the end is not the final answer
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_INVISIBLE = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD))
# The full stops of other scripts; a Chinese response may end each item of a list with "\uff61"
_STOPS = dict.fromkeys((0xFF61, 0x06D4, 0x1362), "\u3002")
_BRACKETS = {0x3010: "[", 0x3011: "]", 0x3014: "[", 0x3015: "]"}
_REPLACED = _FULL_WIDTH | _INVISIBLE | ASCII_DIGITS | ASCII_MARKS | _STOPS | _BRACKETS
UNFINISHED = "<think>"  # what is left of a response that is still thinking
# <|im_end|>; or, as base models write it, a line that begins with "Human:"
_CHAT_MARKER = re.compile(
    r"<\|\w{1,20}\|>|</s>|^(?:Human|User|### (?:Instruction|Question|Problem|User)):?(?=[ \n])", re.MULTILINE
)
_CHAT_WORDS = ("<|", "</s>", "Human", "User", "### ")
_ROLES = ("assistant", "model", "final", "analysis")  # the words between two markers that say who speaks
_QUOTE = re.compile(r"^[ \t]{0,3}>[ \t]?", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]{0,8}```\w{0,20}[ \t]*$", re.MULTILINE)  # ```python
_SPACES = re.compile(r"\s{3,}")
_ANSWER_TAG = re.compile(r"<(/?)(?:final_?)?answer>|\[(/?)(?:final_?)?answer\]", re.IGNORECASE)
_COURTESY = re.compile(  # I hope this helps!
    r"[\s*]{0,4}\b(?:I hope (?:it|this|that)\b|(?:Please )?[Ll]et me know\b|(?:Please )?[Ff]eel free\b|Hope (?:it|this|that)\b"
    r"|(?:Do|If|Would) you\b|This is (?:the|my|our) (?:final )?(?:answer|solution)\b(?!\s*:)|Thank(?:s| you)\b|Is there anything\b"
    r"|Good luck\b|Done[.!])[^\n]*\s*\Z"
)
_COURTESY_CHARS = 300
_COURTESY_WORDS = ("ope ", "et me know", "eel free", "you", "This is ", "Thank", "Is there ", "Good luck", "Done")
_ORNAMENT = re.compile(  # a line drawn below the last paragraph, an emoji, the sign of a proof's end
    r"(?:\n\s*(?:-{3,9}|\*{3,9}|_{3,9}|={3,9})|[\s\u2600-\u27bf\u25a0-\u25ff\u2b50\u220e\ufe0f\U0001f000-\U0001faff]+"
    r"|(?:\$\$?|\\\(|\\\[)?\s*\\(?:blacksquare|square|Box|qed)\s*(?:\$\$?|\\\)|\\\])?|\bQ\.?E\.?D\b\.?)\s*\Z"
)
_ORNAMENT_WORDS = ("square", "Box", "qed", "Q")
_ORNAMENT_WORD_CHARS = 40


def response_of(text: str) -> str:
    """`text` without the next turns that a model invents, without thoughts, and without courtesies.

    Only the last `MAX_RESPONSE_CHARS` characters count, and no run of white space is longer than two. A response that ends
    within a thought is `UNFINISHED`; one that says nothing behind its thoughts is empty. Digits of any script are ASCII.

    Example:

    >>> response_of("<think>Is it 4? No.</think>It is 5. I hope it is correct.<|im_end|>")
    'It is 5.'
    """
    text = text[-MAX_RESPONSE_CHARS:]
    text = text if text.isascii() else text.translate(_REPLACED)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _FENCE.sub("", text) if "```" in text else text
    text = _SPACES.sub(lambda run: "\n" * min(2, run[0].count("\n")) or " ", text)
    text = _own_turn(text)
    if text == UNFINISHED or breaks_off(text):
        return UNFINISHED
    if "<" in text or "[" in text:
        text = _tagged(text) or text
    while end := _courtesy_or_ornament(text):
        text = text[: end.start()].rstrip()
    return _QUOTE.sub("", text) if text.rpartition("\n")[2].startswith(">") else text


def _courtesy_or_ornament(text: str) -> re.Match[str] | None:
    """The match of either pattern, which is looked for only where something that it cannot do without is found."""
    start = max(0, len(text) - _COURTESY_CHARS)
    tail, last = text[start:], text[-1:]
    courtesy = _COURTESY.search(text, start) if any(word in tail for word in _COURTESY_WORDS) else None
    if courtesy:
        return courtesy
    may_be_ornament = last in set("-*_=") or last.isspace() or not last.isascii()
    if may_be_ornament or any(word in tail[-_ORNAMENT_WORD_CHARS:] for word in _ORNAMENT_WORDS):
        return _ORNAMENT.search(text, start)
    return None


def _own_turn(text: str) -> str:
    """The last thing that the model's own turn says outside of thoughts, or `UNFINISHED`."""
    said = said_in(text)
    last = ""
    for piece in said.pieces:
        turns = _CHAT_MARKER.split(piece) if any(word in piece for word in _CHAT_WORDS) else [piece]
        for n, turn in enumerate(turns):
            if (turn := turn.strip()) and turn not in _ROLES:
                last = turn
                if n < len(turns) - 1:  # what follows a marker is another's, its thoughts included
                    return last
                break
    return UNFINISHED if said.is_thinking else last


def _tagged(text: str) -> str | None:
    """What stands in the last pair of tags, <answer>...</answer>."""
    start, found = None, None
    for tag in _ANSWER_TAG.finditer(text):
        if "/" not in tag[0]:
            start = tag.end()
        elif start is not None:
            start, found = None, text[start : tag.start()].strip()
    return f"Answer: {found}" if found and "\n" not in found and not Response.of(found).boxes else found


# Boxes -------------------------------------------------------------------------------------------------------------


class Box(NamedTuple):
    """Where a box starts and ends, and where its content does."""

    start: int
    content_start: int
    content_end: int
    end: int


_BOX_TOKEN = re.compile(  # \boxed{, \boxed 5, \boxed\frac{1}{2}, an escaped character, or a brace
    r"\\{1,4}(?:boxed|fbox|framebox)\s*"
    r"(?:\{|(?P<bare>\d{1,40}(?![\w.{])|[A-Za-z](?![\w{])|\\[dt]?frac\{\w{1,40}\}\{\w{1,40}\}))|\\.|[{}]",
    re.DOTALL,
)
_SPACE = r"(?:\\[()\[\],;! ]|\\q?quad|[\s$.])*"
_MAX_GAP_CHARS = 60
_BETWEEN = re.compile(  # two boxes of one list: a comma, "and", "or $x_2 =$"
    rf"{_SPACE}(?:[,;&+]+|(?:,\s*)?(?:\w+\s+){{0,3}}(?:and|or)\b|,?\s*\\text\{{[^{{}}]*\b(?:and|or)\s*\}})"
    rf"(?:{_SPACE}\w{{1,2}}(?:_\w)?\s*=)?{_SPACE}"
)


class Response(NamedTuple):
    r"""What the finders of an answer share of one response.

    Args:
        text (`str`): The response as [`response_of`] leaves it.
        closed_boxes (`list[Box]`): Each box whose braces balance, in the order of starts.
        boxes (`list[Box]`): Those of them that say something: no empty one, and none that holds a placeholder.

    Example:

    >>> response = Response.read(r"<think>Is it 4? No.</think>First \boxed{7}. Now $x = \boxed{1}$ or $x = \boxed{2}$")
    >>> response.text
    'First \\boxed{7}. Now $x = \\boxed{1}$ or $x = \\boxed{2}$'
    >>> len(response.boxes), response.last_boxes()
    (3, ('1, 2', 54))
    """

    text: str
    closed_boxes: list[Box]
    boxes: list[Box]

    @classmethod
    def read(cls, text: str) -> "Response":
        """The response in what a model wrote."""
        return cls.of(response_of(text))

    @classmethod
    def of(cls, text: str) -> "Response":
        """A response that is clean already."""
        boxes = _closed_boxes(text)
        return cls(text, boxes, [box for box in boxes if not says_nothing(text[box.content_start : box.content_end])])

    @property
    def tail(self) -> str:
        """The end of the response, as far as a conclusion can reach back."""
        return self.text[-MAX_ANSWER_CHARS:]

    def last_boxes(self) -> tuple[str, int] | None:
        """The last box, together with those that make one list with it, and where it ends."""
        if not self.boxes:
            return None
        chosen = [self.boxes[-1]]
        for before, after in zip(self.boxes[-2::-1], self.boxes[:0:-1], strict=True):
            num_between = after.start - before.end
            if not 0 <= num_between <= _MAX_GAP_CHARS or not (
                num_between == 0 or _BETWEEN.fullmatch(self.text, before.end, after.start)
            ):
                break
            chosen.append(before)
        contents = [self.text[box.content_start : box.content_end].strip() for box in reversed(chosen)]
        return ", ".join(dict.fromkeys(contents)), self.boxes[-1].end


def _closed_boxes(text: str) -> list[Box]:
    """Each box whose braces balance; one pass."""
    first = text.find("box")
    if first < 0:
        return []
    start = len(text[: text.rfind("\\", 0, first) + 1].rstrip("\\"))  # braces further up enclose boxes or are closed
    opened: list[tuple[int, int] | None] = []  # a box: where it starts and its content does; another brace: None
    found: list[Box] = []
    for token in _BOX_TOKEN.finditer(text, start):
        if token["bare"]:
            found.append(Box(token.start(), token.start("bare"), token.end(), token.end()))
        elif "box" in token[0]:
            opened.append(token.span())
        elif token[0] == "{":
            opened.append(None)
        elif token[0] == "}" and opened and (box := opened.pop()) is not None:
            found.append(Box(*box, token.start(), token.end()))
    return sorted(found)
