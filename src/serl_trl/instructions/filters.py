"""Filters: each says of an instruction, or of a group's vote share, that it is kept, or names the reason why not."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ..types import Verdict
from .tokenizers import num_words


# The official SeRL code's lists: instructions that a text-only model cannot follow, or whose answer is no number.
BANNED_WORDS: tuple[str, ...] = (
    "image",
    "images",
    "graph",
    "graphs",
    "picture",
    "pictures",
    "file",
    "files",
    "map",
    "maps",
    "draw",
    "plot",
    "go to",
)
BANNED_STARTS: tuple[str, ...] = ("Write a program",)


class InstructionFilter(Protocol):
    """
    What a filter is: any object with a name, under which its verdicts are counted, and a call that gives a [`Verdict`].

    It may have a method `learn(instructions: Sequence[str]) -> None`, which is told what an instruction is compared
    with: first all seeds, at once, then each instruction as it is kept, in every iteration. The built-in novelty filters
    have one. On several processes each has filters of its own that are told the same, so verdicts must not depend on
    chance or time.

    Example:

    ```python
    >>> class AsksSomething:
    ...     name = "question"
    ...
    ...     def __call__(self, instruction):
    ...         return Verdict(True) if instruction.endswith("?") else Verdict(False, "no_question")
    >>> apply_filters("Add 2 and 3.", [LengthFilter(), AsksSomething()])["question"]
    Verdict(kept=False, reason='no_question', value=None)

    ```
    """

    @property
    def name(self) -> str: ...

    def __call__(self, instruction: str) -> Verdict: ...


@dataclass(frozen=True)
class LengthFilter:
    """Keep instructions of a sensible length, in words.

    Words are counted by [`~serl_trl.instructions.tokenizers.num_words`]: what spaces separate, and where a script has
    none, Chinese for one, so many letters as make a word of English.

    Args:
        min_words (`int`, *optional*, defaults to 4):
            Smallest number of words that is kept (official code).
        max_words (`int`, *optional*, defaults to 150):
            Largest number of words that is kept (official code).

    Raises:
        `ValueError`: If not 0 <= `min_words` <= `max_words`.

    Example:

    ```python
    >>> LengthFilter()("What is 2 + 2?")
    Verdict(kept=True, reason=None, value=5)
    >>> LengthFilter()("Why?")
    Verdict(kept=False, reason='too_short', value=1)

    ```
    """

    name: ClassVar[str] = "length"
    min_words: int = 4
    max_words: int = 150

    def __post_init__(self) -> None:
        if not 0 <= self.min_words <= self.max_words:
            raise ValueError(
                f"min_words={self.min_words} and max_words={self.max_words} leave no length to keep; choose "
                "0 <= min_words <= max_words."
            )

    def __call__(self, instruction: str) -> Verdict:
        length = num_words(instruction)
        if length < self.min_words:
            return Verdict(False, "too_short", length)
        if length > self.max_words:
            return Verdict(False, "too_long", length)
        return Verdict(True, None, length)


class KeywordFilter:
    """Reject instructions that ask for what a text-only model cannot do.

    A banned word counts as a whole word, whatever its case ("map" is not in "mapping"); white space inside a banned
    phrase stands for any white space.

    Args:
        banned_words (`Iterable[str]`, *optional*, defaults to `BANNED_WORDS`):
            Words and phrases that must not occur (official code: image(s), graph(s), picture(s), file(s), map(s),
            draw, plot, go to).
        banned_starts (`Iterable[str]`, *optional*, defaults to `BANNED_STARTS`):
            Beginnings that an instruction must not have, whatever their case (official code: "Write a program").

    Raises:
        `ValueError`: If a banned word or start is blank, or one string is passed instead of several.

    Source: the filters of the official code, after Self-Instruct (arXiv 2212.10560); there "Write a program" is
    matched with its case.

    Example:

    ```python
    >>> KeywordFilter()("Please draw the graph of f.")
    Verdict(kept=False, reason='banned_word', value='draw')
    >>> KeywordFilter()("Which mapping is linear?").kept
    True

    ```
    """

    name: ClassVar[str] = "keyword"

    def __init__(
        self, banned_words: Iterable[str] = BANNED_WORDS, banned_starts: Iterable[str] = BANNED_STARTS
    ) -> None:
        for argument in (banned_words, banned_starts):
            if isinstance(argument, str):
                raise ValueError(f"got the single string {argument!r}; pass a list of words, such as [{argument!r}].")
        self.banned_words = tuple(banned_words)
        self.banned_starts = tuple(banned_starts)
        if not all(phrase.strip() for phrase in self.banned_words + self.banned_starts):
            raise ValueError(
                f"a banned word is blank in {self.banned_words + self.banned_starts!r} and would ban every "
                "instruction; remove it."
            )
        self._start = self._pattern(self.banned_starts, r"\A\s*(?:{})")
        self._word = self._pattern(self.banned_words, r"(?<!\w)(?:{})(?!\w)")

    @staticmethod
    def _pattern(phrases: tuple[str, ...], frame: str) -> re.Pattern[str] | None:
        """Return a pattern with one group per phrase, so that a match tells which phrase it was."""
        groups = "|".join("(" + r"\s+".join(map(re.escape, phrase.split())) + ")" for phrase in phrases)
        return re.compile(frame.replace("{}", groups), re.IGNORECASE) if phrases else None

    def __call__(self, instruction: str) -> Verdict:
        for pattern, phrases in ((self._start, self.banned_starts), (self._word, self.banned_words)):
            match = pattern.search(instruction) if pattern else None
            if match and match.lastindex:
                return Verdict(False, "banned_word", phrases[match.lastindex - 1])
        return Verdict(True)


def check_filters(filters: Iterable[InstructionFilter], reserved: Iterable[str] = ()) -> list[InstructionFilter]:
    """
    The filters as a list, once each has been found to be one.

    Args:
        filters (`Iterable[InstructionFilter]`):
            The filters.
        reserved (`Iterable[str]`, *optional*):
            Names that no filter may have.

    Raises:
        `ValueError`: If one is not callable or has no name, two have the same name, or one has a reserved name.
    """
    names = list(reserved)
    filters = list(filters)
    for instruction_filter in filters:
        name = getattr(instruction_filter, "name", None)
        if not callable(instruction_filter) or isinstance(instruction_filter, type):
            raise ValueError(f"the filter {instruction_filter!r} is no object that can be called with an instruction.")
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"the filter {instruction_filter!r} has the name {name!r}; give it a text as its attribute 'name'."
            )
        if name in names:
            raise ValueError(f"the name {name!r} of a filter is taken; give each a name of its own.")
        names.append(name)
    return filters


def apply_filters(instruction: str, filters: Iterable[InstructionFilter]) -> dict[str, Verdict]:
    """Ask filters in order, until one rejects the instruction.

    Args:
        instruction (`str`):
            The instruction.
        filters (`Iterable[InstructionFilter]`):
            The filters, cheap ones first, each with a name of its own.

    Returns:
        `dict[str, Verdict]`: The verdict of each filter that was asked, by name, in order. The instruction is kept if
        all of them kept it; only the last can be a rejection.

    Raises:
        `RuntimeError`: If a filter raises; its error is the cause.
        `TypeError`: If a filter returns anything but a [`Verdict`] of plain Python values.

    Example:

    ```python
    >>> apply_filters("Why?", [LengthFilter(), KeywordFilter()])
    {'length': Verdict(kept=False, reason='too_short', value=1)}

    ```
    """
    verdicts: dict[str, Verdict] = {}
    for instruction_filter in filters:
        name = instruction_filter.name
        try:
            verdict = instruction_filter(instruction)
        except Exception as error:
            raise RuntimeError(
                f"the filter {name!r} raised {type(error).__name__}: {error}, on the instruction {instruction!r}; mend it, "
                "or leave it out of the filters."
            ) from error
        verdicts[name] = verdict
        if not _is_sound(verdict):
            raise TypeError(
                f"the filter {name!r} returned {verdict!r} for the instruction {instruction!r}; it must return a "
                "Verdict(kept: bool, reason: str or None, value: number, str or None)."
            )
        if not verdict.kept:
            break
    return verdicts


def _is_sound(verdict: object) -> bool:
    """Whether it is a verdict that can be counted and written to a file."""
    return (
        isinstance(verdict, Verdict)
        and isinstance(verdict.kept, bool)
        and isinstance(verdict.reason, str | None)
        and isinstance(verdict.value, float | int | str | None)
    )


def tell_filters(filters: Iterable[InstructionFilter], instructions: Sequence[str]) -> None:
    """Tell those filters that want to know what further instructions are compared with; see [`InstructionFilter`]."""
    for instruction_filter in filters:
        learn = getattr(instruction_filter, "learn", None)
        if learn is not None:
            learn(instructions)
