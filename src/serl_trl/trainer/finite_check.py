"""`GuardedGRPOTrainer`: a run that stops before numbers that are none reach its weights, and says where they came from."""

import math
from typing import Any

import torch
from accelerate.utils import gather_object

from ..checkpoints import ResumableGRPOTrainer, complete_checkpoints
from ..types import completion_text


MAX_SHOWN = 5  # rows in a message
MAX_CHARACTERS = 300  # of a prompt there, from its end, and of a completion


class GuardedGRPOTrainer(ResumableGRPOTrainer):
    """
    [`ResumableGRPOTrainer`] that ends with an error on an infinite reward and on a loss or gradient that is not finite.

    Transformers trains on with such numbers, and its log replaces the loss by an average (`logging_nan_inf_filter`).
    Here every process stops before the optimiser moves; the error shows the prompts at fault and names the last good
    checkpoint. (A reward of NaN is TRL's way of saying that there is none, and is not an error. With fp16 a gradient
    that overflows is left to the scaler, which skips the step.)
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._micro_batches: list[tuple[torch.Tensor, dict[str, Any]]] = []  # (loss, inputs) since the last step

    def _calculate_rewards(
        self, inputs: list, prompts: list, completions: list, completion_ids_list: list
    ) -> torch.Tensor:
        """Checks what TRL has gathered from all processes, so that all stop together."""
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)  # (B_global, F)
        rows, columns = rewards.isinf().nonzero(as_tuple=True)
        if len(rows):
            shown = gather_object([_shown(p, c) for p, c in zip(prompts, completions, strict=True)])
            names = {self.reward_func_names[column] for column in columns.tolist()}
            self._stop(f"the reward {' and '.join(sorted(names))} is infinite", [shown[row] for row in rows.tolist()])
        return rewards

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Remembers the losses of a step with what they were computed from; no copy is made."""
        loss = super()._compute_loss(model, inputs)
        if self.model.training:
            self._micro_batches.append((loss.detach(), inputs))
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Checks the norm, which is not finite if a loss or a gradient on any process is not."""
        norm = super()._get_grad_norm(model, grad_norm)
        micro_batches, self._micro_batches = self._micro_batches, []
        if norm is not None and not math.isfinite(norm):
            bad = [inputs for loss, inputs in micro_batches if not torch.isfinite(loss)]
            is_loss = any(gather_object([bool(bad)]))
            if is_loss or self.accelerator.mixed_precision != "fp16":
                culprits = bad if is_loss else [inputs for _, inputs in micro_batches]
                shown = gather_object([row for inputs in culprits for row in self._rows(inputs)])
                self._stop(f"the {'loss' if is_loss else 'gradient'} is not finite", shown)
        return norm

    def _rows(self, inputs: dict[str, Any]) -> list[str]:
        """The rows of a micro-batch as text; only those whose advantages are not finite, if there are any."""
        advantages = inputs["advantages"].view(len(inputs["prompt_ids"]), -1)  # (B, T) or (B, 1)
        is_bad = ~advantages.isfinite().all(dim=1)
        rows = is_bad.nonzero().flatten().tolist() or range(len(is_bad))
        texts = []
        for row in rows:
            prompt, completion = (
                self._tokenizer.decode(inputs[f"{part}_ids"][row][inputs[f"{part}_mask"][row].bool()])
                for part in ("prompt", "completion")
            )
            texts.append(_shown(prompt, completion))
        return texts

    def _stop(self, what: str, rows: list[str]) -> None:
        run_dir = self._get_output_dir(None)
        complete = complete_checkpoints(run_dir)
        good = f"The last good checkpoint is {complete[-1]}. Resume from it" if complete else ""
        lines = "".join(f"\n  {row}" for row in rows[:MAX_SHOWN])
        more = f"\n  and {len(rows) - MAX_SHOWN} more" if len(rows) > MAX_SHOWN else ""
        raise FloatingPointError(
            f"At step {self.state.global_step + 1} {what}; nothing was trained on it. "
            f"{good or 'There is no checkpoint yet. Begin anew'} with a lower "
            f"learning_rate or max_grad_norm, or mend the reward. Prompts and completions:{lines}{more}"
        )


def _shown(prompt: Any, completion: Any) -> str:
    return f"{_last_text(prompt)[-MAX_CHARACTERS:]!r} -> {_last_text(completion)[:MAX_CHARACTERS]!r}"


def _last_text(text: Any) -> str:
    """A text, or that of the last message, whose content may be `None` or a list of blocks."""
    return (
        text if isinstance(text, str) else completion_text([{**message, "role": "assistant"} for message in text[-1:]])
    )
