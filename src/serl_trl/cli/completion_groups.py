"""Completions of any origin, in groups by prompt: what `serl-trl check` and `serl-trl vote` read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..runtime import Rows, column_of, read_rows
from ..types import Completion, completion_text


PROMPT_FIELDS = ("prompt", "problem", "question")
COMPLETION_FIELDS = ("completion", "response", "text")


@dataclass
class Group:
    """
    All completions of one prompt.

    Args:
        prompt (`Any`): The prompt, as the file has it: a text or messages. `None` if the file has none.
        place (`str`): Where the group's first row is, such as `"line 7"`.
        completions (`list`): Texts or messages; an empty text for a completion that is null.
        answer (`Any`, *optional*): The first true answer that the group's rows hold.
    """

    prompt: object
    place: str
    completions: list[Completion] = field(default_factory=list)
    answer: object = None


def read_groups(path: str) -> list[Group]:
    """
    The groups of a JSON Lines or Parquet file, in the order of their first rows.

    Either every row holds a list `completions` and is a group, or every row holds one of `COMPLETION_FIELDS`, and rows
    of the same prompt make a group, also if they lie apart.

    Args:
        path (`str`): The file. All of it is read into memory.

    Raises:
        ValueError: If there is no such file, a row has no completion, or a completion is neither text nor messages.
    """
    rows = read_rows(path, ("completions", *COMPLETION_FIELDS))
    if all(row.get("completions") for row in rows):
        groups = [Group(_prompt_of(row), place) for row, place in zip(rows, rows.places, strict=True)]
        for row, group in zip(rows, groups, strict=True):
            if not isinstance(row["completions"], list):
                raise _no_completion(row["completions"], path, group.place, "'completions' is a list of them")
            group.completions = [_completion(value, path, group.place) for value in row["completions"]]
            group.answer = row.get("answer")
        return groups
    return _gathered(rows, path)


def _gathered(rows: Rows, path: str) -> list[Group]:
    groups: dict[str, Group] = {}
    for row, place in zip(rows, rows.places, strict=True):
        name = next((name for name in COMPLETION_FIELDS if name in row), None)
        if name is None:
            column_of(rows, ("completions", *COMPLETION_FIELDS), path)  # says what is wrong
            raise ValueError(f"{path}, {place}, has no completion.")
        prompt = _prompt_of(row)
        group = groups.setdefault(str(prompt), Group(prompt, place))
        group.completions.append(_completion(row[name], path, place))
        if group.answer is None:
            group.answer = row.get("answer")
    return list(groups.values())


def _prompt_of(row: Mapping[str, Any]) -> Any:
    return next((row[name] for name in PROMPT_FIELDS if row.get(name) is not None), None)


def _completion(value: Any, path: str, place: str) -> Completion:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        completion_text(value)
    except (TypeError, AttributeError):  # no list of messages, or content that is no text
        raise _no_completion(value, path, place, "give text, or a list of messages") from None
    return value


def _no_completion(value: object, path: str, place: str, remedy: str) -> ValueError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:80]} ..."
    return ValueError(f"{path}, {place}, has the completion {shown}, of the type {type(value).__name__}; {remedy}.")
