"""Prompts that a policy answers again and again while it trains, so that a change of mind shows without labels."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from .answers import is_equivalent
from .generation import greedy_sampling, model_mode, rollouts, sampling_seed, swapped
from .prompts import Prompt
from .random_state import isolated_random_state
from .refill import Rollout
from .voting import Vote


WORTH_OF_FIRST_VOTE = 4  # answers that the samples of the first look count as, together
MEMORY = 0.7  # what an answer still counts one look later


class Probes:
    """
    The answers of a policy to the same prompts from its first look on.

    A prompt that the policy has written is met once or a few times; on one that stays, an answer that is given up for another
    tells what no single vote can. The first look samples a group of completions of each prompt; then, and at each look that
    follows, one greedy completion of each is taken. A look moves no random state and is the same on every process.

    Args:
        trainer ([`SeRLTrainer`]): Whose policy answers, and whose first [`MajorityVoteReward`] votes.
        prompts (`Sequence[Prompt]`): The prompts, at least one.
    """

    may_begin_anew = True  # resumed from a checkpoint without this state

    def __init__(self, trainer: Any, prompts: Sequence[Prompt]) -> None:
        self.trainer, self.prompts = trainer, list(prompts)
        self._given: list[
            dict[str, float]
        ] = []  # of each prompt how often each answer was given, late ones counting more

    @property
    def is_begun(self) -> bool:
        """Whether there was a look."""
        return bool(self._given)

    def look(self) -> dict[str, float]:
        """
        Has the policy answer all prompts once more.

        Returns:
            `dict[str, float]`: `serl/probe/...`: `disagreement`, the share of prompts that have another answer than the one that was
            usual before: given most often, an answer counting 0.7 times as much with each look (the samples of the first look
            count as four answers);
            `frac_top_answer`, the share that have the most common answer of all, to the letter; `frac_no_answer`, the share without one;
            `length_tokens`, the mean length.
        """
        if not self._given:
            votes = self._votes(self._answered(self.trainer.num_generations))
            self._given = [{vote.answer: WORTH_OF_FIRST_VOTE * vote.share} if vote.answer else {} for vote in votes]
        with greedy_sampling(self.trainer):
            groups = self._answered(1)
        answers = [
            self._as_given(vote.answer, given) for vote, given in zip(self._votes(groups), self._given, strict=True)
        ]
        usual = [max(given, key=given.__getitem__, default=None) for given in self._given]
        for given, answer in zip(self._given, answers, strict=True):
            for other in given:
                given[other] *= MEMORY
            if answer is not None:
                given[answer] = given.get(answer, 0.0) + 1
        found = [answer for answer in answers if answer is not None]
        num = len(answers)
        return {
            "serl/probe/disagreement": sum(a != b for a, b in zip(answers, usual, strict=True)) / num,
            "serl/probe/frac_top_answer": max(map(found.count, set(found)), default=0) / num,
            "serl/probe/frac_no_answer": 1 - len(found) / num,
            "serl/probe/length_tokens": sum(len(rollout.completion_ids) for (rollout,) in groups) / num,
        }

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold, as data that JSON can hold."""
        return {"given": [[[answer, worth] for answer, worth in given.items()] for given in self._given]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` returned; begins anew where that was of another number of prompts."""
        given = [dict(pairs) for pairs in state["given"]]
        self._given = given if len(given) == len(self.prompts) else []

    def _answered(self, num_generations: int) -> list[list[Rollout]]:
        """Completions of each prompt, at most as many at a time as there are in a generation batch."""
        trainer = self.trainer
        seed = random.Random(f"{trainer.args.seed}/probes").getrandbits(32)
        size = max(1, trainer.args.generation_batch_size // num_generations)
        groups = []
        with (
            model_mode(trainer.model, training=True),
            isolated_random_state(sampling_seed(trainer, seed)),
            swapped(trainer, num_generations=num_generations),
        ):
            for start in range(0, len(self.prompts), size):
                groups += rollouts(trainer, self.prompts[start : start + size])[0]
        return groups

    def _votes(self, groups: list[list[Rollout]]) -> list[Vote]:
        return [
            self.trainer.vote_reward.vote([rollout.completion for rollout in group], prompt)
            for group, prompt in zip(groups, self.prompts, strict=True)
        ]

    def _as_given(self, answer: str | None, given: Mapping[str, float]) -> str | None:
        """The answer as it was spelt when it was given first."""
        same = (other for other in given if is_equivalent(answer, other, self.trainer.vote_reward.answer_type))
        return next(same, answer)
