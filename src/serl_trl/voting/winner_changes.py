"""Which answer won each prompt's last vote, to see how many winners change from one look to the next."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..answers import MAX_ANSWER_CHARS, AnswerType, answer_kind, is_equivalent
from .majority_vote import Vote


class WinnerMemory:
    """
    The last winner of each prompt, for the share of prompts whose winner changes.

    Prompts are known by a hash, and winners are compared as the answer type does, so that `1/2` after `0.5` is no
    change. Of more than `max_prompts` prompts those seen longest ago are forgotten; so is a prompt whose winner is
    longer than any answer that is compared, 1,000 characters.

    Args:
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            As in [`~serl_trl.extract_answer`].
        max_prompts (`int`, *optional*, defaults to `100000`): Most prompts remembered, at least 1.

    Raises:
        ValueError: If there is no such answer type, or `max_prompts` is below 1.

    Example:

    ```python
    >>> from serl_trl import majority_vote
    >>> memory = WinnerMemory()
    >>> memory.update(["1/4+1/4?", "3-1?"], [majority_vote([r"\\boxed{0.5}"]), majority_vote([r"\\boxed{2}"])])
    {'serl/vote/frac_seen_before': 0.0}
    >>> memory.update(["1/4+1/4?", "3-1?"], [majority_vote([r"\\boxed{1/2}"]), majority_vote([r"\\boxed{4}"])])
    {'serl/vote/frac_seen_before': 1.0, 'serl/vote/frac_flipped': 0.5}

    ```
    """

    def __init__(self, answer_type: AnswerType = "math", max_prompts: int = 100_000) -> None:
        answer_kind(answer_type)  # raises if there is no such type
        if max_prompts < 1:
            raise ValueError(f"max_prompts is {max_prompts}; a memory holds at least 1.")
        self.answer_type = answer_type
        self.max_prompts = max_prompts
        self._winners: dict[str, str | None] = {}  # by hash of the prompt, the one seen longest ago first

    def __len__(self) -> int:
        return len(self._winners)

    def update(self, prompts: Sequence[Any], votes: Sequence[Vote]) -> dict[str, float]:
        """
        Compares winners with those remembered, and remembers them.

        Args:
            prompts (`Sequence` of length P): The prompts, strings or messages, at least one.
            votes (`Sequence[Vote]` of length P): Their votes.

        Returns:
            `dict[str, float]`: `serl/vote/frac_seen_before`, the share of prompts seen before, and, if there are any,
            `serl/vote/frac_flipped`, the share of those whose winner changed. To have no winner after having had one,
            or the other way round, is a change.
        """
        num_seen = num_flipped = 0
        for prompt, vote in zip(prompts, votes, strict=True):
            key = _key(prompt)
            if key in self._winners:
                num_seen += 1
                num_flipped += not self._is_same(self._winners.pop(key), vote.answer)
            if vote.answer is None or len(vote.answer) <= MAX_ANSWER_CHARS:
                self._winners[key] = vote.answer
        self._forget()
        metrics = {"serl/vote/frac_seen_before": num_seen / len(prompts)}
        return metrics | ({"serl/vote/frac_flipped": num_flipped / num_seen} if num_seen else {})

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, as data that JSON can hold."""
        return {"winners": [[key, answer] for key, answer in self._winners.items()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """
        Remembers what `state_dict` returned, instead of what is remembered now.

        Raises:
            ValueError: If the state does not come from `state_dict`.
        """
        pairs = state.get("winners") if isinstance(state, Mapping) else None
        if not isinstance(pairs, Sequence) or not all(_is_winner(pair) for pair in pairs):
            raise ValueError(
                f"The state of the vote's winners is {str(state)[:80]!r}, but must be what WinnerMemory.state_dict "
                "returns: {'winners': [[hash, answer or null], ...]}."
            )
        self._winners = dict(pairs)
        self._forget()

    def _is_same(self, before: str | None, now: str | None) -> bool:
        return before == now or is_equivalent(before, now, self.answer_type)

    def _forget(self) -> None:
        while len(self._winners) > self.max_prompts:
            del self._winners[next(iter(self._winners))]


def _key(prompt: object) -> str:
    return hashlib.sha256(json.dumps(prompt, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _is_winner(pair: object) -> bool:
    return (
        isinstance(pair, Sequence)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and (pair[1] is None or isinstance(pair[1], str))
    )
