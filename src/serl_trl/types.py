"""What passes between rooms: prompts, completions, replies, rollouts, verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


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


Completion = str | Sequence[Mapping[str, Any]]


def completion_text(completion: Completion) -> str:
    """Text of a completion as TRL passes it: a string, or messages, of which the last of the assistant counts.

    Args:
        completion (`str` or `list[dict]`):
            Plain text, or messages with `role` and `content`: a string, `None`, or a list of content blocks.

    Returns:
        `str`: the text; empty if the assistant said nothing.

    Raises:
        `TypeError`: if the completion is neither a string nor a list of messages.

    Example:

    >>> completion_text([{"role": "assistant", "content": "It is 4."}])
    'It is 4.'
    """
    if isinstance(completion, str):
        return completion
    messages = [m for m in completion if isinstance(m, Mapping)] if isinstance(completion, Sequence) else None
    if messages is None or len(messages) != len(completion):
        raise TypeError(f"a completion is {completion!r}, but must be a string or a list of messages.")
    said = [message.get("content") for message in messages if message.get("role", "assistant") == "assistant"]
    content = said[-1] if said else None
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(block.get("text") or "" for block in content if block.get("type", "text") == "text")


@dataclass(frozen=True)
class Rollout:
    """One completion, before TRL makes tensors of it.

    Args:
        completion_ids (`list[int]`): Its tokens.
        logprobs (`list[float | None]`, *optional*): Their log-probabilities, where the backend reports them.
        completion (`str` or `list[dict]`): Its text, or message, as rewards see it.
    """

    completion_ids: list[int]
    logprobs: list[float | None] | None
    completion: Completion


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a filter decided.

    Args:
        kept (`bool`):
            Whether the item passes.
        reason (`str`, *optional*):
            Why it does not, under the name it is counted by in the logs; `None` if it passes.
        value (`float`, `int` or `str`, *optional*):
            What the decision rests on: a number of words, a similarity, a share, the banned word.

    Example:

    ```python
    >>> Verdict(kept=False, reason="too_short", value=2)
    Verdict(kept=False, reason='too_short', value=2)

    ```
    """

    kept: bool
    reason: str | None = None
    value: float | int | str | None = None
