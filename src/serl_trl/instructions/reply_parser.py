"""Instructions out of what the policy wrote: items of lists told apart, and what is no part of them cut off.

Three steps: chat markers, fences and thoughts are removed; lines are put together to items; what solves an item, or
talks about it, is cut off. Nothing is rewritten but white space, and the time is linear in the length of the reply.
"""

import re
from collections.abc import Iterator

from ..answers import is_planning, said_in
from ..types import Reply


# Marks of a chat: those that open the reply's own turn are removed, and where that turn ends the reply ends.
_TURN_START = re.compile(
    r"\A(?:\s|<\|(?:im_start|start_header_id|assistant|end_header_id|begin_of_text)\|>|<start_of_turn>|<s>|\[/INST\]"
    r"|(?:assistant|model)\s*(?::|\n|(?=<\|)))+",
    re.IGNORECASE,
)
_TURN_END = re.compile(
    r"<\|[a-z_]{1,20}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|^(?:(?:user|human|assistant):|(?:user|system)$)",
    re.IGNORECASE | re.MULTILINE,
)
_FENCE = re.compile(r"^(?:```|~~~).*$", re.MULTILINE)

# What an item may start with: "7.", "(7)", "**Problem 7:**", "Q7:", "### Question 7", "Problem:"; or a bullet. A number
# followed by a digit is a number: "3.5 apples".
_STAR = r"(?:\*\*|__)?"
_NOUN = r"(?:new |next |example |practice )?(?:problem|question|exercise|example|instruction|task|prompt|q)"
_NUMBERED = re.compile(
    rf"(?:\#{{1,6}} )?{_STAR}(?:(?:{_NOUN} ?\#?)?(\d{{1,6}}) ?{_STAR}[.):](?!\d)|[(\[]\d{{1,6}}[)\]][.:]?(?=[ *]|$)"
    rf"|{_NOUN} ?{_STAR}:|{_NOUN} \#?\d{{1,6}}{_STAR}(?: [-–—]|$))(?: ?{_STAR})(?: |(?=\W|\w)|$)",
    re.IGNORECASE,
)
_BULLET = re.compile(rf"(?:[-*+•·◦‣–]|\\item) {_STAR}")
_CHATTER = re.compile(
    r"\W*(?:sure|certainly|of course|okay|absolutely|great|here(?:['’]s| is| are)|below (?:is|are)|the following (?:is|are)"
    r"|i(?:['’]ve| have| will|['’]ll))\b",
    re.IGNORECASE,
)

_SENTENCE_START = re.compile(r"(?:\A|(?<=[.?!:)\]}$*]) |\n)")
_REQUEST = re.compile(
    r"[^.?!\n]{0,500}[?？]|[^\w\\\n]{0,20}(?:add|arrange|calculate|compute|convert|count|decide|define|describe|determine|divide|estimate"
    r"|evaluate|expand|explain|express|factor|find|give|graph|how|identify|list|multiply|prove|round|show|simplify|solve"
    r"|state|subtract|verify|what|when|where|which|who|why|write)\b",
    re.IGNORECASE,
)
_CHOICES = re.compile(r"\W*(?:\\(?:textbf|text|mathrm)\{ ?)?\(?[A-E1-5][).:]|\[asy\]|\\begin\{", re.IGNORECASE)

# What is no part of an instruction, wherever a sentence or a line starts with it.
_LABEL = re.compile(
    r"[*_#(\[> ]*(?:(?:(?:the|my|your) |an? (?=more |detailed |possible |sample ))?(?:more )?(?:(?:final|correct|right|sample|possible|detailed|expected) )?"
    r"(?:solution|answer|ans|explanation|reasoning|response|hint)s?(?: ?#?\d{1,3})?(?:[*_)\]]* ?(?::|[-–—=] )|[*_. ]*(?:\n|$))"
    r"|(?:sol|ans)\. |####|(?:=>|⇒|→|->) |a: (?![^\n]{0,500}\bb:)|to solve\b[^.?!\n]{0,160}(?:,|:| by )|step \d{1,2}\b)",
    re.IGNORECASE,
)
# The same, once something has been asked: "We have 5 apples." may open a problem.
_WORKING = re.compile(
    r"[*_ ]*(?:let['’]s|let us|let me|(?:so|thus|hence|therefore|first|now|then|next|since), ?(?:we|let|you|i|the answer)"
    r"|(?:we|i|you) (?:can|know|need|have to|first|start|must|will|get|are|want|hope|think)|feel free|i['’]ll|i['’]ve"
    r"|to (?:find|determine|calculate|answer|compute|simplify|evaluate|prove|get|factor|convert)\b[^.?!\n]{0,160},? ?(?:we|you|let)"
    r"|(?:this|these|the (?:above|new|given)) (?:problem|question|exercise)s?|so i think)\b",
    re.IGNORECASE,
)
# "The answer is 4." is a solution, "The answer is an integer." is not; nor is an empty box.
_STATED_VALUE = re.compile(
    r"[*_ ]*(?:(?:so|thus|hence|therefore),? )?(?:the )?(?:final |correct )?answer (?:is|would be|will be)[: $*]*"
    r"(?:\\boxed\{|\\frac|\\\(|-?[\d.,/]*\d%?(?: [a-z]+)?[ $*]*(?:[.!\n](?!\d)|$))",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\boxed ?\{ ?[^} ]")
_BARE_VALUE = re.compile(r"[ \n$*(=]*-?[\d.,/]*\d%?(?: [a-z]+){0,2}[ .)*$]*$", re.IGNORECASE)
_CALCULATION = frozenset("0123456789.,+-*/()$=>×÷ \n")


def parse_reply(reply: Reply) -> list[str]:
    """
    The instructions of a reply: the items of its list, or all of its text where it is no list.

    An item starts with a number, a bullet, "Problem 7:" or the like; without any, each line, or each paragraph, that
    asks for something is an item of its own. White space is folded; nothing else of the text is changed. Cut off are
    solutions that follow ("Solution: ...", "=> 12", "The answer is 4.", a box, "To find x, we ...", a bare value
    behind the question mark), what is said about the list, and a truncated last item.

    Args:
        reply ([`~serl_trl.types.Reply`]): What the policy wrote. It may be anything.

    Returns:
        `list[str]`: The instructions in order, none of them empty.

    Source: ours. The official code takes what follows the last number and re-cases it (`\\Delta` becomes `\\delta`).

    Example:

    ```python
    >>> parse_reply(Reply("9. What is 7 - 2?\\n10. What is 8 + 8? Answer: 16\\n11. What is"))
    ['What is 7 - 2?', 'What is 8 + 8?', 'What is']
    >>> parse_reply(Reply("9. What is 7 - 2?\\n10. What is", is_truncated=True))
    ['What is 7 - 2?']

    ```
    """
    text, has_ended = _own_turn(reply.text)
    if reply.is_truncated and not has_ended and is_planning(text):
        return []  # the prompt opened a thought that ran out of tokens
    items, is_last_open = _items(text)
    instructions = [_without_solution(item) for item in items]
    # what ran out of tokens is the instruction, unless something behind it was cut off
    if reply.is_truncated and not has_ended and is_last_open and instructions and instructions[-1] == items[-1]:
        instructions.pop()
    texts = (_without_quotes(" ".join(instruction.split())) for instruction in instructions)
    return [text for text in texts if any(char.isalnum() for char in text) and not text.endswith((":", "\uff1a"))]


def _own_turn(text: str) -> tuple[str, bool]:
    """The text without chat markers, fences and thoughts, white space folded line by line; whether its turn ended."""
    said = said_in(text)
    text = "" if said.is_thinking else _TURN_START.sub("", "".join(said.pieces))
    end = _TURN_END.search(text)
    text = text[: end.start()] if end else text
    lines = (" ".join(line.split()) for line in text.splitlines())
    return _FENCE.sub("", "\n".join(lines)).strip("\n"), end is not None


def _items(text: str) -> tuple[list[str], bool]:
    """The items of a reply, their lines joined by a line break; whether the last line belongs to the last of them."""
    blocks = text.split("\n\n")
    lines = text.split("\n")
    marker = next((marker for marker in (_NUMBERED, _BULLET) if any(map(marker.match, lines))), None)
    if marker is _BULLET and not (_BULLET.match(lines[0]) or _CHATTER.match(lines[0])):
        marker = None  # a list within a problem
    items: list[str] = []
    is_open = True
    for block in blocks:
        for n, (part, is_marked) in enumerate(_parts(block.strip("\n"), marker)):
            is_start = is_marked or not items or (n > 0 and marker is None) or _announces(items[-1])
            is_done = not is_start and n == 0 and _asks(items[-1]) and not _CHOICES.match(part)
            is_open = not is_done or _asks(part)
            if is_start or (is_done and is_open):
                items.append(part)
            elif is_open:
                items[-1] = f"{items[-1]}\n{part}".strip()
    if marker and not marker.match(text) and (_CHATTER.match(items[0]) or items[0].endswith((":", "\uff1a"))):
        del items[0]
    return items, is_open


def _announces(text: str) -> bool:
    return text.endswith((":", "\uff1a")) and _CHATTER.match(text) is not None


def _parts(block: str, marker: re.Pattern[str] | None) -> Iterator[tuple[str, bool]]:
    """What the lines of a paragraph start anew, each with whether it was marked, its marker removed."""
    lines = block.split("\n")
    if marker is None:
        if _announces(lines[0]):
            yield lines.pop(0), False
        is_list = len(lines) > 1 and all(map(_asks, lines))
        yield from ((line, False) for line in (lines if is_list else ["\n".join(lines)]))
        return
    part: list[str] = []
    is_marked = False
    for line in (piece for whole in lines for piece in _pieces(whole)):
        match = marker.match(line)
        if match and (part or is_marked):
            yield "\n".join(part), is_marked
            part = []
        is_marked = is_marked or match is not None
        part.append(_without_stars(line[match.end() :], match[0]) if match else line)
    yield "\n".join(part), is_marked


def _pieces(line: str) -> Iterator[str]:
    """The items of a list whose numbers share a line: "1. What is 2? 2. What is 3?" """
    match = _NUMBERED.match(line)
    while match and match[1] and (border := re.search(rf"(?<=[.?!]) (?={int(match[1]) + 1}[.)] )", line)):
        yield line[: border.start()]
        line = line[border.end() :]
        match = _NUMBERED.match(line)
    yield line


def _without_stars(text: str, mark: str) -> str:
    """The text without the marks of emphasis around it or around what it starts with; `mark` may have opened one."""
    for star in ("**", "__"):
        if mark.count(star) % 2:
            return text.replace(star, "", 1)
        if text.startswith(star) and star in text[2:]:
            return text[2:].replace(star, "", 1)
    return text


def _without_quotes(text: str) -> str:
    is_quoted = text[:1] + text[-1:] in ('""', "“”") and not any(quote in text[1:-1] for quote in '"“”')
    return text[1:-1].strip() if is_quoted else text


def _asks(text: str) -> bool:
    """Whether a sentence of the text asks for something."""
    return any(_REQUEST.match(text, start.end()) for start in _SENTENCE_START.finditer(text))


def _without_solution(text: str) -> str:
    """The text up to where its solution, or talk about it, starts."""
    has_asked = False
    for start in (match.end() for match in _SENTENCE_START.finditer(text)):
        if _LABEL.match(text, start) or (has_asked and _WORKING.match(text, start)):
            text = text[:start].rstrip(" \n*_#([")
            break
        if start > 0 and _STATED_VALUE.match(text, start):
            text = _up_to_question(text, start)
            break
        has_asked = has_asked or _REQUEST.match(text, start) is not None
    boxes = [match.start() for match in _BOX.finditer(text)]
    if boxes and "?" not in text[boxes[0] :]:
        starts = [match.end() for match in _SENTENCE_START.finditer(text, 0, boxes[0])]
        text = _up_to_question(text, max(starts, default=0))
    return _without_value(text)


def _up_to_question(text: str, end: int) -> str:
    """The text before `end`, up to its last question mark if it has one: what lies between is reasoning."""
    return text[: text.rfind("?", 0, end) + 1 or end].rstrip(" \n*_#([$")


def _without_value(text: str) -> str:
    """The text without a value, or a calculation, behind its last question mark; of a bare equation the left side."""
    question = text.rfind("?") + 1
    tail = text[question:]
    if question > 1 and (text[question - 2].isalnum() or text[question - 2] in "$)}"):
        is_calculation = set(tail) <= _CALCULATION and any(map(str.isdigit, tail))
        return text[:question] if is_calculation or _BARE_VALUE.match(tail) else text
    left, equals, _ = text.partition("=")
    if equals and set(text) <= _CALCULATION and any(map(str.isdigit, left)):
        return left.rstrip()
    return text
