"""`SeRLTrainer`: TRL's GRPOTrainer on prompts it writes and rewards it votes for itself."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from accelerate.logging import get_logger
from datasets import Dataset
from peft import PeftModel
from torch.nn import Module
from transformers import PreTrainedModel, ProcessorMixin, set_seed
from trl.trainer.grpo_trainer import RewardFunc  # what TRL calls a reward

from ..checkpoints import ResumableGRPOTrainer
from ..instructions import SelfInstructDataset
from ..prompts import Decoding, put_to_policy, shared_lead
from ..rollouts import (
    VOTE_COLUMN,
    Batch,
    GroupVotes,
    InstructionFeed,
    RolloutSource,
    gate_metrics,
    policy_writing,
    sampling_seed,
)
from ..runtime import temporarily_set
from ..types import Prompt
from ..voting import DifficultyGate, GroundTruthReward, MajorityVoteReward
from .advantages import ADVANTAGE_ESTIMATORS
from .finite_check import FiniteCheck
from .gated_loss import GatedLoss, loss_mask
from .hub_push import HubPushes
from .input_checks import checked_arguments
from .merged_adapter import save_merged
from .model_card import CardFacts, write_card
from .reward_table import RewardTable, moments, replace_last
from .serl_config import SeRLConfig
from .step_callbacks import EmptyStepCallback, RegenerationCallback
from .token_kl import token_kl
from .token_logprobs import TokenLogprobs
from .trainable import check_trainable, warn_of_lost_updates


logger = get_logger(__name__)
NumItems: TypeAlias = torch.Tensor | int | None  # by which Trainer divides a loss


class SeRLTrainer(ResumableGRPOTrainer):
    """
    Trainer for SeRL: self-instruction, majority-vote rewards, a gate on vote share, REINFORCE++.

    What differs from [`~trl.GRPOTrainer`]: the prompts are slots that the policy fills with instructions of its own; votes
    are taken over whole groups, wherever TRL has put their rows; groups outside the band of vote shares are replaced, or
    leave the batch before anything is normalised; advantages have shape (B, T) and may hold the KL term. Everything else is
    TRL's, but for what losses are divided by ([`GatedLoss`]), for checkpoints ([`ResumableGRPOTrainer`]), for numbers
    that are not finite ([`FiniteCheck`]), and for model cards (`card_facts`) and pushes that fail ([`HubPushes`]).

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            As in [`~trl.GRPOTrainer`].
        reward_funcs (`RewardFunc` or `list[RewardFunc]`, *optional*):
            Defaults to [`MajorityVoteReward`]. Any reward of TRL works, alone or in a weighted list; the gate reads the
            first [`MajorityVoteReward`], else the first [`GroundTruthReward`], else it is off.
        args ([`SeRLConfig`], *optional*):
            Defaults to `SeRLConfig("<model>-SeRL")`.
        train_dataset ([`~datasets.Dataset`] or [`SelfInstructDataset`]):
            The seeds, in a column `prompt` (strings or messages); no other column is read by the vote.
        **kwargs:
            The other arguments of [`~trl.GRPOTrainer`].

    Raises:
        ValueError: For tools, environments, rollout functions, streaming datasets, vision models, models without trainable
            parameters, a `quantization_config` that bitsandbytes cannot serve here; before any weight is loaded for prompts,
            templates, tokenizers and sizes that do not fit ([`~input_checks.checked_datasets`]).
        ImportError: If `use_vllm` is set and vLLM is missing or not one that TRL can drive.

    Source: arXiv 2505.20347.

    Example:

    ```python
    trainer = SeRLTrainer("Qwen/Qwen2.5-0.5B-Instruct", args=SeRLConfig("out"), train_dataset=seeds)
    trainer.train()
    ```
    """

    args: SeRLConfig

    def __init__(
        self,
        model: str | PreTrainedModel | PeftModel,
        reward_funcs: RewardFunc | list[RewardFunc] | None = None,
        args: SeRLConfig | None = None,
        train_dataset: Dataset | SelfInstructDataset | None = None,
        **kwargs: Any,
    ):
        args, train_dataset, kwargs = checked_arguments(model, args, train_dataset, kwargs)
        rewards = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs or MajorityVoteReward()]
        slots = train_dataset if isinstance(train_dataset, SelfInstructDataset) else None
        self.card_facts, self.pushes = CardFacts(), HubPushes(self)  # Trainer asks it for a repository as it is made
        self.gated_loss, self.finite_check = GatedLoss(self), FiniteCheck(self)
        self.token_logprobs = TokenLogprobs(self)
        self._group_votes = GroupVotes(self, args)
        super().__init__(
            model,
            reward_funcs=[self._group_votes.wrap(reward) for reward in rewards],
            args=args,
            train_dataset=Dataset.from_dict({"prompt": slots.seeds}) if slots else train_dataset,
            **kwargs,
        )
        self._check_model()
        if self.use_vllm:  # an engine in this process has seeded every generator with its number, not with args.seed
            set_seed(sampling_seed(self, args.seed))
        self.train_dataset = train_dataset  # TRL checks the type at construction only
        self.rollout_func = self.rollout_source = RolloutSource(self)  # type: ignore[assignment]  # TRL names texts alone
        self._gate = DifficultyGate(args.min_vote_share, args.max_vote_share)
        self._truth_column = next((i for i, r in enumerate(rewards) if isinstance(r, GroundTruthReward)), None)
        vote = self._group_votes.vote if self._group_votes.reward is not None else None
        self.gated_loss.is_gating = args.is_gated and (vote is not None or self._truth_column is not None)
        self.feed = InstructionFeed(self, slots, self._gate, vote) if slots is not None else None
        self._estimator = ADVANTAGE_ESTIMATORS[args.advantage_estimator]
        self._rewards = RewardTable(torch.empty(0), self.reward_weights)  # of the last rollout
        self.shared_states["votes"] = self._group_votes
        if self.feed is not None:
            self.shared_states["instructions"] = self.feed.dataset
            self.add_callback(RegenerationCallback(self, self.feed))
        self.add_callback(EmptyStepCallback(self))
        self.add_callback(self.pushes)

    def _check_model(self) -> None:
        """Raises for a model that is not a text model or has nothing to train; warns of settings that do nothing."""
        check_trainable(self.model)  # what was loaded from a path
        if not (self.is_deepspeed_enabled or self.is_fsdp_enabled):  # both keep float32 weights of their own
            warn_of_lost_updates(self.model, self.args.learning_rate)
        if isinstance(self.processing_class, ProcessorMixin):
            raise ValueError("SeRLTrainer trains language models only, and this is a vision-language model.")
        if self.args.self_instruct and self.args.instruction_presence_penalty and not self.use_vllm:
            logger.warning(
                f"instruction_presence_penalty={self.args.instruction_presence_penalty} has no effect: Transformers' "
                "generation has no presence penalty. Use vLLM, or set it to 0."
            )

    @property
    def vote_reward(self) -> MajorityVoteReward | None:
        """The reward that the gate reads and the logs describe, if one votes."""
        return self._group_votes.reward

    def seed_prompts(self) -> list[Prompt]:
        """What the policy is asked for each seed, or the prompts of the dataset as they are."""
        return self.feed.dataset.seed_prompts() if self.feed is not None else list(self.train_dataset["prompt"])

    def asked(self, problem: Prompt) -> Prompt:
        """A problem as the policy is asked it in training: a text gets the template, or the first turns, of the seeds."""
        template = self.feed.dataset.prompt_template if self.feed is not None else None
        return put_to_policy(problem, template, self._lead)

    @functools.cached_property
    def _lead(self) -> list[dict[str, str]] | None:
        return shared_lead(self.seed_prompts())

    # Writing instructions ------------------------------------------------------------------------------------------

    def regenerate_instructions(self, iteration: int) -> None:
        """Begins an iteration (from 0) of instructions, the same on every process."""
        if self.feed is None:
            raise ValueError("There is nothing to regenerate: the prompts are a dataset's (self_instruct=False).")
        self.feed.start_iteration(iteration)

    @functools.cached_property
    def decoding(self) -> Decoding:
        """The rules by which all text is written and measured."""
        return Decoding.of_trainer(self)

    def complete(
        self, prompt_ids: list[list[int]], num_generations: int, uniforms: torch.Tensor | None = None
    ) -> tuple[list[list[int]], list | None]:
        """As [`Policy.complete`]: by TRL's generation, whatever its backend, under the rules of writing."""
        with policy_writing(self, uniforms):
            return self._generate_single_turn(prompt_ids, None, {}, num_generations)

    def record(self, metrics: Mapping[str, float], mode: str = "train") -> None:
        """As [`Policy.record`]: into what TRL averages for its next log."""
        for name, value in metrics.items():
            self._metrics[mode][name].append(value)

    def pending_metrics(self, name: str) -> list[float]:
        """The values of a metric of training that wait for the next log; TRL makes a new list after each."""
        return self._metrics["train"].get(name, [])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Brings `num_tokens` up to date, which TRL sets as a rollout begins, and only at steps that have one."""
        if self.model.training and "loss" in logs:
            self._metrics["train"]["num_tokens"] = [self.state.num_input_tokens_seen]
        super().log(logs, start_time)

    # Rewards, gate, advantages -------------------------------------------------------------------------------------

    def _calculate_rewards(
        self, inputs: list, prompts: list, completions: list, completion_ids_list: list
    ) -> torch.Tensor:
        """Keeps what TRL gathers, for the gate and the estimator; TRL gets no rewards at all for a row that has none."""
        self._group_votes.start_rollout()
        per_func = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)  # (B_global, F)
        self.finite_check.check_rewards(per_func, prompts, completions)
        self._rewards = RewardTable(per_func, self.reward_weights)
        return self._rewards.of_weighed_rows

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """In training: rolls out instructions for the slots until enough pass the gate; estimates advantages afterwards."""
        if not self.model.training:
            inputs = [{**row, "prompt": self.asked(row["prompt"])} for row in inputs]
            output = super()._generate_and_score_completions(inputs)
            self._log_all_rewards("eval")
            votes = self._group_votes
            self.record(votes.metrics(votes.prompts, votes.votes, is_training=False), "eval")
            return output
        if self.feed is None:
            output = super()._generate_and_score_completions(inputs)
            is_kept = self._kept_groups()
        else:
            output, is_kept = self._score_batch(self.feed, len(inputs))
        self._log_all_rewards("train")
        return self._with_advantages(output, is_kept)

    def _log_all_rewards(self, mode: str) -> None:
        """Puts the rewards of rows that have none, such as a vote at weight 0, back into what TRL logs of each function."""
        if self._rewards.has_reward.all():
            return
        for name, column in zip(self.reward_func_names, self._rewards.per_func.unbind(dim=1), strict=True):
            self._metrics[mode][f"rewards/{name}/mean"][-1], self._metrics[mode][f"rewards/{name}/std"][-1] = moments(
                column
            )
            replace_last(self._logs["rewards"][name], column.tolist())

    def _score_batch(self, feed: InstructionFeed, num_rows: int) -> tuple[dict[str, Any], torch.Tensor]:
        """What TRL makes of the rows that this process holds of the feed's next batch, and which groups to train on."""
        batch = feed.next_batch(num_rows * self.accelerator.num_processes // self.num_generations)
        start = self.accelerator.process_index * num_rows
        own = slice(start, start + num_rows)
        rows: list[dict[str, Any]] = [
            {"prompt": feed.dataset.prompt(group.index)} | ({VOTE_COLUMN: (group.vote, place)} if group.vote else {})
            for group in batch.groups
            for place in range(len(group.rollouts))
        ]
        self.rollout_source.hand_over([rollout for group in batch.groups for rollout in group.rollouts][own])
        num_tokens = self.state.num_input_tokens_seen  # counted when they were generated
        output = super()._generate_and_score_completions(rows[own])
        self.state.num_input_tokens_seen = num_tokens
        self._metrics["train"]["num_tokens"] = [num_tokens]
        self._record_batch(feed, batch)
        return output, torch.tensor(batch.is_kept, device=self.accelerator.device)

    def _record_batch(self, feed: InstructionFeed, batch: Batch) -> None:
        """Logs what the candidates of a batch were voted, and what the gate made of them."""
        votes = [group.vote for group in batch.candidates if group.vote is not None]
        asked = [feed.dataset.prompt(group.index) for group in batch.candidates]
        verdicts = [group.verdict for group in batch.candidates] if votes else []
        self.record(gate_metrics(verdicts, batch.is_kept, self.num_generations, batch.num_rollouts))
        self.record({"serl/gate/num_refill_rounds": float(batch.num_rounds)})
        self.record(self._group_votes.metrics(asked, votes, is_training=True))

    def _kept_groups(self) -> torch.Tensor:
        """Which groups to train on, (P,) over all processes, where the prompts are a dataset's."""
        verdicts = [self._gate(share) for share in self._group_shares()]
        num_rollouts, votes = len(self._rewards.per_func), self._group_votes
        is_kept = [verdict.kept for verdict in verdicts] or [True] * (num_rollouts // self.num_generations)
        self.record(gate_metrics(verdicts, is_kept, self.num_generations, num_rollouts))
        self.record(votes.metrics(votes.prompts, votes.votes, is_training=True))
        return torch.tensor(is_kept, device=self.accelerator.device)

    def _group_shares(self) -> list[float]:
        """What the gate reads of each group: its vote share, else its accuracy; empty where there is neither."""
        if self._group_votes.votes:
            return [vote.share for vote in self._group_votes.votes]
        if self._truth_column is None:
            return []
        return self._rewards.per_func[:, self._truth_column].view(-1, self.num_generations).nanmean(dim=1).tolist()

    def _with_advantages(self, output: dict[str, Any], is_kept: torch.Tensor) -> dict[str, Any]:
        """TRL's output with our advantages, and without the rows that are gated away or have no reward."""
        rewards = self._rewards.totals  # (B_global,)
        rewards[~is_kept.repeat_interleave(self.num_generations)] = torch.nan
        num_rows = len(output["completion_mask"])
        rows = slice(self.accelerator.process_index * num_rows, (self.accelerator.process_index + 1) * num_rows)
        is_row_kept = ~rewards.isnan()
        mask = loss_mask(output) * is_row_kept[rows, None]  # (B, T)
        # TRL's own advantages are 0 where there is no reward
        if not (self.args.has_trl_advantages and is_kept.all()):
            kl = token_kl(self, output, mask) if self.args.is_kl_in_reward and self.beta != 0 else None
            output["advantages"] = self._estimator(
                rewards,
                kl,
                mask,
                num_generations=self.num_generations,
                kl_coef=self.beta,
                rows=rows,
                sum_over_processes=functools.partial(self.accelerator.reduce, reduction="sum"),
            )
            means = (output["advantages"] * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            replace_last(self._logs["advantages"], self.accelerator.gather(means).tolist())
        return output if is_row_kept.all() else self.gated_loss.without_rows(output, mask, is_row_kept)

    # Loss and step -------------------------------------------------------------------------------------------------

    def compute_loss(
        self, model: Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: NumItems = None
    ) -> torch.Tensor:
        """Leaves the KL out of the loss where the reward holds it, and averages over what is kept ([`GatedLoss`])."""
        is_training = self.model.training
        self.token_logprobs.gather_groups(model, inputs)
        scale, share = self.gated_loss.scales(inputs) if is_training else (1.0, 1.0)
        beta = 0.0 if self.args.is_kl_in_reward else self.beta * scale
        with temporarily_set(self, beta=beta), self.gated_loss.entropy_scaled(share):
            scaled = {**inputs, "advantages": inputs["advantages"] * scale}
            loss = super().compute_loss(model, scaled, return_outputs, num_items_in_batch)
        if is_training:
            self.finite_check.note_loss(loss, inputs)
        return loss

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """Computes prompts once ([`TokenLogprobs`]), and has the gradient of the entropy bonus scaled ([`GatedLoss`])."""
        scored = self.token_logprobs(super()._get_per_token_logps_and_entropies, *args, **kwargs)
        self.gated_loss.scale_entropies(scored[1])
        return scored

    def training_step(
        self, model: Module, inputs: dict[str, Any], num_items_in_batch: NumItems = None
    ) -> torch.Tensor:
        """Ends the run where the gradients of a step are not finite ([`FiniteCheck`])."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.accelerator.sync_gradients:
            self.finite_check.check_step()
        return loss

    # Saving and pushing --------------------------------------------------------------------------------------------

    def create_model_card(  # type: ignore[override]  # TRL has changed it before us
        self, model_name: str | None = None, dataset_name: str | None = None, tags: str | Iterable[str] | None = None
    ) -> None:
        """A card of ours in `output_dir`; `dataset_name`, the seeds on the Hub, defaults to that of `card_facts`."""
        if self.is_writing_checkpoint:
            return  # TRL asks for one, for a folder that is not in its place yet
        self.card_facts.seed_dataset = dataset_name or self.card_facts.seed_dataset
        write_card(self, self.run_dir, model_name, [tags] if isinstance(tags, str) else tags or [])

    def save_model(self, output_dir: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Puts our card in the place of PEFT's, which takes the path of a local base for its id on the Hub."""
        super().save_model(output_dir, *args, **kwargs)
        if hasattr(self.model, "peft_config"):
            write_card(self, self.run_dir if output_dir is None else Path(output_dir))

    def checkpoint_published(self, checkpoint: Path) -> None:
        """Brings the card up to date, and pushes what `hub_strategy` says."""
        write_card(self, self.run_dir)
        if self.args.push_to_hub:
            self.pushes.push_checkpoint(checkpoint)

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """
        As [`~transformers.Trainer.init_hf_repo`]; also learns the license of the base.

        Raises:
            HubError: If there is no such repository, and none can be created.
        """
        self.pushes.created(lambda: super(SeRLTrainer, self).init_hf_repo(token, private), token)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """
        As [`~transformers.Trainer.push_to_hub`], with everything in `output_dir` before the Hub is asked for anything.

        Raises:
            HubError: If the push fails, with the command by which it is made up for.
        """
        return self.pushes.push(commit_message, blocking, token, revision, private, **kwargs)

    def save_merged(self, push: bool = False) -> Path:
        """
        Saves the policy with its adapter merged into its base, to a folder of its own, `<output_dir>-merged`.

        Beside an adapter, Transformers would not load it. It is a copy, which takes as much memory as the base.

        Args:
            push (`bool`, *optional*, defaults to `False`): Whether to push it, too, to `<hub_model_id>-merged`.

        Raises:
            ValueError: If there is no adapter, or no process has all of the model.
            HubError: If the push fails; the folder is there by then.
        """
        return save_merged(self, push)
