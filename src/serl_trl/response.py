"""A response as a model gives it: cleared of what does not belong to it, and the boxes in it."""

import re


_CHAT_MARKER = re.compile(r"<\|\w{1,20}\|>|</s>")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_TAGGED = re.compile(r"<answer>((?:(?!<answer>).)*)</answer>", re.DOTALL | re.IGNORECASE)
_COURTESY = re.compile(
    r"[\s*]*\b(?:I hope (?:it|this|that)\b|(?:Please )?[Ll]et me know\b|(?:Please )?[Ff]eel free\b|Hope (?:it|this|that)\b"
    r"|(?:Do|If|Would) you\b|This is (?:the|my|our) (?:final )?(?:answer|solution)\b|Thank you\b|Is there anything\b|Good luck\b)[^\n]*\s*\Z"
)


def response_of(text: str) -> str:
    """`text` without the next turns that a model invents, without finished thinking, and without courtesies.

    Example:

    >>> response_of("<think>Is it 4? No.</think>It is 5. I hope it is correct.<|im_end|>")
    'It is 5.'
    """
    text = re.sub(r"^\s*```\w*\s*$", "", text.translate(_FULL_WIDTH), flags=re.MULTILINE).strip()
    while marker := _CHAT_MARKER.search(text):
        text = text[: marker.start()].rstrip() or text[marker.end() :].lstrip()
    _, closed, rest = text.rpartition("</think>")
    text = rest.strip() if closed and rest.strip() else text
    if tagged := _TAGGED.findall(text):
        text = tagged[-1].strip()
    while courtesy := _COURTESY.search(text, max(0, len(text) - 300)):
        text = text[: courtesy.start()].rstrip()
    return text


# Boxes -------------------------------------------------------------------------------------------------------------

_BOX_TOKEN = re.compile(
    r"\\+(?:boxed|fbox|framebox)\s*(?:\{|(?P<bare>\d+(?![\w.{])|[A-Za-z](?![\w{])|\\[dt]?frac\{\w+\}\{\w+\}))|\\.|[{}]",
    re.DOTALL,
)
_SPACE = r"(?:\\[()\[\],;! ]|\\q?quad|[\s$.])*"
_BETWEEN = re.compile(  # two boxes of one list
    rf"{_SPACE}(?:[,;&+]+|(?:,\s*)?(?:\w+\s+){{0,3}}(?:and|or)\b|,?\s*\\text\{{[^{{}}]*\b(?:and|or)\s*\}})(?:{_SPACE}\w{{1,2}}(?:_\w)?\s*=)?{_SPACE}"
)


def boxes_of(text: str) -> list[tuple[int, int, str]]:
    """Start, end and content of each box whose braces balance, in the order of starts; one pass, linear."""
    opened: list[tuple[int, int] | None] = []  # a box: where it starts and its content does; another brace: None
    found: list[tuple[int, int, str]] = []
    for token in _BOX_TOKEN.finditer(text):
        if token["bare"]:
            found.append((*token.span(), token["bare"]))
        elif "box" in token[0]:
            opened.append(token.span())
        elif token[0] == "{":
            opened.append(None)
        elif token[0] == "}" and opened and (box := opened.pop()) is not None:
            content = text[box[1] : token.start()]
            if not re.fullmatch(r"(?:\\text\{\s*\}|\s|\$)*", content):  # an empty box says nothing
                found.append((box[0], token.end(), content))
    return sorted(found)


def last_boxes(text: str) -> tuple[str, int] | None:
    """The last box, together with those that make one list with it, and where it ends."""
    boxes = boxes_of(text)
    if not boxes:
        return None
    contents = [boxes[-1][2]]
    for before, after in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        gap = text[before[1] : after[0]]
        if before[1] > after[0] or len(gap) > 60 or not (_BETWEEN.fullmatch(gap) or not gap):
            break
        contents.append(before[2])
    return ", ".join(dict.fromkeys(content.strip() for content in reversed(contents))), boxes[-1][1]
