"""`InstructionFeed`: hands the trainer groups of rollouts for instructions that its policy wrote."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from accelerate.logging import get_logger

from ..instructions import SelfInstructDataset, TooFewInstructionsError, drift_warning, read_instructions
from ..runtime import isolated_random_state, model_mode, run_on_all_ranks
from ..types import Completion, Prompt, Rollout, Verdict
from ..voting import DifficultyGate, Vote
from .fill_batch import Batch, Group, fill_batch
from .generate import rollouts, sampling_seed, written_replies
from .policy import Policy


logger = get_logger(__name__)

GroupVote: TypeAlias = Callable[[list[Prompt], list[list[Completion]]], list[Vote]]


class InstructionFeed:
    """
    Has instructions written when they are due, rolls them out, and replaces groups that the gate rejects.

    Every process calls it alike and gets the same, whatever the layout.

    Args:
        policy ([`Policy`]):
            Who writes and answers.
        dataset ([`SelfInstructDataset`]):
            The slots, and the queue.
        gate ([`~filters.DifficultyGate`]):
            The band of vote shares.
        vote (`Callable[[list[Prompt], list[list[Completion]]], list[Vote]]`, *optional*):
            Votes on groups of completions, given their prompts; without it every group passes.

    Raises:
        ValueError: If instructions are to be voted on ahead of training and no reward votes.
    """

    def __init__(
        self, policy: Policy, dataset: SelfInstructDataset, gate: DifficultyGate, vote: GroupVote | None
    ) -> None:
        self.policy, self.dataset, self.gate, self.vote = policy, dataset, gate, vote
        self.args = policy.args
        self._warned_of = -1  # the last iteration with a warning of drift
        self._num_rollouts_ahead = 0.0  # completions generated to vote on instructions ahead of training
        if self.args.difficulty_filter == "ahead" and vote is None:
            raise ValueError(
                "difficulty_filter='ahead' votes on each instruction, but no reward votes; add a MajorityVoteReward, "
                "with weight 0 if it is for the filter alone, or use difficulty_filter='rollout'."
            )

    def start_iteration(self, iteration: int) -> None:
        """Begins an iteration, from 0, and fills the queue for all of it unless that is done step by step."""
        self.dataset.start(iteration)
        if self.args.regenerate == "epoch":
            self._extend(len(self.dataset))

    def next_batch(self, num_groups: int) -> Batch:
        """The groups of the next generation batch, those outside the band replaced as far as the queue allows."""
        if self.args.regenerate == "step":
            self._extend(num_groups)
            self.save()
        self.dataset.cursor.bind(num_groups)
        rounds = self.args.max_refill_rounds if self.args.is_refilled else 0
        filler_index = max(self.dataset.cursor.position - 1, 0)
        batch = fill_batch(
            num_groups, self.dataset.draw, self._roll_out, max_refill_rounds=rounds, filler_index=filler_index
        )
        for group in batch.candidates:
            if group.vote is not None:
                self.dataset.record_vote(group.index, group.vote)
        return batch

    def save(self) -> Path:
        """Files the iteration's instructions, as far as they are written and voted on."""
        path = self._path(self.dataset.iteration)
        run_on_all_ranks(lambda: self.dataset.save(path) if self.policy.is_world_process_zero() else None)
        return path

    def reload_past_iterations(self) -> None:
        """After a resume: reads the earlier iterations, which checkpoints do not hold, from their files."""
        if len(self.dataset.archive):
            return  # the run goes on where it stopped in this very process
        for iteration in range(self.dataset.iteration):
            if self._path(iteration).is_file():
                self.dataset.archive.add(iteration + 1, read_instructions(self._path(iteration)))

    def _path(self, iteration: int) -> Path:
        return Path(self.args.output_dir) / "instructions" / f"iteration_{iteration + 1}.jsonl"

    def _extend(self, num_slots: int) -> None:
        """Has instructions for the next slots written, and a reserve; stops the run where there are hardly any."""
        try:
            metrics = self._written(num_slots)
        except TooFewInstructionsError as error:
            raise self._told(error) from None
        self._record(metrics)
        if self.args.regenerate == "epoch":
            self._tell_of_masked_slots(num_slots, metrics)

    def _written(self, num_slots: int) -> dict[str, float]:
        """Has the policy write; returns what the log says of it."""
        reserve = self.args.reserve_fraction if self.args.is_refilled and self.vote is not None else 0.0
        is_judged = self.args.difficulty_filter == "ahead" and not self.gate.is_open
        return self.dataset.extend(
            lambda prompts, seed: written_replies(self.policy, prompts, seed),
            math.ceil(num_slots * (1 + reserve)),
            num_slots,
            self.args.generation_batch_size,
            judge=self.judge if is_judged else None,
            num_needed=math.ceil(num_slots * self.args.min_instruction_fraction),
        )

    def _told(self, error: TooFewInstructionsError) -> TooFewInstructionsError:
        """The error once what was written and trained so far is saved, with the places."""
        places = [f"what was written so far is in {self.save()}"]
        if self.args.regenerate == "epoch":
            self.dataset.queue.clear()  # so that a run that is resumed here writes it anew
        places += self._checkpoint()
        return TooFewInstructionsError(
            f"Iteration {self.dataset.iteration + 1}: {error} Of this run {', '.join(places)}."
        )

    def _record(self, metrics: dict[str, float]) -> None:
        """Logs what was written, and warns of drift once an iteration."""
        penalty = self.args.instruction_presence_penalty if self.policy.use_vllm else 0.0
        metrics["serl/instructions/presence_penalty"] = penalty
        metrics["serl/instructions/num_rollouts_ahead"], self._num_rollouts_ahead = self._num_rollouts_ahead, 0.0
        self.policy.record(metrics)
        warning = drift_warning(metrics)
        if warning is not None and self._warned_of != self.dataset.iteration:
            self._warned_of = self.dataset.iteration
            logger.warning(f"Iteration {self.dataset.iteration + 1}: {warning}")

    def _tell_of_masked_slots(self, num_slots: int, metrics: dict[str, float]) -> None:
        num_queued = len(self.dataset.queue)
        if num_queued >= num_slots:
            return
        prefix = "serl/filter/frac_rejected_"
        eaten = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
        listed = ", ".join(f"{name} {value:.0%}" for name, value in eaten.items() if value)
        self.policy.accelerator.print(
            f"Iteration {self.dataset.iteration + 1}: {num_queued} instructions for {num_slots} slots could be written, and "
            f"the other slots are masked. Rejected: {listed}."
        )

    def _checkpoint(self) -> list[str]:
        """Saves what is trained so far, unless it is saved already, and says where."""
        state = self.policy.state
        if state.global_step == 0:
            return []
        return [f"and the policy after step {state.global_step} in {self.policy.last_checkpoint()}"]

    def _roll_out(self, indices: list[int]) -> tuple[list[Group], int]:
        prompts = [self.dataset.prompt(index) for index in indices]
        groups, num_generated = rollouts(self.policy, prompts)
        votes = self._votes(prompts, groups)
        verdicts = [self.gate(vote.share) if vote is not None else Verdict(kept=True) for vote in votes]
        return [Group(*parts) for parts in zip(indices, groups, votes, verdicts, strict=True)], num_generated

    def judge(self, prompts: list[Prompt], seed: int) -> list[tuple[Vote, Verdict]]:
        """Votes on instructions ahead of training, with samples as in training; moves no random state."""
        size = self.args.num_prompts_per_generation
        votes: list[Vote] = []
        with model_mode(self.policy.model, training=True), isolated_random_state(sampling_seed(self.policy, seed)):
            for start in range(0, len(prompts), size):
                asked = prompts[start : start + size]
                groups, num_generated = rollouts(self.policy, asked)
                votes += [vote for vote in self._votes(asked, groups) if vote is not None]
                self._num_rollouts_ahead += num_generated
        return [(vote, self.gate(vote.share)) for vote in votes]

    def _votes(self, prompts: list[Prompt], groups: list[list[Rollout]]) -> Sequence[Vote | None]:
        if self.vote is None:
            return [None] * len(groups)
        return self.vote(prompts, [[rollout.completion for rollout in group] for group in groups])
