"""Votes while a trainer trains: over whole groups, with further samples if asked for, measured at every step."""

import functools
import inspect
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object

from ..runtime import isolated_random_state, run_on_all_ranks
from ..types import Completion, Prompt
from ..voting import GroundTruthReward, MajorityVoteReward, Vote, WinnerMemory, reward_alignment, vote_metrics
from .generate import rollouts, sampling_seed
from .policy import Policy


if TYPE_CHECKING:
    from trl.trainer.grpo_trainer import RewardFunc  # what TRL calls a reward


VOTE_COLUMN = "serl_vote"  # of a row whose group is voted on already: the vote, and the row's place in its group


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
        policy ([`Policy`]): Whose completions vote; it need not be constructed yet.
        args ([`SeRLConfig`]): Its configuration.

    Source: TTRL (arXiv 2504.16084) votes with more samples than it trains on.
    """

    def __init__(self, policy: Policy, args: Any) -> None:
        self.policy, self.args = policy, args
        self.reward: MajorityVoteReward | None = None  # the first
        self.votes: list[Vote] = []  # of the first, on the groups of the last rollout over all processes
        self.prompts: list[Prompt] = []  # of these groups
        self._labels: dict[str, float] = {}  # how the votes of the last rollout agree with its labels
        self._cost: defaultdict[str, float] = defaultdict(float)  # of further votes, that is not in the logs yet
        self._num_samplings = 0
        self._memory = WinnerMemory()

    def wrap(self, reward: "RewardFunc") -> "RewardFunc":
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
            answer, log_extra, known = (kwargs.get(name) for name in ("answer", "log_extra", VOTE_COLUMN))
            return self._rewards(reward, prompts, completions, answer, log_extra, known)

        return vote

    def start_rollout(self) -> None:
        """Forgets the votes of the rollout before."""
        self.votes, self.prompts, self._labels = [], [], {}

    def vote(
        self,
        prompts: list[Prompt],
        groups: list[list[Completion]],
        reward: MajorityVoteReward | None = None,
        *,
        is_training: bool = True,
    ) -> list[Vote]:
        """
        Votes on whole groups, the same on every process, together with as many further samples as are to vote.

        Args:
            prompts (`list[Prompt]` of length P): The prompts, the same on every process.
            groups (`list[list[Completion]]` of length P): All completions of each.
            reward ([`MajorityVoteReward`], *optional*): Who votes; the first of the trainer by default.
            is_training (`bool`, *optional*, defaults to `True`): Whether further samples vote: in evaluation none do.

        Raises:
            ValueError: If no reward votes.
        """
        reward = reward or self.reward
        if reward is None:
            raise ValueError("No reward of this trainer votes; add a MajorityVoteReward.")
        num_further = max((reward.num_votes or 0) - len(groups[0]), 0) if is_training else 0
        further = self._further_votes(prompts, num_further) if num_further else [[]] * len(groups)
        return [
            reward.vote([*group, *more], prompt) for prompt, group, more in zip(prompts, groups, further, strict=True)
        ]

    def metrics(self, prompts: list[Prompt], votes: list[Vote], *, is_training: bool) -> dict[str, float]:
        """
        What the votes of a step looked like, for the logs; empty if there were none.

        Args:
            prompts (`list[Prompt]` of length P): What was voted on.
            votes (`list[Vote]` of length P): Votes of the first reward.
            is_training (`bool`): Whether they are of a training step; in evaluation winners are not remembered.

        Returns:
            `dict[str, float]`: [`vote_metrics`]; in training those of [`WinnerMemory`] and what further votes cost; with
            labels `serl/diag/label_accuracy` (winners that are right), `serl/diag/reward_accuracy` and
            `serl/diag/reward_alignment` ([`reward_alignment`] of vote and true rewards) and `serl/diag/frac_labelled`.
        """
        cost, self._cost = self._cost, defaultdict(float)
        if self.reward is None or not votes:
            return {}
        metrics = vote_metrics(votes, self.reward.answer_type)
        if is_training:
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
        known: list[tuple[Vote, int]] | None = None,
    ) -> list[float | None]:
        if known is not None and reward is self.reward:
            rows_known = [(vote, reward.rewards(vote)[place]) for vote, place in known]
            _log_votes([vote for vote, _ in rows_known], log_extra)
            return [value for _, value in rows_known]
        is_training = self.policy.model.training  # which is how TRL tells a training step from an evaluation
        size = self.policy.num_generations if is_training else self.policy.num_generations_eval
        asked, everyone = gather_object(prompts)[::size], gather_object(completions)
        groups = [everyone[i : i + size] for i in range(0, len(everyone), size)]
        votes = self.vote(asked, groups, reward, is_training=is_training)
        rewards = [value for vote in votes for value in reward.rewards(vote)[:size]]
        start = self.policy.accelerator.process_index * len(completions)
        rows = range(start, start + len(completions))
        if reward is self.reward:
            self.votes, self.prompts = votes, asked
            self._labels = self._label_metrics(votes, rewards, prompts, completions, answer, size)
            _log_votes([votes[row // size] for row in rows], log_extra)
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
        with isolated_random_state(sampling_seed(self.policy, seed)):
            for start in range(0, len(prompts), num_prompts):
                groups, num_generated = rollouts(self.policy, prompts[start : start + num_prompts], num_further)
                self._cost["serl/vote/num_further_votes"] += num_generated
                sampled += groups
        num_tokens = sum(len(rollout.completion_ids) for group in sampled for rollout in group)
        self._cost["serl/vote/further_votes_tokens"] += num_tokens
        self._cost["serl/vote/further_votes_s"] += time.perf_counter() - start_s
        return [[rollout.completion for rollout in group] for group in sampled]


def _log_votes(votes: list[Vote], log_extra: Callable[[str, list], None] | None) -> None:
    """Puts the vote on each row into TRL's table of completions."""
    if log_extra is not None:
        log_extra("vote_share", [vote.share for vote in votes])
        log_extra("vote_answer", [vote.answer or "" for vote in votes])


def _ended_together(reward: "RewardFunc") -> "RewardFunc":
    """A reward function that ends all processes with the error of any; what TRL knows it by stays."""
    function = reward
    while isinstance(function, functools.partial):
        function = function.func
    is_coroutine = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 (of an object whose call is a coroutine)
    )
    if isinstance(reward, str | torch.nn.Module) or is_coroutine:
        return reward

    @functools.wraps(reward)
    def rewards(*args: object, **kwargs: object) -> list[float | None]:
        return run_on_all_ranks(lambda: reward(*args, **kwargs))

    rewards.__name__ = getattr(function, "__name__", type(function).__name__)
    return rewards
