"""`GatedLoss`: a step that is what it would be if the rows that are not trained on were not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


ROW_MEAN_LOSSES = ("grpo", "sapo", "dr_grpo", "luspo")  # TRL divides these by rows, not by tokens


class GatedLoss:
    """
    Has batches hold rows that are not trained on, with every loss of TRL's in any layout.

    TRL wants batches of one size: rows that a gate rejects, and rows without a reward, stay in the tensors. They are
    masked, and what TRL divides by is set right: the tokens of the generation batch, the rows, the tokens of a
    micro-batch.

    Args:
        trainer ([`SeRLTrainer`]): Whose loss it is.
    """

    def __init__(self, trainer: "SeRLTrainer") -> None:
        self.trainer = trainer
        self.is_gating = False  # whether a gate may reject rows
        self._kept_tokens: torch.Tensor | int = 0  # of this process since the last optimiser step
        self._num_micro_batches = 0  # since then
        self._entropy_scale: torch.Tensor | float = 1.0  # of the entropy bonus of the micro-batch in the loss

    def without_rows(self, output: dict[str, Any], mask: torch.Tensor, is_row_kept: torch.Tensor) -> dict[str, Any]:
        """
        A generation batch of which only some rows are trained on.

        TRL's mask of the tokens that tools have written is what every loss and metric leaves out, and attention does
        not: it holds the rejected rows, too (`trl_seams.py`).

        Args:
            output (`dict[str, Any]`): This process's rows, as TRL has them.
            mask (`torch.Tensor` of shape `(B, T)`): What is trained on of these.
            is_row_kept (`torch.Tensor` of shape `(B_global,)`): Which rows of all processes are.
        """
        output["tool_mask"] = mask
        output["num_items_in_batch"] = self.trainer.accelerator.gather(mask.sum()).sum()
        output["row_scale"] = len(is_row_kept) / is_row_kept.sum().clamp(min=1)
        return output

    def scales(self, inputs: dict[str, Any]) -> tuple[torch.Tensor | float, torch.Tensor | float]:
        """
        What the terms of a micro-batch are multiplied by: those of policy and KL, and the entropy bonus.

        TRL divides by rows, by the tokens of the generation batch, or (`bnpo`, the entropy bonus) by those of the
        micro-batch. The last would give the kept rows of a micro-batch the part of the rejected ones beside them, and a
        micro-batch without kept rows a part in the average: where rows can be rejected, that mean is taken over the
        tokens of the whole step.

        Args:
            inputs (`dict[str, Any]`): A micro-batch of training, which is counted here.
        """
        trainer = self.trainer
        scale: torch.Tensor | float = 1.0
        share: torch.Tensor | float = 1.0
        has_entropy_bonus = trainer.entropy_coef != 0 or trainer.use_adaptive_entropy
        is_micro_mean = trainer.loss_type == "bnpo" or has_entropy_bonus
        is_cut_by_us = self.is_gating or "row_scale" in inputs or trainer.args.share_prompts
        if is_micro_mean and is_cut_by_us:
            share = self._share_of_step(inputs)
        if trainer.loss_type in ROW_MEAN_LOSSES:
            scale = inputs.get("row_scale", 1.0)
        elif trainer.loss_type == "bnpo":
            scale = share
        self._kept_tokens = self._kept_tokens + loss_mask(inputs).sum()
        self._num_micro_batches += 1
        return scale, share

    @contextmanager
    def entropy_scaled(self, scale: torch.Tensor | float) -> Iterator[None]:
        """Has entropies that are computed in the block get a gradient that is scaled."""
        self._entropy_scale = scale
        try:
            yield
        finally:
            self._entropy_scale = 1.0

    def scale_entropies(self, entropies: torch.Tensor | None) -> None:
        """Scales the gradient of the entropy bonus, the one term that entropies have a gradient from; not what is logged."""
        scale = self._entropy_scale
        if torch.is_tensor(scale) and entropies is not None and entropies.requires_grad:
            entropies.register_hook(lambda gradient: gradient * scale)

    def is_step_empty(self) -> bool:
        """Whether nothing was kept anywhere for the optimiser step that is due; to be asked once for each."""
        num_tokens = self.trainer.accelerator.reduce(torch.as_tensor(self._kept_tokens), reduction="sum")
        self._kept_tokens = self._num_micro_batches = 0
        self.trainer.record({"serl/gate/frac_empty_steps": float(num_tokens == 0)})
        return bool(num_tokens == 0)

    def _share_of_step(self, inputs: dict[str, Any]) -> torch.Tensor:
        """
        What makes means over the tokens of micro-batches, averaged as TRL does, one over the tokens of the optimiser step.

        The step's micro-batches are those of one generation batch, over all processes; where it has some of the next one,
        which is not generated yet, each generation batch gets its part of them.
        """
        trainer = self.trainer
        batches: list[dict[str, Any]] = trainer._buffered_inputs or []
        index = next((i for i, batch in enumerate(batches) if batch is inputs), None)
        own = loss_mask(inputs).sum()
        if index is None:  # not dealt out by TRL: as in `dapo`, over the generation batch
            num_micro_batches = (trainer.args.steps_per_generation or 1) * trainer.accelerator.num_processes
            mean = inputs["num_items_in_batch"] / num_micro_batches
        else:
            first = max(index - self._num_micro_batches, 0)
            last = index + trainer.current_gradient_accumulation_steps - self._num_micro_batches
            step = batches[first:last]
            total = torch.stack([loss_mask(batch).sum() for batch in step]).sum()
            mean = trainer.accelerator.reduce(total, reduction="sum") / (len(step) * trainer.accelerator.num_processes)
        # 1 where nothing is kept and any number would do: at 0 this process alone would leave out TRL's KL, and what it gathers
        return torch.where(own > 0, own / mean, torch.ones_like(mean))


def loss_mask(inputs: dict[str, Any]) -> torch.Tensor:
    """The tokens that TRL's losses are over, (B, T)."""
    return inputs["completion_mask"] * inputs.get("tool_mask", 1)
