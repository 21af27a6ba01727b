r"""Thoughts that a model writes before, or instead of, what it has to say: the one reading of them for all who read.

Marks of many models are known: `<think>`, `<thinking>`, `<thought>`, `<reasoning>`, `<seed:think>`, `[THINK]`,
`<|begin_of_thought|>`, the channels of gpt-oss and others, in any case. Where the chat template opens the thought, only
the mark that closes it occurs: all before it is thought. The time is linear in the length of the text.
"""

import re
from typing import NamedTuple


_NAME = r"(?:\w{1,20}:)?(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|inner_monologue)"
_MARK = re.compile(
    r"(?P<close>"
    rf"<\s?/\s?{_NAME}\s?>|\[/(?:think(?:ing)?|thoughts?)\]|\u25c1/think\u25b7|</\|think(?:ing)?\|>"
    rf"|<\|/think(?:ing)?\|>"
    r"|<\|end_?of_?(?:thought|thinking|reasoning)\|>|<\|(?:end_thinking|end_think)\|>"
    r"|<\|channel\|>final(?:\s[^<>]{0,40})?<\|message\|>|<channel\|>|assistantfinal)"
    rf"|<\s?{_NAME}(?:\s[^<>]{{0,80}})?>|\[(?:think(?:ing)?|thoughts?)\]|\u25c1think\u25b7|<\|think(?:ing)?\|>"
    r"|<\|(?:begin|start)_?of_?(?:thought|thinking|reasoning)\|>|<\|(?:start_thinking|start_think)\|>"
    r"|<\|channel\|>(?:analysis|commentary)(?:\s[^<>]{0,40})?<\|message\|>|<\|channel>thought|\Aanalysis(?=[A-Z])",
    re.IGNORECASE,
)


_WORDS = ("think", "thought", "reasoning", "reflection", "scratchpad", "monologue", "channel")


def _may_think(text: str) -> bool:
    """Whether it is worth looking for marks, of which most texts have none."""
    if text.startswith("analysis") or "assistantfinal" in text:  # gpt-oss, decoded without special tokens
        return True
    if "<" in text or "[" in text or "\u25c1" in text:
        lowered = text.lower()
        return any(word in lowered for word in _WORDS)
    return False


class Said(NamedTuple):
    """A text without its thoughts.

    Args:
        pieces (`list[str]`): What stands outside of thoughts, in order; at least one if no thought is open.
        is_thinking (`bool`): Whether the text ends within a thought. It has then said nothing yet.
    """

    pieces: list[str]
    is_thinking: bool


def said_in(text: str) -> Said:
    """What a text says outside of its thoughts.

    Args:
        text (`str`): What a model wrote, with its special tokens or without.

    Returns:
        [`Said`]: The pieces between thoughts, and whether the last thought is still open.

    Example:

    >>> said_in("<think>Is it 4? No.</think>It is 5."), said_in("Is it 4? No.</think>It is 5.")
    (Said(pieces=['', 'It is 5.'], is_thinking=False), Said(pieces=['It is 5.'], is_thinking=False))
    >>> said_in("[THINK]Is it 4?").is_thinking
    True
    """
    if not _may_think(text):
        return Said([text], False)
    pieces: list[str] = []
    start, is_open = 0, False
    for mark in _MARK.finditer(text):
        if mark["close"]:
            if not is_open:
                pieces.clear()  # the template had opened it
            start, is_open = mark.end(), False
        elif not is_open:
            pieces.append(text[start : mark.start()])
            is_open = True
    return Said(pieces if is_open else [*pieces, text[start:]], is_open)


# Thoughts without marks --------------------------------------------------------------------------------------------

_MAX_TAIL_CHARS = 400
_ASKED_TO = re.compile(  # Okay, the user wants new problems
    r"\s*(?:(?:okay|ok|alright|all right|hmm+|hm|well|right)\b[,.!]*\s+)?(?:so\b,?\s+)?(?:the user (?:wants|asks"
    r"|is asking|has|needs)|let me (?:think|see|start|try|come up)"
    r"|let's (?:think|see)|(?:I|we) (?:need|should|have to|must|am asked|are asked|want) )",
    re.IGNORECASE,
)
_DOUBTS = re.compile(  # But wait, is; Let me double-check whether
    r"(?:^|[.!?,;:\n]\s*)(?:(?:but|however|so|and|hmm+|no|okay|oh|well|also|now)\b[,.]?\s+)*"
    r"(?:wait|hmm+|hold on|actually|alternatively|maybe|perhaps|what if|is that|(?:I|we) (?:should|need to|have to"
    r"|must|might|could|want to)"
    r"|let(?:'s| me| us) (?:just |also )?(?:re-?(?:check|read|do|compute|calculate|consider|think|verify|examine"
    r"|visit|count|work|trace|view|phrase|evaluate)"
    r"|double|check|verify|make sure|think|consider|confirm|try|go over|test|ensure|see if))",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"answer|boxed|####|final|(?:option|choice|correct)\w{0,3}\s+(?:is\b|\W{0,3}[A-J]\b(?!\s+\w))", re.IGNORECASE
)
_FINAL = re.compile(r"final answer", re.IGNORECASE)
_LAST_STOP = re.compile(r".*[.!?:\n\u3002](?=\s)", re.DOTALL)


def breaks_off(text: str) -> bool:
    """Whether a text without marks is a thought that ran out of tokens, its opening mark being part of the prompt.

    It stops within a sentence that names no answer, and was in doubt when it stopped ("But wait", "Let me double-check"),
    behind all that it calls the answer. A "final answer", and a check that goes on without a doubt, do not count as one.

    Example:

    >>> breaks_off("It is 7. Therefore, the answer is 7. But let me check whether the 5 are"), breaks_off("It is 7, she")
    (True, False)
    """
    if not text[-1:].isalpha() and text[-1:] not in (",", "(", "'"):
        return False
    tail = text[-_MAX_TAIL_CHARS:]
    stop = _LAST_STOP.match(tail)
    sentence = tail[stop.end() :] if stop else tail
    if len(sentence.split()) < 3 or _CONCLUDES.search(sentence) or _FINAL.search(text):
        return False
    named = [match.end() for match in _CONCLUDES.finditer(tail)]
    return _DOUBTS.search(tail, named[-1] if named else 0) is not None


def is_planning(text: str) -> bool:
    """Whether a text without marks begins as the thoughts of a model that is asked to write something.

    Example:

    >>> is_planning("Okay, the user wants new problems. 1. Apples?"), is_planning("Okay, here are two problems: 1. How many?")
    (True, False)
    """
    return _ASKED_TO.match(text) is not None
