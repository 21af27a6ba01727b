"""`RolloutSource`: where TRL gets the completions that it scores, through its `rollout_func`."""

from typing import Any

from ..types import Prompt, Rollout
from .policy import Policy


class RolloutSource:
    """
    TRL's `rollout_func`: gives the rollouts that were handed over for the batch that TRL scores, or generates some.

    Args:
        policy ([`Policy`]): Who answers.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._due: list[Rollout] | None = None

    def hand_over(self, rollouts: list[Rollout]) -> None:
        """Has the next batch, whose prompts are those of these rollouts, be scored with them."""
        self._due = rollouts

    def __call__(self, prompts: list[Prompt], trainer: object) -> dict[str, Any]:
        """
        Token ids of prompts and completions, and log-probabilities where the backend reports them.

        Args:
            prompts (`list[Prompt]` of length B): Those of this process's rows.
            trainer ([`~trl.GRPOTrainer`]): TRL hands itself over; it is the policy.

        Raises:
            RuntimeError: If TRL asks for another number of completions than were handed over.
        """
        prompt_ids, (due, self._due) = self.policy.decoding.prompt_ids(prompts), (self._due, None)
        if due is None:
            is_training = self.policy.model.training
            size = self.policy.num_generations if is_training else self.policy.num_generations_eval
            completion_ids, logprobs = self.policy.complete(prompt_ids, size)
        else:
            if len(due) != len(prompts):
                raise RuntimeError(f"TRL asks for {len(prompts)} completions where {len(due)} were handed over.")
            completion_ids = [rollout.completion_ids for rollout in due]
            logprobs = None if due[0].logprobs is None else [rollout.logprobs for rollout in due]
        return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": logprobs}
