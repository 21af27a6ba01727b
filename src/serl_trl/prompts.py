"""What the policy is asked and what it replied: few-shot requests, prompt templates, instructions out of replies."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


Prompt: TypeAlias = str | list[dict[str, str]]  # as in TRL: text, or chat messages


@dataclass(frozen=True)
class Reply:
    """What the policy wrote when asked for instructions.

    Args:
        text (`str`): The decoded completion.
        is_truncated (`bool`): Whether it ended for want of tokens; its last instruction is then unfinished.
    """

    text: str
    is_truncated: bool = False


def few_shot_prompt(shown: Sequence[str]) -> str:
    """
    The request for one more instruction after a numbered list of them.

    Args:
        shown (`Sequence[str]`): The instructions of the list, in order.

    Source: paper section 3.1; our own wording.

    Example:

    ```python
    >>> print(few_shot_prompt(["What is 1 + 1?", "What is 2 + 3?"]))
    Here is a numbered list of problems. Write problem 3: a new one of the same kind, different from all of these. Write the problem only, not its solution.
    <BLANKLINE>
    1. What is 1 + 1?
    2. What is 2 + 3?

    ```
    """
    items = "\n".join(f"{i}. {text}" for i, text in enumerate(shown, 1))
    return (
        f"Here is a numbered list of problems. Write problem {len(shown) + 1}: a new one of the same kind, different "
        f"from all of these. Write the problem only, not its solution.\n\n{items}"
    )


_ITEM = re.compile(
    r"^\s*(?:\*\*)?\s*(?:(?:problem|question)\s*)?(?:\d+\s*[.):](?=\s|\*|$)|[-*•]\s)\s*(?:\*\*)?\s*", re.IGNORECASE
)
_CALCULATION = r"[\s\d.,+\-*/()$=]*"
_SOLUTIONS = (
    re.compile(r"\s*(?:\*\*)?\s*\b(?:solution|answer)\s*(?:\*\*)?\s*:.*", re.IGNORECASE | re.DOTALL),
    # A sentence of its own with a value: "The answer is 4." is a solution, "The answer is an integer." is not.
    re.compile(
        r"(?<=[.?!\n])[\s*]*(?:(?:so|thus|hence|therefore),?\s+)?(?:the\s+)?(?:final\s+|correct\s+)?answer\s+is[\s$*]*"
        r"(?:\\boxed\{|-?[\d.,/]*\d%?(?:\s+[a-z]+)?[\s$*]*(?:[.!\n](?!\d)|$)).*",
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(r"(?<=[.?!\n])[\s$*]*\\boxed\{[^}].*", re.DOTALL),
    re.compile(rf"(?<=\w\?){_CALCULATION}\d{_CALCULATION}$"),
)
_EQUATION = re.compile(rf"({_CALCULATION}?\d[\s)$]*)={_CALCULATION}")  # as a whole: a letter may stand for the unknown


def parse_reply(reply: Reply) -> list[str]:
    """
    The instructions of a reply: the items of its list, or all of its text where it is no list.

    White space is folded; nothing else of the text is changed. A solution that follows an instruction is cut off
    ("Solution: ...", "The answer is 4.", a box, a bare calculation behind the question mark), and so is the last
    instruction of a truncated reply.

    Example:

    ```python
    >>> parse_reply(Reply("9. What is 7 - 2?\\n10. What is 8 + 8? Answer: 16\\n11. What is"))
    ['What is 7 - 2?', 'What is 8 + 8?', 'What is']
    >>> parse_reply(Reply("9. What is 7 - 2?\\n10. What is", is_truncated=True))
    ['What is 7 - 2?']

    ```
    """
    items: list[list[str]] = [[]]
    for line in reply.text.strip().splitlines():
        if _ITEM.match(line) and items[-1]:
            items.append([])
        items[-1].append(_ITEM.sub("", line))
    texts = [" ".join(_without_solution("\n".join(lines)).split()) for lines in items]
    if reply.is_truncated:
        texts.pop()
    return [text for text in texts if text]


def _without_solution(text: str) -> str:
    for solution in _SOLUTIONS:
        text = solution.sub("", text)
    equation = _EQUATION.fullmatch(text)
    return equation[1] if equation else text


@dataclass(frozen=True)
class PromptTemplate:
    """
    How an instruction is put to the policy: as chat messages with an optional system text and worked examples.

    Args:
        user (`str`, *optional*, defaults to `"{instruction}"`):
            The user's message; `{instruction}` stands for the instruction and must occur.
        system (`str`, *optional*):
            The system message.
        examples (`list[dict[str, str]]`, *optional*):
            Worked examples, each with an `instruction` and its `response`, given as earlier turns of the chat.
        continues_list (`bool`, *optional*, defaults to `False`):
            Whether new instructions are asked for as plain text that ends in the next number of the list, instead of
            as a user message. A small chat model talks about the request, but goes on with an unfinished list.

    Raises:
        ValueError: If `user` lacks `{instruction}`, or an example lacks a field.

    Example:

    ```python
    >>> PromptTemplate(user="{instruction} Box the answer.").render("What is 1 + 1?")
    [{'role': 'user', 'content': 'What is 1 + 1? Box the answer.'}]

    ```
    """

    user: str = "{instruction}"
    system: str | None = None
    examples: list[dict[str, str]] = field(default_factory=list)
    continues_list: bool = False

    def __post_init__(self) -> None:
        if "{instruction}" not in self.user:
            raise ValueError(
                f"The user message {self.user!r} of the prompt template lacks the place for {{instruction}}."
            )
        for example in self.examples:
            if set(example) != {"instruction", "response"}:
                raise ValueError(
                    f"A worked example has the fields {sorted(example)}; it needs 'instruction' and 'response'."
                )

    def render(self, instruction: str) -> list[dict[str, str]]:
        """The chat messages that ask for a solution of `instruction`."""
        turns = [{"role": "system", "content": self.system}] if self.system else []
        for example in self.examples:
            turns.append({"role": "user", "content": self._user(example["instruction"])})
            turns.append({"role": "assistant", "content": example["response"]})
        return [*turns, {"role": "user", "content": self._user(instruction)}]

    def _user(self, instruction: str) -> str:
        return self.user.replace("{instruction}", instruction)  # never str.format: the text is the model's


class Deck:
    """
    Endless draws in which every card comes once before one comes again.

    Args:
        cards (`Sequence[str]`): The cards, in any order.
        rng (`random.Random`): Shuffles them; nothing else may draw from it.

    Example:

    ```python
    >>> deck, other = Deck("abc", random.Random(0)), Deck("abc", random.Random(0))
    >>> sorted(next(deck) for _ in range(3))
    ['a', 'b', 'c']
    >>> other.skip(deck.num_dealt)
    >>> next(deck) == next(other)
    True

    ```
    """

    def __init__(self, cards: Sequence[str], rng: random.Random) -> None:
        self.num_dealt = 0
        self._draws = self._endless(list(cards), rng)

    def __next__(self) -> str:
        self.num_dealt += 1
        return next(self._draws)

    def skip(self, num_dealt: int) -> None:
        """Draws what another deck has dealt."""
        for _ in range(num_dealt):
            next(self)

    @staticmethod
    def _endless(cards: list[str], rng: random.Random) -> Iterator[str]:
        while True:
            rng.shuffle(cards)
            yield from cards
