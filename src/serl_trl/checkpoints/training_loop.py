"""`TrainingLoop`: where in its loop a run is, so that checkpoints fall where the run can be resumed exactly."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import TrainerCallback, TrainerControl, TrainerState

from . import checkpoint_files as checkpoints


if TYPE_CHECKING:
    from .resumable_trainer import ResumableGRPOTrainer


class TrainingLoop(TrainerCallback):
    """
    Restores a resumed run as training begins, puts saves off to the end of an epoch, and ends a run on a signal.

    Trainer saves the last step of an epoch before callbacks hear of the epoch's end and before its log. A run that is
    resumed there begins with the next epoch: what callbacks do and log as the present one ends must be in the
    checkpoint. The save is therefore put off until the epoch has ended.

    Trainer takes the epoch from the number of steps. Where a callback has ended one early (`should_epoch_stop`),
    `state.epoch` stays within it as the next begins, and a run that is resumed lands elsewhere. Here an epoch that has
    ended counts as whole, and the steps that it has left out are in the checkpoint.
    """

    def __init__(self, trainer: "ResumableGRPOTrainer") -> None:
        self.trainer = trainer
        self.resumed: Path | None = None  # the checkpoint whose state is still to be restored
        self.is_ending = False  # on a signal
        self.epoch_begin = 0  # the step after which the present epoch began, or was resumed
        self.num_steps_skipped = 0  # of the epochs that ended early
        self.num_steps_per_epoch = 1
        self._is_within_epoch = False
        self._is_save_due = False  # at the end of the epoch

    def place_to_resume(self, global_step: int, num_steps_per_epoch: int, place: tuple[int, int]) -> tuple[int, int]:
        """
        The epoch, and the micro-batches in it that are done, by the steps that were done and those that were skipped.

        Args:
            global_step (`int`): Optimiser steps that were done.
            num_steps_per_epoch (`int`): Optimiser steps of a whole epoch.
            place (`tuple[int, int]`): What Trainer takes them for; right if no epoch has ended early.
        """
        self.num_steps_skipped, self.num_steps_per_epoch = 0, num_steps_per_epoch
        if self.resumed is None:
            return place
        own = f"process_{self.trainer.accelerator.process_index}"
        progress = checkpoints.read_state(self.resumed / checkpoints.STATE, own)
        self.num_steps_skipped = progress.get("num_steps_skipped", 0)
        if not self.num_steps_skipped:
            return place
        args = self.trainer.args
        epochs, steps = divmod(global_step + self.num_steps_skipped, num_steps_per_epoch)
        return epochs, 0 if args.ignore_data_skip else steps * args.gradient_accumulation_steps

    def is_last_of_epoch(self, state: TrainerState, control: TrainerControl) -> bool:
        """Whether the step that is done is the last of an epoch whose end is still to come."""
        return self._is_within_epoch and (state.epoch % 1 == 0 or control.should_epoch_stop)

    def note_save(self, state: TrainerState, control: TrainerControl) -> None:
        """Has a step that is saved before its epoch has ended saved again when it has."""
        self._is_save_due = self.is_last_of_epoch(state, control)

    def on_train_begin(self, args, state, control, **kwargs):
        self.is_ending = self._is_save_due = False
        self.trainer.start_checkpoints()
        if self.resumed is not None:
            self.trainer.restore(self.resumed)
            self.resumed = None

    def on_epoch_begin(self, args, state, control, **kwargs):
        self._is_within_epoch, self.epoch_begin = True, state.global_step
        self.trainer.data_order.note_epoch()

    def on_step_end(self, args, state, control, **kwargs):
        if self.trainer.is_interrupted():
            control.should_save = control.should_training_stop = self.is_ending = True
        if control.should_save and self.is_last_of_epoch(state, control):
            self._is_save_due, control.should_save = True, False

    def on_epoch_end(self, args, state, control, **kwargs):
        self._is_within_epoch = False
        if control.should_epoch_stop:
            self.num_steps_skipped += -(state.global_step + self.num_steps_skipped) % self.num_steps_per_epoch
            state.epoch = float(math.ceil(state.epoch))
        if self._is_save_due:
            self._is_save_due, control.should_save = False, True
        elif self.is_ending:  # it is saved, and logs nothing that it would not have logged
            control.should_log = control.should_evaluate = control.should_save = False

    def on_train_end(self, args, state, control, **kwargs):
        if self.is_ending and args.save_strategy != "no":
            self.trainer.last_checkpoint()  # where an evaluation that found no better model has unset the save
        elif args.load_best_model_at_end and state.best_model_checkpoint is not None:
            self.trainer.weights.mend(Path(state.best_model_checkpoint))
            self.trainer.weights.check(Path(state.best_model_checkpoint))
