"""Prompts that a policy answers again and again while it trains, so that a change of mind shows without labels."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from ..answers import is_equivalent
from ..rollouts import greedy_sampling, rollouts, sampling_seed
from ..runtime import isolated_random_state, model_mode
from ..types import Prompt, Rollout
from ..voting import MajorityVoteReward, Vote
from .watched_policy import WatchedPolicy


MEMORY = 0.6  # what an answer still counts one look later
SETTLED_SHARE = 0.7  # of what counts, that an answer must have for its prompt to be settled on it
ENOUGH = 1.8  # to count for that: three looks or more


class Probes:
    """
    The answers of a policy to the same prompts from its first look on.

    A prompt that the policy has written is met once or a few times; on one that stays, an answer that is given up for another
    tells what no single vote can. The first look lets a group of sampled completions of each prompt vote; then, and at each look that
    follows, one greedy completion of each is taken. Dropout is off, so that nothing but training changes a mind. A
    look moves no random state and is the same on every process.

    Args:
        trainer ([`SeRLTrainer`]): Whose policy answers, and whose first [`MajorityVoteReward`] votes.
        prompts (`Sequence[Prompt]`): The prompts, at least one.
    """

    may_begin_anew = True  # resumed from a checkpoint without this state

    def __init__(self, trainer: WatchedPolicy, prompts: Sequence[Prompt]) -> None:
        self.trainer, self.prompts = trainer, list(prompts)
        self.reward = trainer.vote_reward or MajorityVoteReward()
        self._voted: list[str | None] = []  # of each prompt the winner of the first look
        self._given: list[dict[str | None, float]] = []  # of each prompt what its answers count; None for no answer

    @property
    def is_begun(self) -> bool:
        """Whether there was a look."""
        return bool(self._voted)

    def look(self) -> dict[str, float]:
        """
        Has the policy answer all prompts once more.

        A prompt is settled on an answer that has 70 % of the looks before, which count 0.6 times as much with each look that
        follows, of three looks or more. A policy that learns from votes moves to the answers that won them; an answer given up for that
        of the first vote is therefore not counted.

        Returns:
            `dict[str, float]`: `serl/probe/...`: `frac_settled`, the share of prompts that were settled before this look;
            `frac_abandoned`, the share (of all) that were settled and have another answer now, not that of the first vote;
            `frac_top_answer`, the share that have the most common answer of all, to the letter; `frac_no_answer`, the share without one;
            `length_tokens`, the mean length.
        """
        if not self.is_begun:
            self._voted = [vote.answer for vote in self._votes(self._answered(self.trainer.num_generations))]
            self._given = [{} for _ in self.prompts]
        with greedy_sampling(self.trainer):
            groups = self._answered(1)
        answers = [
            self._as_known(vote.answer, [*given, voted])
            for vote, given, voted in zip(self._votes(groups), self._given, self._voted, strict=True)
        ]
        settled = [_settled(given) for given in self._given]
        abandoned = [
            is_settled and answer not in (voted, max(given, key=given.__getitem__))
            for is_settled, answer, given, voted in zip(settled, answers, self._given, self._voted, strict=True)
        ]
        for given, answer in zip(self._given, answers, strict=True):
            for other in given:
                given[other] *= MEMORY
            given[answer] = given.get(answer, 0.0) + 1
        found = [answer for answer in answers if answer is not None]
        num = len(answers)
        return {
            "serl/probe/frac_settled": sum(settled) / num,
            "serl/probe/frac_abandoned": sum(abandoned) / num,
            "serl/probe/frac_top_answer": max(map(found.count, set(found)), default=0) / num,
            "serl/probe/frac_no_answer": 1 - len(found) / num,
            "serl/probe/length_tokens": sum(len(rollout.completion_ids) for (rollout,) in groups) / num,
        }

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold, as data that JSON can hold."""
        return {"voted": self._voted, "given": [[list(pair) for pair in given.items()] for given in self._given]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` returned; begins anew where that was of another number of prompts."""
        if len(state["voted"]) == len(self.prompts):
            self._voted = list(state["voted"])
            self._given = [dict(pairs) for pairs in state["given"]]

    def _answered(self, num_generations: int) -> list[list[Rollout]]:
        """Completions of each prompt, at most as many at a time as there are in a generation batch."""
        trainer = self.trainer
        seed = random.Random(f"{trainer.args.seed}/probes").getrandbits(32)
        size = max(1, trainer.args.generation_batch_size // num_generations)
        groups = []
        with (
            model_mode(trainer.model, training=True),
            isolated_random_state(sampling_seed(trainer, seed)),
        ):
            for start in range(0, len(self.prompts), size):
                groups += rollouts(trainer, self.prompts[start : start + size], num_generations)[0]
        return groups

    def _votes(self, groups: list[list[Rollout]]) -> list[Vote]:
        return [
            self.reward.vote([rollout.completion for rollout in group], prompt)
            for group, prompt in zip(groups, self.prompts, strict=True)
        ]

    def _as_known(self, answer: str | None, known: Sequence[str | None]) -> str | None:
        """The answer as it was spelt before, if it was given before."""
        same = (other for other in known if is_equivalent(answer, other, self.reward.answer_type))
        return next(same, answer)


def _settled(given: Mapping[str | None, float]) -> bool:
    """Whether one answer has been given nearly always, often enough to tell."""
    total = sum(given.values())
    return total >= ENOUGH and max(given.values()) >= SETTLED_SHARE * total
