"""Prompts out of files, datasets and lists: texts or messages, each checked, with the place of what is wrong."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import datasets

from ..runtime import Rows, field_of
from ..types import Prompt


PROMPT_FIELDS = ("prompt", "problem", "question")  # of files and datasets, in the order in which they are looked for


def prompts_of(seeds: datasets.Dataset | Sequence[Any], name: str = "Seed") -> list[Prompt]:
    """
    The seeds as a list, each as [`as_prompt`] has it.

    Args:
        seeds (`datasets.Dataset` or `Sequence`): A dataset with a column `prompt`, or a list of its values.
        name (`str`, *optional*, defaults to `"Seed"`): What an error calls one of them.

    Raises:
        ValueError: If there is no such column, a seed is no prompt, or some are text and some messages.
    """
    if isinstance(seeds, datasets.Dataset):
        if "prompt" not in seeds.column_names:
            others = [name for name in ("messages", *PROMPT_FIELDS) if name in seeds.column_names]
            remedy = f": dataset.rename_column({others[0]!r}, 'prompt')" if others else ""
            raise ValueError(
                f"The {name.lower()}s have the columns {seeds.column_names}; a column 'prompt' is needed{remedy}."
            )
        values = list(seeds["prompt"])
    else:
        values = list(seeds)
    return as_prompts(values, [f"{name} {i}" for i in range(len(values))])


def prompts_of_rows(rows: Rows, origin: str) -> list[Prompt]:
    """
    The prompts of a file's rows, from the first of `PROMPT_FIELDS` that every row has.

    Args:
        rows ([`~files.Rows`]): The rows.
        origin (`str`): What they are from, as an error is to say it.

    Raises:
        ValueError: If no field is in every row, or a value is no prompt; the row is named.
    """
    name = field_of(rows, PROMPT_FIELDS, origin)
    return as_prompts([row[name] for row in rows], [f"{origin}, {place}: {name!r}" for place in rows.places])


def as_prompts(values: Sequence[Any], places: Sequence[str]) -> list[Prompt]:
    """
    Values as prompts of one kind.

    Args:
        values (`Sequence`): What the user gave.
        places (`Sequence[str]`): Where each is from, as an error is to say it.

    Raises:
        ValueError: If one is no prompt, or some are text and some messages.
    """
    prompts = [as_prompt(value, place) for value, place in zip(values, places, strict=True)]
    for prompt, place in zip(prompts, places, strict=True):
        if isinstance(prompt, str) != isinstance(prompts[0], str):
            raise ValueError(
                f"{place} is {shown(prompt)} and {places[0]} is {shown(prompts[0])}; give all as text or all as messages."
            )
    return prompts


def as_prompt(value: object, place: str) -> Prompt:
    """
    A prompt in the one form in which everything else takes it: text, or messages of which each holds text.

    Content that is a list of text blocks becomes their text, one behind the other, as chat templates put them. Fields of a
    message without a value are left out: Arrow fills them in where other messages have them.

    Args:
        value: What the user gave.
        place (`str`): Where it is from, as an error is to say it: `"Seed 3"`.

    Raises:
        ValueError: If it is neither text nor messages, says nothing, has other content than text, or does not end with the
            user's turn. TRL's GRPO would open a second turn of the assistant behind one that is there.

    Example:

    ```python
    >>> as_prompt([{"role": "user", "content": [{"type": "text", "text": "What is 1 + 1?"}]}], "Seed 0")
    [{'role': 'user', 'content': 'What is 1 + 1?'}]

    ```
    """
    if isinstance(value, str):
        return _sound_text(value, place, value)
    if not isinstance(value, list) or not value:
        remedy = " Put the message into a list." if isinstance(value, dict) and "role" in value else ""
        raise ValueError(
            f"{place} is {shown(value)}, of the type {type(value).__name__}; a prompt is text, or a list of messages with "
            f"the fields 'role' and 'content'.{remedy}"
        )
    messages = [_as_message(message, place) for message in value]
    last = messages[-1]
    if last["role"] != "user":
        raise ValueError(
            f"{place} ends with the turn of {last['role']!r}, {shown(last['content'])}; a prompt ends with what the user "
            "asks. Leave that turn out."
        )
    _sound_text(last["content"], place, value)
    return messages


def _as_message(message: object, place: str) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str) or "content" not in message:
        raise ValueError(f"{place} has the message {shown(message)}; a message has the fields 'role' and 'content'.")
    content = message["content"]
    if isinstance(content, list):
        for block in content:
            kind = block.get("type") if isinstance(block, dict) else type(block).__name__
            if kind != "text" or not isinstance(block.get("text"), str):
                raise ValueError(
                    f"{place} has a content block of the type {kind!r}, {shown(block)}; SeRL trains language models on text "
                    "alone. Give blocks of the type 'text', or the text itself."
                )
        content = "".join(block["text"] for block in content)
    elif not (isinstance(content, str) or (content is None and message.get("tool_calls"))):
        raise ValueError(f"{place} has the content {shown(content)} in a message; give text.")
    fields = {name: field for name, field in message.items() if field is not None}
    return {**fields, "content": content if content is None else _writable(content, place)}


def _sound_text(text: str, place: str, value: object) -> str:
    """The text, if it says anything and can be written down."""
    if all(char.isspace() or unicodedata.category(char) in ("Cf", "Cc") for char in text):
        raise ValueError(f"{place} is empty: {shown(value)}. Remove it.")
    return _writable(text, place)


def _writable(text: str, place: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:  # JSON may hold "\ud800"; Arrow and tokenizers take no such text
        half = text[error.start]
        raise ValueError(f"{place} has {half!r}, half of a character, at position {error.start}. Remove it.") from None
    return text


def shown(value: object) -> str:
    """A value on one line, not too long for an error."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]} ..."


def instruction_text(prompt: Prompt) -> str:
    """The instruction in a prompt: all of a text, of messages the content of the last, which is the user's."""
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]
