"""The two rewards of SeRL in TRL's signature: agreement with the majority, and agreement with a label."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from ..answers import AnswerType, answer_kind, extract_answer, is_equivalent, start_algebra
from ..types import Completion, Prompt, completion_text
from .majority_vote import Vote, majority_vote


# The weights of one prompt's votes: (prompt, completions) -> one number a completion
VoteWeights: TypeAlias = Callable[[Any, Sequence[Completion]], Sequence[float]]


class MajorityVoteReward:
    r"""Reward of 1.0 for a completion whose answer wins its group's majority vote, else 0.0; reads no label.

    A vote needs the whole group. TRL hands a reward function the rows of its own process only: this class is exact
    there if no group straddles processes. [`SeRLTrainer`] gathers groups first and calls [`~MajorityVoteReward.vote`]
    on each.

    Args:
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            `"math"`, `"number"`, `"choice"`, `"text"` or `(extract, equal)`; see [`~serl_trl.extract_answer`].
        num_generations (`int`, *optional*):
            Rows of a group. Without it a group is a run of equal prompts, so that a prompt that occurs twice in
            succession makes one group.
        weights (`Callable`, *optional*):
            `weights(prompt, completions) -> Sequence[float]` weighs the votes of one whole group: one finite number, not
            negative, for each completion, as [`majority_vote`] takes them. It gets the prompt and the completions as
            TRL passes them and must be deterministic, since every process votes on every group.
        soft (`bool`, *optional*, defaults to `False`):
            Whether the reward is the share of the completion's own class instead of 1.0 or 0.0; 0.0 without an answer.
        num_votes (`int`, *optional*):
            Completions that vote on each prompt, if more than the group: [`SeRLTrainer`] samples the others from the
            policy, and only the completions of the group are rewarded and trained on. Not in evaluation.

    Raises:
        `ValueError`: if `answer_type` is unknown, `num_generations` or `num_votes` is below 1, or `weights` no function.

    Source: SeRL, arXiv 2505.20347, self-rewarding. See [`majority_vote`] for what differs from the official code. More
    votes than trained completions: TTRL, arXiv 2504.16084.

    Example:

    >>> reward = MajorityVoteReward()
    >>> reward(prompts=["1+1?"] * 3, completions=[r"\boxed{2}", r"It is \boxed{2.0}.", r"\boxed{3}"])
    [1.0, 1.0, 0.0]
    """

    def __init__(
        self,
        answer_type: AnswerType = "math",
        *,
        num_generations: int | None = None,
        weights: VoteWeights | None = None,
        soft: bool = False,
        num_votes: int | None = None,
    ):
        _prepare(answer_type)
        for name, number in (("num_generations", num_generations), ("num_votes", num_votes)):
            if number is not None and number < 1:
                raise ValueError(f"{name} is {number}, but a group has at least one completion.")
        if weights is not None and not callable(weights):
            raise ValueError(
                f"weights is {weights!r}, but must be a function (prompt, completions) -> one number a completion; numbers "
                "go into majority_vote(weights=...)."
            )
        self.__name__ = type(self).__name__  # the name under which TRL logs the reward
        self.answer_type = answer_type
        self.num_generations = num_generations
        self.weights = weights
        self.soft = soft
        self.num_votes = num_votes

    def vote(self, completions: Sequence[Completion], prompt: Prompt | None = None) -> Vote:
        """Vote of one whole group; see [`majority_vote`]. Only `weights` is shown the prompt."""
        weights = None if self.weights is None else self.weights(prompt, completions)
        return majority_vote(completions, self.answer_type, weights=weights)

    def rewards(self, vote: Vote) -> list[float]:
        """Reward of each completion that took part in a vote."""
        return vote.soft_rewards if self.soft else vote.rewards

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Completion],
        *,
        log_extra: Callable[[str, list], None] | None = None,
        **kwargs: object,
    ) -> list[float | None]:
        """Reward of each row, in order.

        Args:
            prompts (`list` of length B):
                Prompts, plain or conversational, the rows of a group adjacent.
            completions (`list` of length B):
                Completions, plain or conversational.
            log_extra (`Callable`, *optional*):
                TRL's hook for columns of its completions table; receives `vote_share` and `vote_answer`.
            kwargs:
                Whatever else TRL passes; not read.

        Returns:
            `list[float | None]` of length B: 1.0 or 0.0, or with `soft` a share.

        Raises:
            `ValueError`: if the rows do not match, do not make whole groups, or `num_votes` is set.
        """
        _check_rows("completions", completions, prompts)
        votes: list[Vote] = []  # one entry a row
        rewards: list[float | None] = []
        for size in self._group_sizes(prompts):
            first = len(rewards)
            vote = self.vote(completions[first : first + size], prompts[first])
            votes += [vote] * size
            rewards += self.rewards(vote)
        if log_extra is not None:
            log_extra("vote_share", [vote.share for vote in votes])
            log_extra("vote_answer", ["" if vote.answer is None else vote.answer for vote in votes])
        return rewards

    def _group_sizes(self, prompts: Sequence[Any]) -> list[int]:
        if self.num_votes is not None:
            raise ValueError(
                f"num_votes={self.num_votes} needs SeRLTrainer, which samples further completions that vote but are not "
                "trained on. Here all votes are those of the group: leave num_votes out, or raise num_generations."
            )
        if self.num_generations is None:
            return [len(list(run)) for _, run in groupby(prompts)]
        num_groups, rest = divmod(len(prompts), self.num_generations)
        if rest:
            raise ValueError(
                f"{len(prompts)} rows do not make whole groups of num_generations={self.num_generations}: a vote "
                "needs all completions of a prompt. Pass the trainer's num_generations, and choose "
                "per_device_train_batch_size * steps_per_generation as a multiple of it."
            )
        return [self.num_generations] * num_groups


class GroundTruthReward:
    r"""Reward of 1.0 for a completion whose answer equals the label in column `answer`, else 0.0: the RL-GT baseline.

    Args:
        answer_type (`str` or pair of functions, *optional*, defaults to `"math"`):
            `"math"`, `"number"`, `"choice"`, `"text"` or `(extract, equal)`; see [`~serl_trl.extract_answer`].

    Raises:
        `ValueError`: if `answer_type` is unknown.

    Source: SeRL, arXiv 2505.20347, the rule-based reward of its RL-GT rows.

    Example:

    >>> reward = GroundTruthReward()
    >>> reward(prompts=["1+1?"] * 3, completions=[r"\boxed{2}", r"\boxed{3}", r"\boxed{2}"], answer=["2", "2", None])
    [1.0, 0.0, None]
    """

    def __init__(self, answer_type: AnswerType = "math"):
        _prepare(answer_type)
        self.__name__ = type(self).__name__  # the name under which TRL logs the reward
        self.answer_type = answer_type

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Completion],
        answer: Sequence[Any] | None = None,
        **kwargs: object,
    ) -> list[float | None]:
        """Reward of each row, in order.

        Args:
            prompts (`list` of length B):
                Prompts, not read.
            completions (`list` of length B):
                Completions, plain or conversational.
            answer (`list` of length B):
                Labels: bare answers, numbers, or solutions that end in a box or `#### answer`. `None` is no label.
            kwargs:
                Whatever else TRL passes; not read.

        Returns:
            `list[float | None]` of length B: 1.0 or 0.0, and `None` where there is no label.

        Raises:
            `ValueError`: if the column is missing or its length does not match.
        """
        if answer is None:
            raise ValueError(
                "GroundTruthReward reads the labels from column 'answer', but the dataset has none. Add it, rename "
                "the column that holds them, or use MajorityVoteReward, which needs no labels."
            )
        _check_rows("answer", answer, completions)
        return [
            self.score(extract_answer(completion_text(completion), self.answer_type), label)
            for completion, label in zip(completions, answer, strict=True)
        ]

    def score(self, answer: str | None, label: object) -> float | None:
        """Reward of an answer that is extracted already, such as the winner of a vote; `None` if there is no label."""
        if label is None or (text := str(label).strip()) in {"", "nan"}:
            return None
        is_solution = "\\boxed" in text or "####" in text
        target = extract_answer(text, self.answer_type) if is_solution else text
        return None if target is None else float(is_equivalent(answer, target, self.answer_type))


def _prepare(answer_type: AnswerType) -> None:
    """Raises if there is no such type; has the worker started that its harder answers need, while the model is loaded."""
    answer_kind(answer_type)
    if answer_type == "math":
        start_algebra()


def _check_rows(name: str, rows: Sequence[Any], others: Sequence[Any]) -> None:
    if len(rows) != len(others):
        raise ValueError(
            f"{name} has {len(rows)} rows where {len(others)} were expected: pass one per row of the batch."
        )
