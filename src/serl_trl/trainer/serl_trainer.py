"""`SeRLTrainer`: TRL's GRPOTrainer on prompts it writes and rewards it votes for itself."""

import functools
import textwrap
from typing import Any

import torch
from accelerate.logging import get_logger
from datasets import Dataset
from transformers import set_seed
from trl.trainer.grpo_trainer import RewardFunc  # what TRL calls a reward
from trl.trainer.utils import nanstd

from ..instructions import SelfInstructDataset
from ..prompts import Decoding, put_to_policy, shared_lead
from ..rollouts import Batch, GroupVotes, InstructionFeed, gate_metrics, policy_writing, sampling_seed
from ..runtime import swapped
from ..types import Prompt
from ..voting import DifficultyGate, GroundTruthReward, MajorityVoteReward, Vote
from .advantages import ADVANTAGE_ESTIMATORS
from .gated_trainer import GatedGRPOTrainer, loss_mask
from .input_checks import check_supported, checked_datasets
from .preflight import check_vllm
from .quantization import check_quantization
from .serl_config import SeRLConfig
from .step_callbacks import EmptyStepCallback, RegenerationCallback
from .trainable import check_trainable, warn_of_lost_updates


logger = get_logger(__name__)


class SeRLTrainer(GatedGRPOTrainer):
    """
    Trainer for SeRL: self-instruction, majority-vote rewards, a gate on vote share, REINFORCE++.

    What differs from [`~trl.GRPOTrainer`]: the prompts are slots that the policy fills with instructions of its own; votes
    are taken over whole groups, wherever TRL has put their rows; groups outside the band of vote shares are replaced, or
    leave the batch before anything is normalised; advantages have shape (B, T) and may hold the KL term. Everything else is
    TRL's, but for what losses are divided by ([`GatedGRPOTrainer`]), for checkpoints ([`ResumableGRPOTrainer`]), for numbers
    that are not finite ([`GuardedGRPOTrainer`]), and for model cards and pushes that fail ([`HubGRPOTrainer`]).

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]):
            As in [`~trl.GRPOTrainer`].
        reward_funcs (`RewardFunc` or `list[RewardFunc]`, *optional*):
            Defaults to [`MajorityVoteReward`]. Any reward of TRL works, alone or in a weighted list; the gate reads the
            first [`MajorityVoteReward`], else the first [`GroundTruthReward`], and without either it is off.
        args ([`SeRLConfig`], *optional*):
            Defaults to `SeRLConfig("<model>-SeRL")`.
        train_dataset ([`~datasets.Dataset`] or [`SelfInstructDataset`]):
            The seeds, in a column `prompt` (strings or messages); no other column is read by the vote.
        **kwargs:
            The other arguments of [`~trl.GRPOTrainer`].

    Raises:
        ValueError: For tools, environments, rollout functions, streaming datasets, vision models, and for a
            `quantization_config` that bitsandbytes cannot serve here; before any weight is loaded for prompts, templates,
            tokenizers and sizes that do not fit ([`~input_checks.checked_datasets`]). For a model without trainable parameters.
        ImportError: If `use_vllm` is set and vLLM is missing or not one that TRL can drive.

    Source: arXiv 2505.20347.

    Example:

    ```python
    trainer = SeRLTrainer("Qwen/Qwen2.5-0.5B-Instruct", args=SeRLConfig("out"), train_dataset=seeds)
    trainer.train()
    ```
    """

    args: SeRLConfig
    model: Any
    train_dataset: Any  # a Dataset, or the slots of a SelfInstructDataset
    num_generations: int
    num_generations_eval: int
    _logs: dict[str, Any]

    _tag_names = ["trl", "serl"]  # noqa: RUF012 (TRL's declaration)
    _name = "SeRL"
    _paper = {  # noqa: RUF012
        "title": "SeRL: Self-Play Reinforcement Learning for Large Language Models with Limited Data",
        "id": "2505.20347",
        "citation": textwrap.dedent("""\
            @article{fang2025serl,
                title        = {{SeRL: Self-Play Reinforcement Learning for Large Language Models with Limited Data}},
                author       = {Wenkai Fang and Shunyu Liu and Yang Zhou and Kongcheng Zhang and Tongya Zheng and Kaixuan Chen and Mingli Song and Dacheng Tao},
                year         = 2025,
                eprint       = {arXiv:2505.20347},
            }"""),
    }

    def __init__(
        self,
        model: Any,
        reward_funcs: RewardFunc | list[RewardFunc] | None = None,
        args: SeRLConfig | None = None,
        train_dataset: Dataset | SelfInstructDataset | None = None,
        **kwargs: Any,
    ):
        check_supported(train_dataset, kwargs)
        check_quantization(kwargs.get("quantization_config"))
        init_kwargs: Any = args.model_init_kwargs if args is not None else None  # TRL has parsed it
        check_quantization((init_kwargs or {}).get("quantization_config"))
        if args is None:
            model_id = model if isinstance(model, str) else model.config._name_or_path
            args = SeRLConfig(f"{model_id.split('/')[-1]}-SeRL")
        check_vllm(args)
        if not isinstance(model, str) and kwargs.get("peft_config") is None:
            check_trainable(model)
        rewards = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs or MajorityVoteReward()]
        if args.self_instruct and isinstance(train_dataset, Dataset):
            train_dataset = SelfInstructDataset.from_config(train_dataset, args)
        tokenizer = kwargs.get("processing_class")
        train_dataset, kwargs["eval_dataset"] = checked_datasets(
            train_dataset, kwargs.get("eval_dataset"), args, model, tokenizer
        )
        slots = train_dataset if isinstance(train_dataset, SelfInstructDataset) else None
        self._group_votes = GroupVotes(self, args)
        super().__init__(
            model,
            reward_funcs=[self._group_votes.wrap(reward) for reward in rewards],
            args=args,
            train_dataset=Dataset.from_dict({"prompt": slots.seeds}) if slots else train_dataset,
            **kwargs,
        )
        check_trainable(self.model)  # what was loaded from a path
        if not (self.is_deepspeed_enabled or self.is_fsdp_enabled):  # both keep float32 weights of their own
            warn_of_lost_updates(self.model, self.args.learning_rate)
        if self._is_vlm:
            raise ValueError("SeRLTrainer trains language models only, and this is a vision-language model.")
        if self.use_vllm:  # an engine in this process has seeded every generator with its number, not with args.seed
            set_seed(sampling_seed(self, args.seed))
        self.train_dataset = train_dataset  # TRL checks the type at construction only
        self._gate = DifficultyGate(args.min_vote_share, args.max_vote_share)
        truths = [i for i, reward in enumerate(rewards) if isinstance(reward, GroundTruthReward)]
        self._truth_column = truths[0] if truths else None
        vote = self._group_votes.vote if self._group_votes.reward is not None else None
        self._is_gating = args.is_gated and (vote is not None or self._truth_column is not None)
        self.feed = InstructionFeed(self, slots, self._gate, vote) if slots is not None else None
        self._batch: Batch | None = None  # of the feed, while TRL scores it
        self._generated: tuple[list, list | None] | None = None  # this process's rows of it, until TRL asks for them
        self._estimator = ADVANTAGE_ESTIMATORS[args.advantage_estimator]
        self._rewards_per_func = torch.empty(0)  # (B_global, F), of the last rollout
        self.shared_states["votes"] = self._group_votes
        if slots is not None:
            self.shared_states["instructions"] = slots
            self.add_callback(RegenerationCallback(self))
            if args.instruction_presence_penalty and not self.use_vllm:
                logger.warning(
                    f"instruction_presence_penalty={args.instruction_presence_penalty} has no effect: Transformers' "
                    "generation has no presence penalty. Use vLLM, or set it to 0."
                )
        self.add_callback(EmptyStepCallback(self))

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
        """The rules by which all text of the policy is written and measured."""
        return Decoding.of_trainer(self)

    def _tokenize_prompts(self, prompts: list) -> tuple[list[list[int]], None, dict[str, Any]]:
        """As the rules have it, which evaluation follows, too; for text TRL's tokens are the same."""
        return self.decoding.prompt_ids(prompts), None, {}

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> tuple[list, list | None]:
        """Hands TRL the rollouts of the batch, once, where they are generated already; else has the model write them."""
        batch, self._generated = self._generated, None
        if batch is not None:
            return batch
        with policy_writing(self):
            return super()._generate_single_turn(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Brings `num_tokens` up to date, which TRL sets as a rollout begins, and only at steps that have one."""
        if self.model.training and "loss" in logs:
            self._metrics["train"]["num_tokens"] = [self.state.num_input_tokens_seen]
        super().log(logs, start_time)

    # Rewards, gate, advantages -------------------------------------------------------------------------------------

    @property
    def votes_of_batch(self) -> list[Vote]:
        """The votes that the gate has read already, on the groups of the batch that TRL scores; else none."""
        return [group.vote for group in self._batch.groups if group.vote] if self._batch is not None else []

    def _calculate_rewards(
        self, inputs: list, prompts: list, completions: list, completion_ids_list: list
    ) -> torch.Tensor:
        """Keeps what TRL gathers, for the gate and the estimator; TRL gets no rewards at all for a row that has none."""
        self._group_votes.start_rollout()
        self._rewards_per_func = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        return torch.where(self._has_reward()[:, None], self._rewards_per_func, torch.nan)

    def _has_reward(self) -> torch.Tensor:
        """
        Which rows of all processes have a reward, (B_global,): one of weight 0 is none, unless all have weight 0.

        TRL's sum takes a reward that is missing for 0, and a row is without one only if all functions return `None`.
        """
        is_weighed = (self.reward_weights != 0).to(self._rewards_per_func.device)  # (F,)
        if not is_weighed.any():
            is_weighed = ~is_weighed
        return ~self._rewards_per_func[:, is_weighed].isnan().all(dim=1)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """In training: rolls out instructions for the slots until enough pass the gate; estimates advantages afterwards."""
        if not self.model.training:
            inputs = [{**row, "prompt": self.asked(row["prompt"])} for row in inputs]
            output = super()._generate_and_score_completions(inputs)
            self._log_all_rewards("eval")
            self._log_metrics("eval", self._group_votes.metrics(self._group_votes.prompts, self._group_votes.votes))
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
        if self._has_reward().all():
            return
        for name, column in zip(self.reward_func_names, self._rewards_per_func.unbind(dim=1), strict=True):
            self._metrics[mode][f"rewards/{name}/mean"][-1] = column.nanmean().item()
            self._metrics[mode][f"rewards/{name}/std"][-1] = nanstd(column).item()
            logged = self._logs["rewards"][name]
            for _ in range(min(len(column), len(logged))):
                logged.pop()
            logged.extend(column.tolist())

    def _score_batch(self, feed: InstructionFeed, num_rows: int) -> tuple[dict[str, Any], torch.Tensor]:
        """What TRL makes of the rows that this process holds of the feed's next batch, and which groups to train on."""
        batch = feed.next_batch(num_rows * self.accelerator.num_processes // self.num_generations)
        prompts = [feed.dataset.prompt(group.index) for group in batch.groups for _ in group.rollouts]
        rollouts = [rollout for group in batch.groups for rollout in group.rollouts]
        start = self.accelerator.process_index * num_rows
        own = rollouts[start : start + num_rows]
        logprobs = None if own[0].logprobs is None else [rollout.logprobs for rollout in own]
        num_tokens = self.state.num_input_tokens_seen  # counted when they were generated
        with swapped(self, _batch=batch, _generated=([rollout.completion_ids for rollout in own], logprobs)):
            inputs: list[dict[str, Any]] = [{"prompt": prompt} for prompt in prompts[start : start + num_rows]]
            output = super()._generate_and_score_completions(inputs)
        self.state.num_input_tokens_seen = num_tokens
        self._metrics["train"]["num_tokens"] = [num_tokens]
        votes = [group.vote for group in batch.candidates if group.vote is not None]
        asked = [feed.dataset.prompt(group.index) for group in batch.candidates]
        verdicts = [group.verdict for group in batch.candidates] if votes else []
        self._log_metrics("train", gate_metrics(verdicts, batch.is_kept, self.num_generations, batch.num_rollouts))
        self._log_metrics("train", {"serl/gate/num_refill_rounds": float(batch.num_rounds)})
        self._log_metrics("train", self._group_votes.metrics(asked, votes))
        return output, torch.tensor(batch.is_kept, device=self.accelerator.device)

    def _kept_groups(self) -> torch.Tensor:
        """Which groups to train on, (P,) over all processes, where the prompts are a dataset's."""
        verdicts = [self._gate(share) for share in self._group_shares()]
        num_rollouts = len(self._rewards_per_func)
        is_kept = [verdict.kept for verdict in verdicts] or [True] * (num_rollouts // self.num_generations)
        self._log_metrics("train", gate_metrics(verdicts, is_kept, self.num_generations, num_rollouts))
        self._log_metrics("train", self._group_votes.metrics(self._group_votes.prompts, self._group_votes.votes))
        return torch.tensor(is_kept, device=self.accelerator.device)

    def _log_metrics(self, mode: str, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            self._metrics[mode][name].append(value)

    def _group_shares(self) -> list[float]:
        """What the gate reads of each group: its vote share, else its accuracy; empty where there is neither."""
        if self._group_votes.votes:
            return [vote.share for vote in self._group_votes.votes]
        if self._truth_column is None:
            return []
        return self._rewards_per_func[:, self._truth_column].view(-1, self.num_generations).nanmean(dim=1).tolist()

    def _with_advantages(self, output: dict[str, Any], is_kept: torch.Tensor) -> dict[str, Any]:
        """TRL's output with our advantages, and without the rows that are gated away or have no reward."""
        weights = self.reward_weights.to(self._rewards_per_func.device)
        rewards = (self._rewards_per_func * weights).nansum(dim=1)  # (B_global,)
        rewards[~self._has_reward()] = torch.nan
        rewards[~is_kept.repeat_interleave(self.num_generations)] = torch.nan
        num_rows = len(output["completion_mask"])
        rows = slice(self.accelerator.process_index * num_rows, (self.accelerator.process_index + 1) * num_rows)
        is_row_kept = ~rewards.isnan()
        mask = loss_mask(output) * is_row_kept[rows, None]  # (B, T)
        # TRL's own advantages are 0 where there is no reward
        if not (self.args.has_trl_advantages and is_kept.all()):
            kl = self._token_kl(output, mask) if self.args.is_kl_in_reward and self.beta != 0 else None
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
            self._logs["advantages"].extend(self.accelerator.gather(means).tolist())  # pushes TRL's out
        return output if is_row_kept.all() else self._without_rows(output, mask, is_row_kept)
