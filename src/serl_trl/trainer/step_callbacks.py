"""What happens around training steps: new instructions, measurements, and steps that must not move anything."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from ..rollouts import InstructionFeed
from ..runtime import temporarily_set


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


class RegenerationCallback(TrainerCallback):
    """
    Has the instructions of an iteration written as its epoch begins, and files them with their votes as it ends.

    Iterations are counted over all runs of the dataset: a second `train()` goes on after the last iteration of the first.
    """

    def __init__(self, trainer: "SeRLTrainer", feed: InstructionFeed) -> None:
        self.trainer, self.feed = trainer, feed

    def on_train_begin(self, args, state, control, **kwargs):
        dataset = self.trainer.train_dataset
        if state.global_step > 0:
            self.feed.reload_past_iterations()
            self.feed.save()  # the file may lack what the checkpoint holds, and hold what came after it
        else:
            dataset.first_iteration = dataset.iteration + 1

    def on_epoch_begin(self, args, state, control, **kwargs):
        dataset = self.trainer.train_dataset
        iteration = dataset.first_iteration + int(state.epoch or 0)
        if state.global_step > 0 and dataset.iteration == iteration and dataset.queue:
            return  # begun before the checkpoint from which this run was resumed
        self.trainer.regenerate_instructions(iteration)
        self.feed.save()

    def on_epoch_end(self, args, state, control, **kwargs):
        self.feed.save()


class EmptyStepCallback(TrainerCallback):
    """
    Keeps the optimiser still on a step whose groups were all rejected, lest momentum alone move weights.

    DeepSpeed steps at the end of the backward pass, before any callback is asked. There its optimiser is made to ask.
    """

    def __init__(self, trainer: "SeRLTrainer") -> None:
        self.trainer = trainer
        self._asking: object = None  # DeepSpeed's optimiser

    def on_train_begin(self, args, state, control, **kwargs):
        engine = self.trainer.deepspeed
        if self.trainer.is_deepspeed_enabled and self._asking is not engine.optimizer:
            self._asking = engine.optimizer
            hold_empty_steps(engine.optimizer, self.trainer.gated_loss.is_step_empty)

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if not self.trainer.is_deepspeed_enabled and self.trainer.gated_loss.is_step_empty():
            model.zero_grad(set_to_none=True)


def hold_empty_steps(optimizer: Any, is_empty: Callable[[], bool]) -> None:
    """
    Has a ZeRO optimiser do all of an empty step but the step itself: gradients go, states and weights stay.

    Args:
        optimizer (`Any`): That of DeepSpeed's engine.
        is_empty (`Callable[[], bool]`): Whether the step is one; asked once for each.

    Raises:
        ValueError: For another optimiser of DeepSpeed's.
    """
    if not hasattr(optimizer, "_optimizer_step"):
        raise ValueError(
            f"DeepSpeed's {type(optimizer).__name__} cannot be kept from moving weights on a step whose groups were all "
            "rejected. Use zero_stage 2 or 3."
        )
    step = optimizer.step

    def asking_step(*args: object, **kwargs: object) -> object:
        if not is_empty():
            return step(*args, **kwargs)
        with temporarily_set(optimizer, _optimizer_step=lambda group: None):
            return step(*args, **kwargs)

    optimizer.step = asking_step
