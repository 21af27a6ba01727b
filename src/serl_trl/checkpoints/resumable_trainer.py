"""`ResumableGRPOTrainer`: TRL's GRPOTrainer whose checkpoints hold all of a run, and are there whole or not at all."""

import inspect
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate.logging import get_logger
from safetensors.torch import load_model, save_model
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import GRPOConfig

from ..runtime import shared_failure, swapped, together
from . import checkpoint_files as checkpoints
from .epochs import EpochGRPOTrainer
from .settings_check import changed_settings, digest, run_settings
from .signals import Interrupts


logger = get_logger(__name__)


class Stateful(Protocol):
    """Anything with a state of JSON-able data."""

    def state_dict(self) -> dict[str, Any]:
        """The state, complete and independent of the object."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over a state that another object of its kind gave; tuples have become lists."""


class ResumableGRPOTrainer(EpochGRPOTrainer):
    """
    [`EpochGRPOTrainer`] that, resumed from a checkpoint, ends as the run that was never stopped: bit by bit.

    What TRL and Transformers leave out of a checkpoint is added: the order of the data, the rollouts that are still to
    be trained on, the count of micro-batches that says when the next rollout is due, metrics and losses that wait for
    the next log, a synchronised reference model, and whatever is registered in `shared_states` (one and the same on
    every process) or has a `state_dict` among the rewards (each process its own). Checkpoints are written aside and
    renamed; only complete ones are resumed from. Ctrl-C and SIGTERM save one more before the run ends.

    Exact means: same versions, machine and number of processes, and a sampler that can be repeated, which a vLLM server's is
    not.
    """

    args: GRPOConfig
    model: Any
    train_dataset: Any
    shared_states: dict[str, Stateful]
    kept_checkpoints: list[Callable[[], list[Path]]]  # asked at each save what must not be rotated away
    _buffered_inputs: Any

    def __init__(self, *args: Any, **kwargs: Any):
        on_sigterm = signal.getsignal(signal.SIGTERM)
        super().__init__(*args, **kwargs)
        if self.args.enable_jit_checkpoint:
            signal.signal(signal.SIGTERM, on_sigterm)  # Transformers has put a handler of its own in its place
            raise ValueError(
                "enable_jit_checkpoint=True saves in the middle of a step, where a run cannot be resumed exactly. Leave "
                "it out: on SIGTERM this trainer saves at the end of the step anyway."
            )
        self.shared_states = {}
        self.kept_checkpoints = []
        self._interrupts = Interrupts()
        self._staging: Path | None = None  # where Trainer writes a checkpoint at the moment
        self._settings: dict[str, Any] = {}
        self._sampler: Any = None
        self._order = torch.empty(0)  # state of the sampler's generator as the present epoch began
        self._epoch_begin = 0  # the step after which it did, or was resumed
        self._saved_step: int | None = None  # that of this run's last checkpoint
        self.add_callback(_ResumeCallback(self))

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """
        As [`~transformers.Trainer.train`], from a checkpoint that is known to be complete and to fit.

        Raises:
            ValueError: If the checkpoint is incomplete or damaged, or was written with other settings.
            KeyboardInterrupt: After Ctrl-C, once the run is saved. (SIGTERM: SystemExit.)
        """
        self._resumed = self.checkpoint_to_resume(resume_from_checkpoint)
        if self._resumed is not None:
            self.args.eval_on_start = False  # that of the run's start is in the checkpoint
        elif former := checkpoints.complete_checkpoints(self._get_output_dir(None)):
            logger.warning(
                f"{former[-1]} is of an earlier run. A later resume_from_checkpoint=True takes the highest step, whichever "
                "run it is of; use another output_dir, or remove the old checkpoints."
            )
        with shared_failure(), self._interrupts.noted() if self.args.save_strategy != "no" else nullcontext():
            result = super().train(None if self._resumed is None else str(self._resumed), *args, **kwargs)
        self._interrupts.obey()
        return result

    def checkpoint_to_resume(self, choice: str | bool | None) -> Path | None:
        """
        The checkpoint that `resume_from_checkpoint` means, once it is known to be complete and to fit this run.

        Args:
            choice (`str` or `bool`, *optional*): A checkpoint, or `True` for the last complete one in `output_dir`.

        Returns:
            `Path`, or `None` where the run is not to be resumed.

        Raises:
            ValueError: If there is none, or it is incomplete or damaged, or was written with other settings.
        """
        run_dir = self._get_output_dir(None)
        together(lambda: checkpoints.recover(run_dir) if self.args.should_save else None)
        self._settings = run_settings(self.args, **self._facts())
        if not choice:
            return None
        checkpoint = checkpoints.checkpoint_to_resume(run_dir, choice)
        self._check_fit(checkpoint)
        return checkpoint

    # Saving --------------------------------------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Has the checkpoint written aside, adds the rest of the state, and publishes it when every process is done."""
        run_dir = self._get_output_dir(trial)
        folder = checkpoints.staged(run_dir, self.state.global_step)
        try:
            together(lambda: checkpoints.discard(folder) if self.args.should_save else None)
            together(lambda: self._write_checkpoint(folder, model, trial))
            together(lambda: checkpoints.publish(folder) if self.args.should_save else None)
        except Exception as error:
            checkpoints.discard(folder)
            complete = checkpoints.complete_checkpoints(run_dir)
            remedy = f"resume from {complete[-1]}" if complete else "there is no earlier one"
            raise RuntimeError(
                f"The checkpoint of step {self.state.global_step} could not be written: {error}; {remedy}."
            ) from error
        self._saved_step = self.state.global_step
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(Path(run_dir) / folder.name))
        self._rotate(run_dir, Path(run_dir) / folder.name)

    def _rotate(self, run_dir: str, *protected: Path) -> None:
        """Applies `save_total_limit`; the best checkpoint and what callbacks go back to stay."""
        best = self.state.best_model_checkpoint
        kept = [path for ask in self.kept_checkpoints for path in ask()]
        spared = [*protected, *kept, *([Path(best)] if best is not None else [])]
        limit = self.args.save_total_limit
        together(lambda: checkpoints.rotate(run_dir, limit, spared) if self.args.should_save else None)

    def last_checkpoint(self) -> Path:
        """
        The checkpoint of the step that is done, which is saved now unless it has been.

        Saved while the next rollout is on its way, the first of an epoch, it goes on with other random numbers.
        """
        if self._saved_step != self.state.global_step:
            self._save_checkpoint(self.model, trial=None)
        return Path(self._get_output_dir(None)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"

    def _write_checkpoint(self, folder: Path, model: Any, trial: Any) -> None:
        run_dir, self._staging = self._get_output_dir(trial), folder.parent
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._staging = None
        best = self.state.best_model_checkpoint
        if best is not None and Path(best).parent == folder.parent:
            self.state.best_model_checkpoint = str(Path(run_dir) / Path(best).name)
            if self.args.should_save:
                self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        self._write_weight_hashes(folder / checkpoints.STATE)
        if not self.args.save_only_model:
            self._write_state(folder / checkpoints.STATE)

    def _write_state(self, folder: Path) -> None:
        if self.args.should_save:
            checkpoints.write_state(folder, "settings", self._settings)
            for name, state in self.shared_states.items():
                checkpoints.write_state(folder, name, state.state_dict())
            if self._is_reference_kept:
                save_model(self.accelerator.unwrap_model(self.ref_model), str(folder / "reference.safetensors"))
        is_rollout_due = self._step % ((self.args.steps_per_generation or 1) * self.num_iterations) == 0
        buffer: list[dict[str, Any]] = [] if is_rollout_due else self._buffered_inputs
        own = f"process_{self.accelerator.process_index}"
        progress = {
            "step": self._step,
            "num_steps_skipped": self._num_steps_skipped,
            "loss": self._tr_loss.item(),
            "last_logged_step": self._globalstep_last_logged,
            "metrics": self._metrics,
            "logs": {name: _plain(values) for name, values in self._logs.items() if name != "images"},
            "rewards": [reward.state_dict() for reward in self._stateful_rewards()],
            "buffer": [{k: v for k, v in batch.items() if not torch.is_tensor(v)} for batch in buffer],
        }
        checkpoints.write_state(folder, own, progress)
        tensors = {f"{i}.{k}": v for i, batch in enumerate(buffer) for k, v in batch.items() if torch.is_tensor(v)}
        generator = getattr(self._sampler, "generator", None)
        if generator is not None:
            has_epoch_ended = self.state.epoch % 1 == 0 and self.state.global_step > self._epoch_begin
            tensors["order"] = generator.get_state() if has_epoch_ended else self._order
        checkpoints.write_tensors(folder, own, tensors)

    def _get_output_dir(self, trial: Any) -> str:
        """While a checkpoint is written, the place aside."""
        return super()._get_output_dir(trial) if self._staging is None else str(self._staging)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Waits until the checkpoint is in its place."""
        if self._staging is None:
            super()._push_from_checkpoint(checkpoint_folder)

    def _finalize_training(self, *args: Any, **kwargs: Any) -> Any:
        """
        Ends a run that a signal has stopped without the logs of a run that has come to its end.

        Transformers removes all checkpoints but the best (`save_total_limit=1`) before it asks callbacks what to do as
        training ends. One may go back to a checkpoint then: they are removed afterwards.
        """
        if self._is_ending and self.state.global_step < self.state.max_steps:
            self.control = self.callback_handler.on_train_end(self.args, self.state, self.control)
            self._finish_current_push()
            self._interrupts.obey()
        limit = self.args.save_total_limit
        with swapped(self.args, save_total_limit=None):
            result = super()._finalize_training(*args, **kwargs)
        if limit is not None and self._saved_step is not None:
            run_dir, best = self._get_output_dir(None), self.state.best_model_checkpoint
            last = Path(run_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self._saved_step}"
            self._rotate(run_dir, *([] if limit == 1 and best is not None else [last]))
        return result

    # Resuming ------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """
        As [`~transformers.Trainer.end`], and lets go of what is wrapped for several processes, ahead of their group.

        A gloo group that DDP is the last to hold ends with the interpreter locked, while a thread of its own may wait for the
        interpreter: both wait for ever, or the process aborts. Python's own hold of the group ends unlocked.
        """
        group = torch.distributed.group.WORLD if torch.distributed.is_initialized() else None
        super().end()
        self.model_wrapped = self.model
        self.accelerator.free_memory()  # collects garbage, too
        del group

    def _facts(self) -> dict[str, Any]:
        """What must be the same in the run that resumes, beyond the settings."""
        prompts = getattr(self.train_dataset, "seeds", None)
        # ZeRO-3 leaves parameters empty, and their shapes in an attribute.
        shapes = [[n, [*getattr(p, "ds_shape", p.shape)]] for n, p in self.model.named_parameters() if p.requires_grad]
        return {
            "num_processes": self.accelerator.num_processes,
            "num_rows": len(self.train_dataset),
            "prompts": digest(self.train_dataset["prompt"] if prompts is None else prompts),
            "trainable_parameters": f"{len(shapes)} tensors, {digest(shapes)}",
        }

    def _check_fit(self, checkpoint: Path) -> None:
        folder = checkpoint / checkpoints.STATE
        if not checkpoints.has_state(folder, "settings"):
            raise ValueError(
                f"{checkpoint} holds a model only (save_only_model=True): a run cannot be resumed from it. Start a new run "
                "from this model."
            )
        changes = changed_settings(checkpoints.read_state(folder, "settings"), self._settings)
        if changes:
            logger.warning(
                f"{checkpoint} was written with other settings ({', '.join(changes)}): the run goes on, but not as the "
                "run that was never stopped."
            )
        if self.args.ignore_data_skip:
            logger.warning("ignore_data_skip=True: the resumed run begins its epoch anew, with other random numbers.")

    def _restore(self, checkpoint: Path) -> None:
        """Puts the state of the checkpoint where Trainer, by now, has put zeros."""
        self._check_weights(checkpoint)
        folder = checkpoint / checkpoints.STATE
        own = f"process_{self.accelerator.process_index}"
        progress, tensors = checkpoints.read_state(folder, own), checkpoints.read_tensors(folder, own)
        for name, state in self.shared_states.items():
            if getattr(state, "may_begin_anew", False) and not checkpoints.has_state(folder, name):
                logger.warning(f"{checkpoint} was written without {name}, which begin anew.")
            else:
                state.load_state_dict(checkpoints.read_state(folder, name))
        for reward, state in zip(self._stateful_rewards(), progress["rewards"], strict=True):
            reward.load_state_dict(state)
        if self._is_reference_kept:
            load_model(self.accelerator.unwrap_model(self.ref_model), str(folder / "reference.safetensors"))
        self._step, self._saved_step = progress["step"], self.state.global_step
        self._tr_loss += progress["loss"]
        self._globalstep_last_logged = progress["last_logged_step"]
        _refill(self._metrics, progress["metrics"])
        _refill(self._logs, progress["logs"])
        order = tensors.pop("order", None)
        if order is not None:
            self._sampler.generator.set_state(order)
        self._buffered_inputs = progress["buffer"] or None
        for key, tensor in tensors.items():
            i, name = key.split(".", 1)
            self._buffered_inputs[int(i)][name] = tensor.to(self.accelerator.device)

    @property
    def _is_reference_kept(self) -> bool:
        """Whether the reference moves, and one process has all of it."""
        return self.args.sync_ref_model and not (self.is_deepspeed_enabled or self.is_fsdp_enabled)

    def _is_interrupted(self) -> bool:
        """Whether a process has received a signal, by which all of them end then."""
        received = self._interrupts.received or 0
        if self.accelerator.num_processes > 1 and self.args.save_strategy != "no":
            everyone = self.accelerator.gather(torch.tensor([received], device=self.accelerator.device))
            received = int(everyone.max())
        self._interrupts.received = received or None
        return received > 0

    def _stateful_rewards(self) -> list[Any]:
        rewards: list[Any] = [inspect.unwrap(reward) for reward in self.reward_funcs if callable(reward)]
        return [r for r in rewards if hasattr(r, "load_state_dict") and not isinstance(r, torch.nn.Module)]

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Keeps the sampler in sight."""
        self._sampler = super()._get_train_sampler(*args, **kwargs)
        return self._sampler

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Trains no step more where the checkpoint was the last of a run that ends within an epoch."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)


class _ResumeCallback(TrainerCallback):
    """Tells a [`ResumableGRPOTrainer`] where in the training loop it is."""

    def __init__(self, trainer: ResumableGRPOTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        self.trainer._is_ending = self.trainer._is_save_due = False
        self.trainer._saved_step = self.trainer._frozen_hashes = None
        if args.save_strategy != "no":
            self.trainer._hash_frozen_weights()
        if self.trainer._resumed is not None:
            self.trainer._restore(self.trainer._resumed)
            self.trainer._resumed = None

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.trainer._is_within_epoch, self.trainer._epoch_begin = True, state.global_step
        generator = getattr(self.trainer._sampler, "generator", None)
        if generator is not None:
            self.trainer._order = generator.get_state()

    def on_step_end(self, args, state, control, **kwargs):
        if self.trainer._is_interrupted():
            control.should_save = control.should_training_stop = self.trainer._is_ending = True

    def on_epoch_end(self, args, state, control, **kwargs):
        self.trainer._end_epoch()


def _plain(values: Any) -> Any:
    return {name: list(v) for name, v in values.items()} if isinstance(values, dict) else list(values)


def _refill(target: Any, values: dict[str, Any]) -> None:
    """Replaces what lists and deques, or dicts of them, hold."""
    for name, value in values.items():
        if isinstance(value, dict):
            target[name].clear()
            _refill(target[name], value)
        else:
            target[name].clear()
            target[name].extend(value)
