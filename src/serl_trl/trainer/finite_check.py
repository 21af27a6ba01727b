"""`FiniteCheck`: ends a run before numbers that are infinite or not a number reach its weights, and says where they came from."""

import math
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object

from ..checkpoints import complete_checkpoints
from ..types import Completion, completion_text


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


MAX_SHOWN = 5  # rows in a message
MAX_CHARACTERS = 300  # of a prompt there, from its end, and of a completion


class FiniteCheck:
    """
    Ends a run with an error on an infinite reward and on a loss or gradient that is not finite.

    Transformers trains on with such numbers, and its log replaces the loss by an average (`logging_nan_inf_filter`).
    Here every process stops before the optimiser moves; the error shows the prompts at fault and names the last good
    checkpoint. (A reward of NaN is TRL's way of saying that there is none, and is not an error. With fp16 a gradient
    that overflows is left to the scaler, which skips the step. DeepSpeed has stepped by the time gradients are read.)

    Args:
        trainer ([`SeRLTrainer`]): The trainer, which hands over its rewards and losses.
    """

    def __init__(self, trainer: "SeRLTrainer") -> None:
        self.trainer = trainer
        self._micro_batches: list[tuple[torch.Tensor, dict[str, Any]]] = []  # (loss, inputs) since the last step

    def check_rewards(self, rewards: torch.Tensor, prompts: list, completions: list) -> None:
        """
        Checks what TRL has gathered from all processes, so that all stop together.

        Args:
            rewards (`torch.Tensor` of shape `(B_global, F)`): Rewards of all processes, by function.
            prompts (`list` of length B): Those of this process.
            completions (`list` of length B): Those of this process.

        Raises:
            FloatingPointError: If one is infinite.
        """
        rows, columns = rewards.isinf().nonzero(as_tuple=True)
        if len(rows):
            shown = gather_object([_shown(p, c) for p, c in zip(prompts, completions, strict=True)])
            names = {self.trainer.reward_func_names[column] for column in columns.tolist()}
            self._stop(f"the reward {' and '.join(sorted(names))} is infinite", [shown[row] for row in rows.tolist()])

    def note_loss(self, loss: torch.Tensor, inputs: dict[str, Any]) -> None:
        """Remembers the loss of a micro-batch with what it was computed from; no copy is made."""
        self._micro_batches.append((loss.detach(), inputs))

    def check_step(self) -> None:
        """
        Checks the gradients of a step, once all of its micro-batches are in them.

        Raises:
            FloatingPointError: If their norm, or a loss of the step, is not finite on any process.
        """
        micro_batches, self._micro_batches = self._micro_batches, []
        if self._is_norm_finite():
            return
        bad = [inputs for loss, inputs in micro_batches if not torch.isfinite(loss)]
        is_loss = any(gather_object([bool(bad)]))
        if is_loss or self.trainer.accelerator.mixed_precision != "fp16":
            culprits = bad if is_loss else [inputs for _, inputs in micro_batches]
            shown = gather_object([row for inputs in culprits for row in self._rows(inputs)])
            self._stop(f"the {'loss' if is_loss else 'gradient'} is not finite", shown)

    def _is_norm_finite(self) -> bool:
        """
        Whether the norm of the gradients is, on every process; a loss that is not finite gives one that is not.

        The pass over the gradients takes 0.9 ms where forward and backward take 421 (the built-in model, 3,200 tokens),
        and 34 ms for 135 million parameters (one core).
        """
        trainer = self.trainer
        if trainer.is_deepspeed_enabled:
            norm = trainer.deepspeed.get_global_grad_norm()
            return norm is None or math.isfinite(norm)
        norm = torch.nn.utils.get_total_norm([p.grad for p in trainer.model.parameters() if p.grad is not None])
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        num_bad = (~torch.isfinite(norm)).float().to(trainer.accelerator.device)
        return not trainer.accelerator.reduce(num_bad, reduction="sum")

    def _rows(self, inputs: dict[str, Any]) -> list[str]:
        """The rows of a micro-batch as text; only those whose advantages are not finite, if there are any."""
        advantages = inputs["advantages"].view(len(inputs["prompt_ids"]), -1)  # (B, T) or (B, 1)
        is_bad = ~advantages.isfinite().all(dim=1)
        rows = is_bad.nonzero().flatten().tolist() or range(len(is_bad))
        texts = []
        for row in rows:
            prompt, completion = (
                self.trainer.decoding.tokenizer.decode(inputs[f"{part}_ids"][row][inputs[f"{part}_mask"][row].bool()])
                for part in ("prompt", "completion")
            )
            texts.append(_shown(prompt, completion))
        return texts

    def _stop(self, what: str, rows: list[str]) -> None:
        complete = complete_checkpoints(self.trainer.run_dir)
        good = f"The last good checkpoint is {complete[-1]}. Resume from it" if complete else ""
        lines = "".join(f"\n  {row}" for row in rows[:MAX_SHOWN])
        more = f"\n  and {len(rows) - MAX_SHOWN} more" if len(rows) > MAX_SHOWN else ""
        raise FloatingPointError(
            f"At step {self.trainer.state.global_step + 1} {what}; nothing was trained on it. "
            f"{good or 'There is no checkpoint yet. Begin anew'} with a lower "
            f"learning_rate or max_grad_norm, or mend the reward. Prompts and completions:{lines}{more}"
        )


def _shown(prompt: Completion, completion: Completion) -> str:
    return f"{_last_text(prompt)[-MAX_CHARACTERS:]!r} -> {_last_text(completion)[:MAX_CHARACTERS]!r}"


def _last_text(text: Completion) -> str:
    """A text, or that of the last message, whose content may be `None` or a list of blocks."""
    return (
        text if isinstance(text, str) else completion_text([{**message, "role": "assistant"} for message in text[-1:]])
    )
