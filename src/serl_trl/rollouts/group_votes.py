"""Votes while a trainer trains: over whole groups, with further samples if asked for, measured at every step."""

import functools
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate.utils import gather_object
from trl.trainer.utils import get_callable_name, is_async_callable

from ..runtime import isolated_random_state, swapped, together
from ..types import Completion, Prompt
from ..voting import GroundTruthReward, MajorityVoteReward, Vote, WinnerMemory, reward_alignment, vote_metrics
from .generate import rollouts, sampling_seed


class GroupVotes:
    """
    What a trainer calls in the place of its [`MajorityVoteReward`]s.

    TRL hands a reward the rows of its own process, and a group may straddle processes: the rows are gathered, every
    process votes on all groups, and each returns the rewards of its own rows. With `num_votes` the further votes of
    each prompt are sampled through the trainer's own generation, shared out among the processes, with the settings of
    the rollout and random states of their own, so that the rollouts are what they would be without them (a vLLM server
    keeps a random state that cannot be set aside). They vote, and are then dropped. In evaluation the group alone votes.

    Of several [`MajorityVoteReward`]s the first is the one that the gate reads and the logs describe. A column `answer`
    of the dataset is read to measure the vote, never by the vote.

    Args:
        trainer ([`SeRLTrainer`]): The trainer; it need not be constructed yet.
        args ([`SeRLConfig`]): Its configuration.

    Source: TTRL (arXiv 2504.16084) votes with more samples than it trains on.
    """

    def __init__(self, trainer: Any, args: Any) -> None:
        self.trainer, self.args = trainer, args
        self.reward: MajorityVoteReward | None = None  # the first
        self.votes: list[Vote] = []  # of the first, on the groups of the last rollout over all processes
        self.prompts: list[Prompt] = []  # of these groups
        self._labels: dict[str, float] = {}  # how the votes of the last rollout agree with its labels
        self._cost: defaultdict[str, float] = defaultdict(float)  # of further votes, that is not in the logs yet
        self._num_samplings = 0
        self._memory = WinnerMemory()

    def wrap(self, reward: Any) -> Any:
        """
        What TRL calls in the place of a reward: of other functions than a [`MajorityVoteReward`], the same, but an error
        of one process ends all of them. Reward models and coroutines are left as they are.

        Raises:
            ValueError: If fewer are to vote than are in a group.
        """
        if not isinstance(reward, MajorityVoteReward):
            return _ended_together(reward) if self.args.world_size > 1 else reward
        if reward.num_votes is not None and reward.num_votes < self.args.num_generations:
            raise ValueError(
                f"num_votes is {reward.num_votes}, below num_generations={self.args.num_generations}, but every "
                "completion of a group votes: raise num_votes, or leave it out."
            )
        if self.reward is None:
            self.reward, self._memory = reward, WinnerMemory(reward.answer_type)

        @functools.wraps(reward)
        def vote(prompts: list, completions: list, **kwargs: Any) -> list[float | None]:
            return self._rewards(reward, prompts, completions, **kwargs)

        return vote

    def start_rollout(self) -> None:
        """Forgets the votes of the rollout before."""
        self.votes, self.prompts, self._labels = [], [], {}

    def vote(
        self, prompts: list[Prompt], groups: list[list[Completion]], reward: MajorityVoteReward | None = None
    ) -> list[Vote]:
        """
        Votes on whole groups, the same on every process, together with as many further samples as are to vote.

        Args:
            prompts (`list[Prompt]` of length P): The prompts, the same on every process.
            groups (`list[list[Completion]]` of length P): All completions of each.
            reward ([`MajorityVoteReward`], *optional*): Who votes; the first of the trainer by default.
        """
        reward = reward or self.reward
        assert reward is not None
        num_further = max((reward.num_votes or 0) - len(groups[0]), 0) if self.trainer.model.training else 0
        further = self._further_votes(prompts, num_further) if num_further else [[]] * len(groups)
        return [
            reward.vote([*group, *more], prompt) for prompt, group, more in zip(prompts, groups, further, strict=True)
        ]

    def metrics(self, prompts: list[Prompt], votes: list[Vote]) -> dict[str, float]:
        """
        What the votes of a step looked like, for the logs; empty if there were none.

        Args:
            prompts (`list[Prompt]` of length P): What was voted on.
            votes (`list[Vote]` of length P): Votes of the first reward.

        Returns:
            `dict[str, float]`: [`vote_metrics`]; in training those of [`WinnerMemory`] and what further votes cost; with
            labels `serl/diag/label_accuracy` (winners that are right), `serl/diag/reward_accuracy` and
            `serl/diag/reward_alignment` ([`reward_alignment`] of vote and true rewards) and `serl/diag/frac_labelled`.
        """
        cost, self._cost = self._cost, defaultdict(float)
        if self.reward is None or not votes:
            return {}
        metrics = vote_metrics(votes, self.reward.answer_type)
        if self.trainer.model.training:
            metrics |= self._memory.update(prompts, votes)
        return metrics | cost | self._labels

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold, as data that JSON can hold."""
        return {"num_samplings": self._num_samplings, **self._memory.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` returned; raises a `ValueError` for anything else."""
        if not isinstance(state, Mapping) or not isinstance(state.get("num_samplings"), int):
            raise ValueError(f"The state of the votes is {str(state)[:80]!r}, but must hold a number 'num_samplings'.")
        self._memory.load_state_dict(state)
        self._num_samplings = state["num_samplings"]

    def _rewards(
        self,
        reward: MajorityVoteReward,
        prompts: list,
        completions: list,
        answer: list | None = None,
        log_extra: Callable[[str, list], None] | None = None,
        **kwargs: Any,
    ) -> list[float | None]:
        trainer = self.trainer
        size = trainer.num_generations if trainer.model.training else trainer.num_generations_eval
        asked, everyone = gather_object(prompts)[::size], gather_object(completions)
        groups = [everyone[i : i + size] for i in range(0, len(everyone), size)]
        votes = trainer.votes_of_batch if reward is self.reward else None  # those that the gate has read
        votes = votes or self.vote(asked, groups, reward)
        rewards = [value for vote in votes for value in reward.rewards(vote)[:size]]
        start = trainer.accelerator.process_index * len(completions)
        rows = range(start, start + len(completions))
        if reward is self.reward:
            self.votes, self.prompts = votes, asked
            self._labels = self._label_metrics(votes, rewards, prompts, completions, answer, size)
            if log_extra is not None:
                log_extra("vote_share", [votes[row // size].share for row in rows])
                log_extra("vote_answer", [votes[row // size].answer or "" for row in rows])
        return [rewards[row] for row in rows]

    def _label_metrics(
        self, votes: list[Vote], rewards: list[float], prompts: list, completions: list, answer: list | None, size: int
    ) -> dict[str, float]:
        """Winners and rewards compared with the labels of the dataset, gathered as the groups are; empty without labels."""
        if answer is None or self.reward is None:
            return {}
        truth = GroundTruthReward(self.reward.answer_type)
        labels = gather_object(answer)[::size]
        true_rewards = gather_object(truth(prompts, completions, answer))
        scores = [truth.score(vote.answer, label) for vote, label in zip(votes, labels, strict=True)]
        known = [score for score in scores if score is not None]
        alignment = reward_alignment(rewards, true_rewards)
        return {"serl/diag/frac_labelled": len(known) / len(votes)} | (
            {
                "serl/diag/label_accuracy": sum(known) / len(known),
                "serl/diag/reward_accuracy": alignment.accuracy,
                "serl/diag/reward_alignment": alignment.cosine,  # TRL leaves nan out of its means
            }
            if known
            else {}
        )

    def _further_votes(self, prompts: list[Prompt], num_further: int) -> list[list[Completion]]:
        """Completions of each prompt beyond its group, at most as many at a time as there are in a generation batch."""
        start_s = time.perf_counter()
        seed = random.Random(f"{self.args.seed}/votes/{self._num_samplings}").getrandbits(32)
        self._num_samplings += 1
        num_prompts = max(1, self.args.generation_batch_size // num_further)
        sampled = []
        with (
            isolated_random_state(sampling_seed(self.trainer, seed)),
            swapped(self.trainer, num_generations=num_further),
        ):
            for start in range(0, len(prompts), num_prompts):
                groups, num_generated = rollouts(self.trainer, prompts[start : start + num_prompts])
                self._cost["serl/vote/num_further_votes"] += num_generated
                sampled += groups
        num_tokens = sum(len(rollout.completion_ids) for group in sampled for rollout in group)
        self._cost["serl/vote/further_votes_tokens"] += num_tokens
        self._cost["serl/vote/further_votes_s"] += time.perf_counter() - start_s
        return [[rollout.completion for rollout in group] for group in sampled]


def _ended_together(reward: Any) -> Any:
    """A reward function that ends all processes with the error of any; what TRL knows it by stays."""
    if isinstance(reward, str | torch.nn.Module) or is_async_callable(reward):
        return reward

    @functools.wraps(reward)
    def rewards(*args: Any, **kwargs: Any) -> list[float | None]:
        return together(lambda: reward(*args, **kwargs))

    rewards.__name__ = get_callable_name(reward)
    return rewards
