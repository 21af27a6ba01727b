"""Prompts that a policy answers again and again while it trains, so that a change of mind shows without labels."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from .answers import is_equivalent
from .diagnostics import vote_metrics
from .generation import model_mode, rollouts, sampling_seed
from .prompts import Prompt
from .random_state import isolated_random_state
from .voting import Vote


class Probes:
    """
    The votes of a policy on the same prompts from its first look on.

    A prompt that the policy has written is met once or a few times; on one that stays, a confident answer that is given
    up for another tells what no single vote can. Each look samples as many completions of each prompt as a training step
    does, with its settings and with random numbers of its own, and is the same on every process.

    Args:
        trainer ([`SeRLTrainer`]): Whose policy answers, and whose first [`MajorityVoteReward`] votes.
        prompts (`Sequence[Prompt]`): The prompts, at least one.
    """

    may_begin_anew = True  # resumed from a checkpoint without this state

    def __init__(self, trainer: Any, prompts: Sequence[Prompt]) -> None:
        self.trainer, self.prompts = trainer, list(prompts)
        self._first: list[tuple[str | None, float]] = []  # the winner of each prompt and its share, as first seen
        self._last: list[str | None] = []  # the winners of the last look
        self._num_looks = 0

    @property
    def is_begun(self) -> bool:
        """Whether there was a look."""
        return bool(self._first)

    def look(self) -> dict[str, float]:
        """
        Has the policy answer all prompts once more.

        Returns:
            `dict[str, float]`: `serl/probe/...`: the metrics of [`vote_metrics`]; `length_tokens`, the mean length;
            `frac_flipped`, the share of prompts with another winner than in the look before; `disagreement`, the share of
            prompts with another winner than in the first look, each weighted by the product of its shares then and now.
        """
        trainer = self.trainer
        reward = trainer._group_votes.reward
        seed = random.Random(f"{trainer.args.seed}/probes/{self._num_looks}").getrandbits(32)
        size = max(1, trainer.args.generation_batch_size // trainer.num_generations)
        groups = []
        with model_mode(trainer.model, training=True), isolated_random_state(sampling_seed(trainer, seed)):
            for start in range(0, len(self.prompts), size):
                groups += rollouts(trainer, self.prompts[start : start + size])[0]
        votes = [
            reward.vote([rollout.completion for rollout in group], prompt)
            for group, prompt in zip(groups, self.prompts, strict=True)
        ]
        lengths = [len(rollout.completion_ids) for group in groups for rollout in group]
        metrics = {
            name.replace("serl/vote/", "serl/probe/"): value
            for name, value in vote_metrics(votes, reward.answer_type).items()
        }
        metrics["serl/probe/length_tokens"] = sum(lengths) / len(lengths)
        return metrics | self._compare(votes, reward.answer_type)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold, as data that JSON can hold."""
        return {"first": [list(pair) for pair in self._first], "last": self._last, "num_looks": self._num_looks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` returned; begins anew where that was of another number of prompts."""
        if len(state["first"]) not in (0, len(self.prompts)):
            self._first, self._last, self._num_looks = [], [], 0
            return
        self._first = [(answer, share) for answer, share in state["first"]]
        self._last, self._num_looks = state["last"], state["num_looks"]

    def _compare(self, votes: list[Vote], answer_type: Any) -> dict[str, float]:
        """How the winners differ from those of the last look, and of the first; remembers them."""

        def is_other(before: str | None, now: str | None) -> bool:
            return before != now and not is_equivalent(before, now, answer_type)

        winners, metrics = [vote.answer for vote in votes], {}
        if self._first:
            weights = [share * vote.share for (_, share), vote in zip(self._first, votes, strict=True)]
            moved = [
                weight
                for weight, (before, _), now in zip(weights, self._first, winners, strict=True)
                if is_other(before, now)
            ]
            metrics["serl/probe/disagreement"] = sum(moved) / sum(weights) if sum(weights) else 0.0
            flips = [is_other(before, now) for before, now in zip(self._last, winners, strict=True)]
            metrics["serl/probe/frac_flipped"] = sum(flips) / len(flips)
        else:
            self._first = [(vote.answer, vote.share) for vote in votes]
        self._last = winners
        self._num_looks += 1
        return metrics
