"""What a run will do, from its settings alone: optimiser steps, rollouts, tokens, instructions, forward passes."""

import math
from dataclasses import dataclass
from typing import Any

from ..instructions import MAX_REPLIES_PER_INSTRUCTION


ACCEPTED = 0.65  # share of groups inside the band that "expected" means (paper: 60 to 70 percent)


@dataclass(frozen=True)
class WorkPlan:
    """
    The work of a run, over all processes. "Most" is a bound that the run cannot exceed.

    Args:
        num_processes (`int`): Processes.
        group_size (`int`): Completions of a prompt that are trained on, G.
        num_votes (`int`): Completions of a prompt that vote, at least G.
        num_groups (`int`): Prompts of a generation batch, P.
        num_batches_per_iteration (`int`): Generation batches of an iteration (of an epoch).
        num_batches (`int`): Generation batches of the run.
        num_steps_per_iteration (`int`): Optimiser steps of an iteration.
        num_steps (`int`): Optimiser steps of the run.
        num_warmup_steps (`int`): Those of them on which the learning rate still rises.
        num_requests (`int`): How often in an iteration instructions are written; 0 where none are.
        num_wanted (`int`): Instructions that are wanted each time, the reserve among them.
        max_refill_rounds (`int`): Most rounds of rollouts after the first of a batch.
        ahead (`bool`): Whether instructions are voted on as they are written.
        micro_batch_size (`int`): Completions of one forward pass on a process.
        accumulation (`int`): Forward and backward passes on a process for an optimiser step.
        num_uses (`int`): How often each rollout is trained on.
        scored_by_policy, scored_by_reference (`bool`): Which models go over the rollouts before they are trained on.
        is_recomputed (`bool`): Whether the backward pass runs the layers forward again (gradient checkpointing).
        max_completion_length, max_instruction_length (`int`): Most tokens of a completion, and of a reply that holds
            instructions.
    """

    num_processes: int
    group_size: int
    num_votes: int
    num_groups: int
    num_batches_per_iteration: int
    num_batches: int
    num_steps_per_iteration: int
    num_steps: int
    num_warmup_steps: int
    num_requests: int
    num_wanted: int
    max_refill_rounds: int
    ahead: bool
    micro_batch_size: int
    accumulation: int
    num_uses: int
    scored_by_policy: bool
    scored_by_reference: bool
    is_recomputed: bool
    max_completion_length: int
    max_instruction_length: int

    @classmethod
    def from_config(
        cls,
        args: Any,
        num_rows: int,
        num_votes: int | None = None,
        num_processes: int = 1,
        *,
        has_vote: bool = True,
    ) -> "WorkPlan":
        """
        The plan of a configuration.

        Args:
            args ([`SeRLConfig`]): Made for `num_processes` processes.
            num_rows (`int`): Prompts of an epoch: `num_instructions`, or the dataset's length without self-instruction.
            num_votes (`int`, *optional*): Completions that vote on each prompt. Default: `num_generations`.
            num_processes (`int`, *optional*, defaults to `1`): Processes.
            has_vote (`bool`, *optional*, defaults to `True`): Whether a reward votes; else no group is replaced.

        Raises:
            ValueError: If an epoch does not hold one generation batch.
        """
        num_groups = args.num_prompts_per_generation
        num_batches = num_rows // num_groups  # TRL's sampler leaves out what does not fill a batch
        if num_batches == 0:
            raise ValueError(
                f"An epoch has {num_rows} prompts, less than the {num_groups} of one generation batch, so that it would "
                "hold no step; give more prompts, or lower generation_batch_size."
            )
        accumulation, num_uses = args.gradient_accumulation_steps, args.num_iterations
        generate_every = args.steps_per_generation * num_uses
        steps_per_iteration = math.ceil(num_batches * generate_every / accumulation)
        num_steps = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * steps_per_iteration)
        whole, rest = divmod(num_steps, steps_per_iteration)
        is_refilled = args.self_instruct and args.is_refilled and has_vote
        reserve = args.reserve_fraction if is_refilled else 0.0
        num_requests, num_slots = (num_batches, num_groups) if args.regenerate == "step" else (1, num_rows)
        has_reference = args.beta != 0
        has_old = accumulation % generate_every != 0 or (args.use_vllm and args.vllm_importance_sampling_correction)
        return cls(
            num_processes=num_processes,
            group_size=args.num_generations,
            num_votes=num_votes or args.num_generations,
            num_groups=num_groups,
            num_batches_per_iteration=num_batches,
            num_batches=whole * num_batches + math.ceil(rest * accumulation / generate_every),
            num_steps_per_iteration=steps_per_iteration,
            num_steps=num_steps,
            num_warmup_steps=args.get_warmup_steps(num_steps),
            num_requests=num_requests if args.self_instruct else 0,
            num_wanted=math.ceil(num_slots * (1 + reserve)) if args.self_instruct else 0,
            max_refill_rounds=args.max_refill_rounds if is_refilled else 0,
            ahead=args.self_instruct and has_vote and args.is_gated and args.difficulty_filter == "ahead",
            micro_batch_size=args.per_device_train_batch_size,
            accumulation=accumulation,
            num_uses=num_uses,
            scored_by_policy=has_old or (has_reference and args.is_kl_in_reward),
            scored_by_reference=has_reference,
            is_recomputed=bool(args.gradient_checkpointing),
            max_completion_length=args.max_completion_length,
            max_instruction_length=args.max_instruction_length if args.self_instruct else 0,
        )

    @property
    def num_iterations(self) -> float:
        """Iterations, of which `max_steps` may cut the last short."""
        return self.num_steps / self.num_steps_per_iteration

    # Rollouts ------------------------------------------------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        """Completions of a generation batch that TRL gets, B = P x G."""
        return self.num_groups * self.group_size

    @property
    def num_trained(self) -> int:
        """Completions that are trained on if no group is masked, each counted once."""
        return self.num_batches * self.batch_size

    @property
    def max_candidates(self) -> int:
        """Most groups that are rolled out: every round replaces the whole batch, or the queue is used up."""
        rounds = self.num_batches * self.num_groups * (1 + self.max_refill_rounds)
        if not self.max_refill_rounds:
            return rounds
        # a batch for which the queue has none left rolls out one group, to make up the batch
        return min(rounds, math.ceil(self.num_iterations) * self.num_instructions_per_iteration + self.num_batches)

    @property
    def max_rollouts(self) -> int:
        """Most completions that are generated to be trained on or to vote; rows that pad a process's share among them."""
        padding = self.num_batches * self.max_refill_rounds * (self.num_processes - 1)
        return self.max_candidates * self.num_votes + padding

    def expected_candidates(self, accepted: float = ACCEPTED) -> float:
        """Groups rolled out where a share `accepted` of them lies inside the band, as long as the queue lasts."""
        per_slot = sum((1 - accepted) ** k for k in range(1 + self.max_refill_rounds))
        expected = self.num_batches * self.num_groups * per_slot
        return (
            min(expected, self.num_iterations * self.num_instructions_per_iteration)
            if self.max_refill_rounds
            else expected
        )

    def expected_filled(self, accepted: float = ACCEPTED) -> float:
        """Share of the batch that is then trained on."""
        return min(1.0, self.expected_candidates(accepted) * accepted / (self.num_batches * self.num_groups))

    @property
    def max_generated_tokens(self) -> int:
        """Most tokens of all these completions."""
        return self.max_rollouts * self.max_completion_length

    # Instructions --------------------------------------------------------------------------------------------------

    @property
    def num_instructions_per_iteration(self) -> int:
        """Instructions written for an iteration, the reserve among them."""
        return self.num_requests * self.num_wanted

    @property
    def max_replies_per_iteration(self) -> int:
        """Most replies asked for; the last call may go beyond the eight for each instruction by what it asks for."""
        last_call = min(self.batch_size, self.num_wanted * 5 // 4 + 1)
        return self.num_requests * (MAX_REPLIES_PER_INSTRUCTION * self.num_wanted - 1 + last_call)

    @property
    def max_written_tokens(self) -> int:
        """Most tokens of the replies of the whole run."""
        return math.ceil(self.num_iterations) * self.max_replies_per_iteration * self.max_instruction_length

    def expected_rollouts_ahead(self, accepted: float = ACCEPTED) -> float:
        """Completions that vote on instructions as they are written, where a share `accepted` is kept."""
        num_kept = self.num_iterations * self.num_instructions_per_iteration
        return num_kept / accepted * self.num_votes if self.ahead else 0.0

    # Forward passes ------------------------------------------------------------------------------------------------

    @property
    def passes(self) -> dict[str, int]:
        """Completions that pass through a model, with their prompts, by kind; generation is not among them."""
        trained = self.num_trained * self.num_uses
        return {
            "policy, no gradient": self.num_trained * self.scored_by_policy,
            "reference": self.num_trained * self.scored_by_reference,
            "policy, forward": trained,
            "policy, forward again": trained * self.is_recomputed,
            "policy, backward": trained,
        }

    def flops(self, num_parameters: int, prompt_tokens: int) -> float:
        """
        Most floating-point operations, by 2 for each parameter and token forward and 4 backward, attention left out.

        Args:
            num_parameters (`int`): Of the model.
            prompt_tokens (`int`): Of each prompt.
        """
        cost = {"policy, backward": 4}
        length = prompt_tokens + self.max_completion_length
        scored = sum(cost.get(kind, 2) * number for kind, number in self.passes.items()) * length
        generated = 2 * (self.max_generated_tokens + self.max_rollouts * prompt_tokens + self.max_written_tokens)
        return float(num_parameters) * (scored + generated)
