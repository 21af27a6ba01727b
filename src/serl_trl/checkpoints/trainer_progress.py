"""What TRL's and Transformers' trainers leave out of a checkpoint: rollouts, losses, logs and the order of the data."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerState


if TYPE_CHECKING:
    from .resumable_trainer import ResumableGRPOTrainer
    from .training_loop import TrainingLoop


class DataOrder:
    """
    The state of the generator that shuffles the training data, as the present epoch began.

    Args:
        loop: Tells when epochs begin and end ([`TrainingLoop`]).
    """

    def __init__(self, loop: "TrainingLoop") -> None:
        self.loop = loop
        self.generator: torch.Generator | None = None
        self._state = torch.empty(0)

    def watch(self, dataloader: object) -> None:
        """Finds the generator of a dataloader, below what accelerate has wrapped round its sampler."""
        sampler = dataloader
        while (inner := getattr(sampler, "batch_sampler", None) or getattr(sampler, "sampler", None)) is not None:
            sampler = inner
        self.generator = getattr(sampler, "generator", None)

    def note_epoch(self) -> None:
        """Keeps the state of the generator as an epoch begins."""
        if self.generator is not None:
            self._state = self.generator.get_state()

    def tensors(self, state: TrainerState) -> dict[str, torch.Tensor]:
        """What a checkpoint holds of the order: that of the epoch in which the run goes on."""
        if self.generator is None:
            return {}
        has_epoch_ended = state.epoch % 1 == 0 and state.global_step > self.loop.epoch_begin
        return {"order": self.generator.get_state() if has_epoch_ended else self._state}

    def restore(self, order: torch.Tensor | None) -> None:
        """Puts the generator where it was."""
        if order is not None and self.generator is not None:
            self.generator.set_state(order)


def rollouts_in_progress(trainer: "ResumableGRPOTrainer") -> list[dict[str, Any]]:
    """The micro-batches of the last rollout, unless the next step begins with a new one."""
    generate_every = (trainer.args.steps_per_generation or 1) * trainer.num_iterations
    is_rollout_due = trainer._step % generate_every == 0
    return [] if is_rollout_due else trainer._buffered_inputs


def restore_rollouts(
    trainer: "ResumableGRPOTrainer", step: int, buffer: list[dict[str, Any]], tensors: dict[str, torch.Tensor]
) -> None:
    """
    Puts back the count of micro-batches and the rollouts that are still to be trained on.

    Args:
        trainer ([`~trl.GRPOTrainer`]): The trainer.
        step (`int`): Micro-batches that were trained on, by which TRL knows when the next rollout is due.
        buffer (`list[dict[str, Any]]`): Of each micro-batch what is no tensor.
        tensors (`dict[str, torch.Tensor]`): The rest, by the number of the micro-batch and the name: `"0.completion_ids"`.
    """
    trainer._step, trainer._buffered_inputs = step, buffer or None
    for key, tensor in tensors.items():
        i, name = key.split(".", 1)
        trainer._buffered_inputs[int(i)][name] = tensor.to(trainer.accelerator.device)


def pending_logs(trainer: "ResumableGRPOTrainer") -> dict[str, Any]:
    """Losses, metrics and rows of the table of completions that wait for the next log."""
    return {
        "loss": trainer._tr_loss.item(),
        "last_logged_step": trainer._globalstep_last_logged,
        "metrics": trainer._metrics,
        "logs": {name: _plain(values) for name, values in trainer._logs.items() if name != "images"},
    }


def restore_logs(trainer: "ResumableGRPOTrainer", logs: dict[str, Any]) -> None:
    """Puts back what [`pending_logs`] returned, once Trainer has set its losses to 0."""
    trainer._tr_loss += logs["loss"]
    trainer._globalstep_last_logged = logs["last_logged_step"]
    _refill(trainer._metrics, logs["metrics"])
    _refill(trainer._logs, logs["logs"])


def _plain(values: Mapping[str, Iterable[object]] | Iterable[object]) -> dict[str, list] | list:
    return {name: list(v) for name, v in values.items()} if isinstance(values, dict) else list(values)


def _refill(target: dict[str, Any], values: dict[str, Any]) -> None:
    """Replaces what lists and deques, or dicts of them, hold."""
    for name, value in values.items():
        if isinstance(value, dict):
            target[name].clear()
            _refill(target[name], value)
        else:
            target[name].clear()
            target[name].extend(value)
