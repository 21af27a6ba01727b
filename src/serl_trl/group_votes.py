"""Votes while a trainer trains: over whole groups, with further samples if asked for, measured at every step."""

import functools
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accelerate.utils import gather_object

from .diagnostics import reward_alignment, vote_metrics
from .random_state import isolated_random_state
from .rewards import GroundTruthReward, MajorityVoteReward
from .voting import Completion, Vote
from .winner_memory import WinnerMemory


@dataclass
class _Tally:
    """Votes that are not in the logs yet, of all groups over all processes."""

    prompts: list[Any] = field(default_factory=list)  # one a group
    votes: list[Vote] = field(default_factory=list)  # one a group
    label_scores: list[float | None] = field(default_factory=list)  # of the winner, one a group
    rewards: list[float] = field(default_factory=list)  # one a trained completion
    truth: list[float | None] = field(default_factory=list)  # one a trained completion
    cost: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class GroupVotes:
    """
    What a trainer calls in the place of its [`MajorityVoteReward`]s.

    TRL hands a reward the rows of its own process, and a group may straddle processes: the rows are gathered, every
    process votes on all groups, and each returns the rewards of its own rows. With `num_votes` the further votes of
    each prompt are sampled through the trainer's own generation, shared out among the processes, with the settings of
    the rollout and random states of their own, so that the rollouts are what they would be without them (a vLLM engine
    keeps a random state that cannot be set aside). They vote, and are then dropped. In evaluation the group alone votes.

    Of several [`MajorityVoteReward`]s the first is the one that the gate reads and the logs describe. A column `answer`
    of the dataset is read to measure the vote, never by the vote.

    Args:
        trainer ([`~trl.GRPOTrainer`]): The trainer; it need not be constructed yet.
        args ([`SeRLConfig`]): Its configuration.

    Source: TTRL (arXiv 2504.16084) votes with more samples than it trains on.
    """

    def __init__(self, trainer: Any, args: Any) -> None:
        self.trainer, self.args = trainer, args
        self.votes: list[Vote] = []  # on the groups of the last rollout, in their order over all processes
        self._first: MajorityVoteReward | None = None
        self._num_votes = 0  # the most that a reward asks for
        self._further: list[list[Completion]] | None = None  # of each prompt of the rollout, once they are sampled
        self._num_samplings = 0
        self._memory = WinnerMemory()
        self._tally = _Tally()

    def wrap(self, reward: Any) -> Any:
        """
        What TRL calls in the place of a reward: any but a [`MajorityVoteReward`] is left as it is.

        Raises:
            ValueError: If fewer are to vote than are in a group.
        """
        if not isinstance(reward, MajorityVoteReward):
            return reward
        if reward.num_votes is not None and reward.num_votes < self.args.num_generations:
            raise ValueError(
                f"num_votes is {reward.num_votes}, below num_generations={self.args.num_generations}, but every "
                "completion of a group votes: raise num_votes, or leave it out."
            )
        if self._first is None:
            self._first, self._memory = reward, WinnerMemory(reward.answer_type)
        self._num_votes = max(self._num_votes, reward.num_votes or 0)

        @functools.wraps(reward)
        def vote(prompts: list, completions: list, **kwargs: Any) -> list[float | None]:
            return self._rewards(reward, prompts, completions, **kwargs)

        return vote

    def start_rollout(self) -> None:
        """Forgets the votes of the rollout before."""
        self.votes, self._further = [], None

    def metrics(self) -> dict[str, float]:
        """
        What the votes since the last call looked like, for the logs; empty if there were none.

        Returns:
            `dict[str, float]`: [`vote_metrics`]; in training those of [`WinnerMemory`] and what further votes cost; with
            labels `serl/diag/label_accuracy` (winners that are right), `serl/diag/reward_accuracy` and
            `serl/diag/reward_alignment` ([`reward_alignment`] of vote and true rewards) and `serl/diag/frac_labelled`.
        """
        tally, self._tally = self._tally, _Tally()
        if self._first is None or not tally.votes:
            return {}
        metrics = vote_metrics(tally.votes, self._first.answer_type)
        if self.trainer.model.training:
            metrics |= self._memory.update(tally.prompts, tally.votes)
        metrics |= tally.cost
        scores = [score for score in tally.label_scores if score is not None]
        if scores:
            alignment = reward_alignment(tally.rewards, tally.truth)
            metrics |= {
                "serl/diag/frac_labelled": len(scores) / len(tally.votes),
                "serl/diag/label_accuracy": sum(scores) / len(scores),
                "serl/diag/reward_accuracy": alignment.accuracy,
                "serl/diag/reward_alignment": alignment.cosine,  # TRL leaves nan out of its means
            }
        return metrics

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
        trainer, is_training = self.trainer, self.trainer.model.training
        size = trainer.num_generations if is_training else trainer.num_generations_eval
        asked, everyone = gather_object(prompts)[::size], gather_object(completions)
        num_further = max((reward.num_votes or 0) - size, 0) if is_training else 0
        further = self._further_votes(asked, size, len(everyone)) if num_further else [[]] * len(asked)
        votes = [
            reward.vote([*everyone[i * size : (i + 1) * size], *more[:num_further]], prompt)
            for i, (prompt, more) in enumerate(zip(asked, further, strict=True))
        ]
        rewards = [value for vote in votes for value in reward.rewards(vote)[:size]]
        start = trainer.accelerator.process_index * len(completions)
        rows = range(start, start + len(completions))
        if reward is self._first:
            self.votes = votes
            self._tally.prompts += asked
            self._tally.votes += votes
            self._tally.rewards += rewards
            self._measure(votes, prompts, completions, answer, size)
            if log_extra is not None:
                log_extra("vote_share", [votes[row // size].share for row in rows])
                log_extra("vote_answer", [votes[row // size].answer or "" for row in rows])
        return [rewards[row] for row in rows]

    def _measure(self, votes: list[Vote], prompts: list, completions: list, answer: list | None, size: int) -> None:
        """Compares winners and rewards with the labels of the dataset, if it has any."""
        assert self._first is not None
        truth = GroundTruthReward(self._first.answer_type)
        answer = answer if answer is not None else [None] * len(completions)
        labels = gather_object(answer)[::size]
        self._tally.truth += gather_object(truth(prompts, completions, answer))
        self._tally.label_scores += [
            truth.score(vote.answer, label) for vote, label in zip(votes, labels, strict=True)
        ]

    def _further_votes(self, prompts: list, size: int, batch_size: int) -> list[list[Completion]]:
        """Completions of each prompt beyond its group, the same for all rewards of a rollout."""
        if self._further is None:
            num_further = self._num_votes - size
            start_s = time.perf_counter()
            sampled = self._sampled([prompt for prompt in prompts for _ in range(num_further)], batch_size)
            texts = [completion for completion, _ in sampled]
            self._further = [texts[i : i + num_further] for i in range(0, len(texts), num_further)]
            self._tally.cost["serl/vote/num_further_votes"] += len(sampled)
            self._tally.cost["serl/vote/further_votes_tokens"] += sum(num_tokens for _, num_tokens in sampled)
            self._tally.cost["serl/vote/further_votes_s"] += time.perf_counter() - start_s
        return self._further

    def _sampled(self, prompts: list, batch_size: int) -> list[tuple[Completion, int]]:
        """One completion and its length for each prompt, at most as many at a time as there are in a rollout."""
        accelerator = self.trainer.accelerator
        seed = random.Random(f"{self.args.seed}/votes/{self._num_samplings}").getrandbits(32)
        self._num_samplings += 1
        sampled: list[tuple[Completion, int]] = []
        with isolated_random_state(seed + accelerator.process_index):
            for start in range(0, len(prompts), batch_size):
                batch = prompts[start : start + batch_size]
                share = -(
                    -len(batch) // accelerator.num_processes
                )  # every process generates as many, some for nothing
                batch += batch[:1] * (share * accelerator.num_processes - len(batch))
                first = accelerator.process_index * share
                sampled += gather_object(self._generated(batch[first : first + share]))
                del sampled[start + batch_size :]
        return sampled[: len(prompts)]

    def _generated(self, prompts: Sequence[Any]) -> list[tuple[Completion, int]]:
        """TRL's generation and decoding, one completion a prompt, without its entries in the logs."""
        trainer = self.trainer
        metrics, num_generations = trainer._metrics, trainer.num_generations
        trainer._metrics, trainer.num_generations = {"train": defaultdict(list)}, 1
        try:
            _, completion_ids, _, completions, *_ = trainer._generate(list(prompts))
        finally:
            trainer._metrics, trainer.num_generations = metrics, num_generations
        return [(completion, len(ids)) for completion, ids in zip(completions, completion_ids, strict=True)]
