"""`SeRLTrainer`: TRL's GRPOTrainer on prompts it writes and rewards it votes for itself."""

import functools
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from accelerate.logging import get_logger
from accelerate.utils import gather_object
from datasets import Dataset, IterableDataset
from trl import GRPOTrainer
from trl.trainer.grpo_trainer import RewardFunc  # what TRL calls a reward

from .advantages import ADVANTAGE_ESTIMATORS
from .callbacks import EmptyStepCallback, RegenerationCallback
from .diagnostics import vote_metrics
from .drift import drift_warning
from .filters import DifficultyGate
from .prompts import Prompt, Reply
from .random_state import isolated_random_state
from .rewards import GroundTruthReward, MajorityVoteReward
from .self_instruct import SelfInstructDataset
from .serl_config import SeRLConfig
from .voting import Vote


logger = get_logger(__name__)

ROW_MEAN_LOSSES = ("grpo", "sapo", "dr_grpo", "luspo")  # TRL divides these by rows, not by tokens


class SeRLTrainer(GRPOTrainer):
    """
    Trainer for SeRL: self-instruction, majority-vote rewards, a gate on vote share, REINFORCE++.

    What differs from [`~trl.GRPOTrainer`]: the prompts are slots that the policy fills with instructions of its own at
    the start of every epoch; votes are taken over whole groups, wherever TRL has put their rows; groups outside the
    band of vote shares leave the batch before anything is normalised; advantages have shape (B, T) and may hold the KL
    term. Everything else is TRL's.

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
        ValueError: For tools, environments, rollout functions, streaming datasets and vision models.

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
        _check_supported(train_dataset, kwargs)
        if args is None:
            model_id = model if isinstance(model, str) else model.config._name_or_path
            args = SeRLConfig(f"{model_id.split('/')[-1]}-SeRL")
        rewards = reward_funcs if isinstance(reward_funcs, list) else [reward_funcs or MajorityVoteReward()]
        if args.self_instruct and isinstance(train_dataset, Dataset):
            train_dataset = SelfInstructDataset.from_config(train_dataset, args)
        slots = train_dataset if isinstance(train_dataset, SelfInstructDataset) else None
        super().__init__(
            model,
            reward_funcs=[self._group_reward(reward) for reward in rewards],
            args=args,
            train_dataset=Dataset.from_dict({"prompt": slots.seeds}) if slots else train_dataset,
            **kwargs,
        )
        if self._is_vlm:
            raise ValueError("SeRLTrainer trains language models only, and this is a vision-language model.")
        self.train_dataset = train_dataset  # TRL checks the type at construction only
        self._gate = DifficultyGate(args.min_vote_share, args.max_vote_share)
        self._truth_column = _first(rewards, GroundTruthReward)
        self._estimator = ADVANTAGE_ESTIMATORS[args.advantage_estimator]
        self._votes: list[Vote] = []  # of the groups of the last rollout, in their order over all processes
        self._rewards_per_func = torch.empty(0)  # (B_global, F), of the last rollout
        self._kept_tokens: torch.Tensor | int = 0  # of this process since the last optimiser step
        if slots is not None:
            self.add_callback(RegenerationCallback(self))
            if args.instruction_presence_penalty and not self.use_vllm:
                logger.warning(
                    f"instruction_presence_penalty={args.instruction_presence_penalty} has no effect: Transformers' "
                    "generation has no presence penalty. Use vLLM, or set it to 0."
                )
        self.add_callback(EmptyStepCallback(self))

    # Writing instructions ------------------------------------------------------------------------------------------

    def regenerate_instructions(self, iteration: int) -> None:
        """Has the policy fill the slots of an iteration (from 0), the same on every process."""
        metrics = self.train_dataset.regenerate(self._write, iteration, self.args.generation_batch_size)
        metrics["serl/instructions/presence_penalty"] = self.use_vllm * self.args.instruction_presence_penalty
        for name, value in metrics.items():
            self._metrics["train"][name].append(value)
        if warning := drift_warning(metrics):
            logger.warning(f"Iteration {iteration}: {warning}")
        if not self.train_dataset.is_filled(len(self.train_dataset) - 1):
            self.accelerator.print(
                f"Iteration {iteration}: {len(self.train_dataset.queue)} of {len(self.train_dataset)} instructions could "
                "be written; the other slots are masked."
            )

    def _write(self, prompts: list[Prompt], seed: int) -> list[Reply]:
        """One reply for each prompt through TRL's own generation, whatever its backend; sharded, then gathered."""
        size, rank = -(-len(prompts) // self.accelerator.num_processes), self.accelerator.process_index
        padded = prompts + prompts[:1] * (size * self.accelerator.num_processes - len(prompts))
        local = padded[rank * size : (rank + 1) * size]
        was_training = self.model.training
        self.model.eval()
        try:
            with isolated_random_state(seed + rank), self._instruction_sampling():
                ids, images, fields = self._tokenize_prompts(local)
                completion_ids, _ = self._generate_single_turn(ids, images, fields, num_generations=1)
        finally:
            self.model.train(was_training)
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        texts = self._tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
        replies = [Reply(text, ids[-1] not in ends) for text, ids in zip(texts, completion_ids, strict=True)]
        return gather_object(replies)[: len(prompts)]

    @contextmanager
    def _instruction_sampling(self) -> Iterator[None]:
        """Puts the sampling settings for instructions in the place of those for rollouts."""
        length = self.args.max_instruction_length
        sampling = {"temperature": self.args.instruction_temperature, "top_p": self.args.instruction_top_p}
        with ExitStack() as stack:
            if self.use_vllm:
                engine = self.vllm_generation
                penalty = {"presence_penalty": self.args.instruction_presence_penalty}
                kwargs = engine.generation_kwargs | penalty
                stack.enter_context(
                    _swapped(engine, **sampling, max_completion_length=length, generation_kwargs=kwargs)
                )
            else:
                sampling["max_new_tokens"] = length
                stack.enter_context(_swapped(self.generation_config, **sampling))
                stack.enter_context(_swapped(self, generation_kwargs=self.generation_kwargs | sampling))
            yield

    # Rewards, gate, advantages -------------------------------------------------------------------------------------

    def _group_reward(self, reward: RewardFunc) -> RewardFunc:
        """
        What TRL calls in the place of a [`MajorityVoteReward`]; any other reward is left as it is.

        TRL hands a reward its own process's rows, and a group may straddle processes: the rows are gathered, every
        process votes on all groups, and each returns the rewards of its own rows.
        """
        if not isinstance(reward, MajorityVoteReward):
            return reward

        @functools.wraps(reward)
        def vote(prompts: list, completions: list, **kwargs: Any) -> list[float | None]:
            size = self.num_generations if self.model.training else self.num_generations_eval
            everyone = gather_object(completions)
            self._votes = [reward.vote(everyone[i : i + size]) for i in range(0, len(everyone), size)]
            start = self.accelerator.process_index * len(completions)
            rewards: list[float | None] = [value for vote in self._votes for value in vote.rewards]
            return rewards[start : start + len(completions)]

        return vote

    def _calculate_rewards(
        self, inputs: list, prompts: list, completions: list, completion_ids_list: list
    ) -> torch.Tensor:
        """Keeps what TRL gathers, for the gate and the estimator."""
        self._votes = []
        self._rewards_per_func = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        return self._rewards_per_func

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """In training: binds slots to instructions before the rollout; gates and estimates advantages after it."""
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        slots = None
        if isinstance(self.train_dataset, SelfInstructDataset):
            slots = gather_object([row["slot"] for row in inputs])[:: self.num_generations]
            inputs = [{"prompt": self.train_dataset.prompt(row["slot"])} for row in inputs]
        output = super()._generate_and_score_completions(inputs)
        is_kept = self._kept_groups(slots)
        if self.args.advantage_estimator == "grpo" and not self.args.is_gated and is_kept.all():
            return output  # TRL's own advantages
        return self._with_advantages(output, is_kept)

    def _kept_groups(self, slots: list[int] | None) -> torch.Tensor:
        """Which groups to train on, (P,) over all processes; records votes and logs what the gate did."""
        num_groups = len(self._rewards_per_func) // self.num_generations
        shares = self._group_shares()
        verdicts = [self._gate(share) for share in shares]
        is_kept = [verdict.kept for verdict in verdicts] or [True] * num_groups
        metrics = self._metrics["train"]
        for reason in ("too_hard", "too_easy") if verdicts else ():
            frac = sum(verdict.reason == reason for verdict in verdicts) / num_groups
            metrics[f"serl/gate/frac_{reason}"].append(frac)
        for name, value in (vote_metrics(self._votes) if self._votes else {}).items():
            metrics[name].append(value)
        if slots is not None:
            is_kept = [kept and self.train_dataset.is_filled(slot) for kept, slot in zip(is_kept, slots, strict=True)]
            for slot, vote in zip(slots, self._votes, strict=False):
                self.train_dataset.record_vote(slot, vote)
        metrics["serl/gate/frac_kept"].append(sum(is_kept) / num_groups)
        return torch.tensor(is_kept, device=self.accelerator.device)

    def _group_shares(self) -> list[float]:
        """What the gate reads of each group: its vote share, else its accuracy; empty where there is neither."""
        if self._votes:
            return [vote.share for vote in self._votes]
        if self._truth_column is None:
            return []
        return self._rewards_per_func[:, self._truth_column].view(-1, self.num_generations).nanmean(dim=1).tolist()

    def _with_advantages(self, output: dict[str, Any], is_kept: torch.Tensor) -> dict[str, Any]:
        """TRL's output with our advantages, and without the rows that are gated away or have no reward."""
        weights = self.reward_weights.to(self._rewards_per_func.device)
        rewards = (self._rewards_per_func * weights).nansum(dim=1)  # (B_global,)
        rewards[self._rewards_per_func.isnan().all(dim=1)] = torch.nan
        rewards[~is_kept.repeat_interleave(self.num_generations)] = torch.nan
        num_rows = len(output["completion_mask"])
        rows = slice(self.accelerator.process_index * num_rows, (self.accelerator.process_index + 1) * num_rows)
        is_row_kept = ~rewards.isnan()
        mask = output["completion_mask"] * output.get("tool_mask", 1) * is_row_kept[rows, None]  # (B, T)
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
        if not is_row_kept.all():
            output["tool_mask"] = mask  # leaves attention alone, and every loss and metric
            output["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
            if self.loss_type in ROW_MEAN_LOSSES:
                output["row_scale"] = len(rewards) / is_row_kept.sum().clamp(min=1)
        return output

    def _token_kl(self, output: dict[str, Any], mask: torch.Tensor) -> torch.Tensor:
        """The k1 estimate logp - ref_logp of each token, (B, T); its mean is logged as TRL logs `kl`."""
        logps = output.get("old_per_token_logps")
        if logps is None:
            with torch.no_grad():
                logps, _, _ = self._get_per_token_logps_and_entropies(
                    self.model,
                    torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1),
                    torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1),
                    logits_to_keep=output["completion_ids"].size(1),
                    batch_size=self.args.per_device_train_batch_size,
                )
        kl = logps - output.pop("ref_per_token_logps")
        total, count = self.accelerator.reduce(torch.stack([(kl * mask).sum(), mask.sum()]), reduction="sum")
        self._metrics["train"]["kl"].append((total / count.clamp(min=1)).item())
        return kl

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Leaves the KL out of the loss where the reward holds it, and averages losses over the rows that are kept."""
        if self.model.training:
            mask = inputs["completion_mask"] * inputs.get("tool_mask", 1)
            self._kept_tokens = self._kept_tokens + mask.sum()
        with _swapped(self, beta=0.0 if self.args.is_kl_in_reward else self.beta):
            loss = super()._compute_loss(model, inputs)
        return loss * inputs.get("row_scale", 1.0)

    def drop_empty_gradients(self, model: torch.nn.Module) -> None:
        """Removes the gradients of a step on which nothing was kept anywhere, lest momentum alone move weights."""
        num_tokens = self.accelerator.reduce(torch.as_tensor(self._kept_tokens), reduction="sum")
        self._kept_tokens = 0
        if num_tokens == 0:
            model.zero_grad(set_to_none=True)
        self._metrics["train"]["serl/gate/frac_empty_steps"].append(float(num_tokens == 0))


@contextmanager
def _swapped(target: Any, **values: Any) -> Iterator[None]:
    """Sets attributes for the length of a block."""
    before = {name: getattr(target, name) for name in values}
    try:
        for name, value in values.items():
            setattr(target, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(target, name, value)


def _first(rewards: list[RewardFunc], kind: type) -> int | None:
    return next((i for i, reward in enumerate(rewards) if isinstance(reward, kind)), None)


def _check_supported(train_dataset: Any, kwargs: dict[str, Any]) -> None:
    for name in ("tools", "rollout_func", "environment_factory"):
        if kwargs.get(name):
            raise ValueError(f"SeRLTrainer does not support {name}: votes are taken over single-turn completions.")
    if isinstance(train_dataset, IterableDataset):
        raise ValueError(
            "train_dataset is a streaming dataset; pass a map-style Dataset, for example by load_dataset()."
        )
    if not isinstance(train_dataset, Dataset | SelfInstructDataset):
        raise ValueError(
            f"train_dataset is a {type(train_dataset).__name__}; pass a datasets.Dataset with a column 'prompt', or a "
            "SelfInstructDataset."
        )
