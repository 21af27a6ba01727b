"""`GatedGRPOTrainer`: a step that is what it would be if the rows that are not trained on were not there."""

from typing import Any

import torch

from ..runtime import swapped
from .hub_push import HubGRPOTrainer
from .serl_config import SeRLConfig


ROW_MEAN_LOSSES = ("grpo", "sapo", "dr_grpo", "luspo")  # TRL divides these by rows, not by tokens


class GatedGRPOTrainer(HubGRPOTrainer):
    """
    [`HubGRPOTrainer`] whose batches may hold rows that are not trained on, with every loss of TRL's in any layout.

    TRL wants batches of one size: rows that a gate rejects, and rows without a reward, stay in the tensors. They are masked,
    and what TRL divides by is set right: the tokens of the generation batch, the rows, the tokens of a micro-batch.
    """

    args: SeRLConfig
    _is_gating = False  # whether a gate may reject rows

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._kept_tokens: torch.Tensor | int = 0  # of this process since the last optimiser step
        self._num_micro_batches = 0  # since then
        self._entropy_scale: torch.Tensor | float = 1.0  # of the entropy bonus of the micro-batch in the loss

    def _without_rows(self, output: dict[str, Any], mask: torch.Tensor, is_row_kept: torch.Tensor) -> dict[str, Any]:
        """
        A generation batch of which only some rows are trained on.

        Args:
            output (`dict[str, Any]`): This process's rows, as TRL has them.
            mask (`torch.Tensor` of shape `(B, T)`): What is trained on of these.
            is_row_kept (`torch.Tensor` of shape `(B_global,)`): Which rows of all processes are.
        """
        output["tool_mask"] = mask  # leaves attention alone, and every loss and metric
        output["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        output["row_scale"] = len(is_row_kept) / is_row_kept.sum().clamp(min=1)
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """
        Leaves the KL out of the loss where the reward holds it, and averages over what is kept, however it is dealt out.

        TRL divides by rows, by the tokens of the generation batch, or (`bnpo`, the entropy bonus) by those of the micro-batch.
        The last would give the kept rows of a micro-batch the part of the rejected ones beside them, and a micro-batch without
        kept rows a part in the average: where rows can be rejected, that mean is taken over the tokens of the whole step.
        """
        scale: torch.Tensor | float = 1.0  # of the policy's and the KL's terms
        share: torch.Tensor | float = 1.0  # of the entropy bonus
        if self.model.training:
            is_micro_mean = self.loss_type == "bnpo" or self._entropy_bonus_enabled
            if is_micro_mean and (self._is_gating or "row_scale" in inputs):
                share = self._share_of_step(inputs)
            if self.loss_type in ROW_MEAN_LOSSES:
                scale = inputs.get("row_scale", 1.0)
            elif self.loss_type == "bnpo":
                scale = share
            self._kept_tokens = self._kept_tokens + loss_mask(inputs).sum()
            self._num_micro_batches += 1
        beta = 0.0 if self.args.is_kl_in_reward else self.beta * scale
        with swapped(self, beta=beta, _entropy_scale=share):
            return super()._compute_loss(model, {**inputs, "advantages": inputs["advantages"] * scale})

    def _share_of_step(self, inputs: dict[str, Any]) -> torch.Tensor:
        """
        What makes means over the tokens of micro-batches, averaged as TRL does, one over the tokens of the optimiser step.

        The step's micro-batches are those of one generation batch, over all processes; where it has some of the next one,
        which is not generated yet, each generation batch gets its part of them.
        """
        batches = self._buffered_inputs or []
        index = next((i for i, batch in enumerate(batches) if batch is inputs), None)
        own = loss_mask(inputs).sum()
        if index is None:  # not dealt out by TRL: as in `dapo`, over the generation batch
            num_micro_batches = (self.args.steps_per_generation or 1) * self.accelerator.num_processes
            mean = inputs["num_items_in_batch"] / num_micro_batches
        else:
            first = max(index - self._num_micro_batches, 0)
            last = index + self.current_gradient_accumulation_steps - self._num_micro_batches
            step = batches[first:last]
            total = torch.stack([loss_mask(batch).sum() for batch in step]).sum()
            mean = self.accelerator.reduce(total, reduction="sum") / (len(step) * self.accelerator.num_processes)
        # 1 where nothing is kept and any number would do: at 0 this process alone would leave out TRL's KL, and what it gathers
        return torch.where(own > 0, own / mean, torch.ones_like(mean))

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

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """Scales the gradient of the entropy bonus, the one term that entropies have a gradient from, and not what is logged."""
        logps, entropies, aux_loss = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        scale = self._entropy_scale
        if torch.is_tensor(scale) and entropies is not None and entropies.requires_grad:
            entropies.register_hook(lambda gradient: gradient * scale)
        return logps, entropies, aux_loss

    def is_step_empty(self) -> bool:
        """Whether nothing was kept anywhere for the optimiser step that is due; to be asked once for each."""
        num_tokens = self.accelerator.reduce(torch.as_tensor(self._kept_tokens), reduction="sum")
        self._kept_tokens = self._num_micro_batches = 0
        self._metrics["train"]["serl/gate/frac_empty_steps"].append(float(num_tokens == 0))
        return bool(num_tokens == 0)


def loss_mask(inputs: dict[str, Any]) -> torch.Tensor:
    """The tokens that TRL's losses are over, (B, T)."""
    return inputs["completion_mask"] * inputs.get("tool_mask", 1)
