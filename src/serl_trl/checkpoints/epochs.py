"""`EpochGRPOTrainer`: a GRPOTrainer whose epochs have an end that a checkpoint can hold, early or not."""

import math
from pathlib import Path
from typing import Any

from transformers.trainer_utils import SaveStrategy

from . import checkpoint_files as checkpoints
from .exact_weights import ExactWeightsGRPOTrainer


class EpochGRPOTrainer(ExactWeightsGRPOTrainer):
    """
    [`ExactWeightsGRPOTrainer`] that saves the last step of an epoch as the epoch ends, and counts epochs that end
    early.

    Trainer saves that step before callbacks hear of the epoch's end and before its log. And it takes the epoch from
    the number of steps: where a callback has ended one early (`should_epoch_stop`), `state.epoch` stays within it as
    the next begins, and a run that is resumed lands elsewhere. Here an epoch that has ended counts as whole.
    """

    _is_within_epoch = False
    _is_save_due = False  # at the end of the step, or of the epoch where it is its last
    _is_ending = False  # on a signal
    _resumed: Path | None = None  # the checkpoint whose state is still to be restored
    _num_steps_skipped = 0  # of the epochs that ended early
    _num_steps_per_epoch = 1

    def _init_training_state(
        self, max_steps: int, num_update_steps_per_epoch: int, num_train_epochs: int, *args: Any, **kwargs: Any
    ) -> tuple[int, int]:
        """Where in which epoch to go on, by the steps that were done and those that epochs have left out."""
        place = super()._init_training_state(max_steps, num_update_steps_per_epoch, num_train_epochs, *args, **kwargs)
        self._num_steps_skipped, self._num_steps_per_epoch = 0, num_update_steps_per_epoch
        if self._resumed is None:
            return place
        progress = checkpoints.read_state(
            self._resumed / checkpoints.STATE, f"process_{self.accelerator.process_index}"
        )
        self._num_steps_skipped = progress.get("num_steps_skipped", 0)
        if not self._num_steps_skipped:
            return place
        epochs, steps = divmod(self.state.global_step + self._num_steps_skipped, num_update_steps_per_epoch)
        return epochs, 0 if self.args.ignore_data_skip else steps * self.args.gradient_accumulation_steps

    def _end_epoch(self) -> None:
        """Counts an epoch as whole that has ended early, as `on_epoch_end` does for others."""
        self._is_within_epoch = False
        if self.control.should_epoch_stop:
            self._num_steps_skipped += -(self.state.global_step + self._num_steps_skipped) % self._num_steps_per_epoch
            self.state.epoch = float(math.ceil(self.state.epoch))

    def _determine_best_metric(self, *args: Any, **kwargs: Any) -> bool:
        """Notes that the best step so far is to be saved; Trainer would do it at once, and forget what else is due."""
        is_best = super()._determine_best_metric(*args, **kwargs)
        if self.args.save_strategy != SaveStrategy.BEST:
            return is_best
        self._is_save_due |= is_best
        return False

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """
        Puts off what is due to be saved on the last step of an epoch until the epoch has ended.

        A run that is resumed there begins with the next epoch: what callbacks do and log as the present one ends must
        be in the checkpoint. A run that ends on a signal has been saved, and logs nothing that it would not have
        logged.
        """
        if not self._is_within_epoch and self._is_ending and not self._is_save_due:
            return
        self._is_save_due |= self.control.should_save
        self.control.should_save = False
        super()._maybe_log_save_evaluate(*args, **kwargs)
        is_last = self.state.epoch % 1 == 0 or self.control.should_epoch_stop
        if self._is_save_due and not (self._is_within_epoch and is_last):
            self._is_save_due, self.control.should_save = False, True
            super()._maybe_log_save_evaluate(*args, **kwargs)  # saves; what was logged and measured is so no more
