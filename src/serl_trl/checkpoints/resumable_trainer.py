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
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import GRPOConfig, GRPOTrainer

from ..runtime import run_on_all_ranks, shared_failure, temporarily_set
from . import checkpoint_files as checkpoints
from .settings_check import changed_settings, digest, run_settings
from .signals import Interrupts
from .trainer_progress import DataOrder, pending_logs, restore_logs, restore_rollouts, rollouts_in_progress
from .training_loop import TrainingLoop
from .weights_check import WeightsCheck


SETTINGS_OF_END = ("save_total_limit", "load_best_model_at_end")  # that Trainer reads as it ends a run

logger = get_logger(__name__)


class Stateful(Protocol):
    """Anything with a state of JSON-able data."""

    def state_dict(self) -> dict[str, Any]:
        """The state, complete and independent of the object."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over a state that another object of its kind gave; tuples have become lists."""


class ResumableGRPOTrainer(GRPOTrainer):
    """
    [`~trl.GRPOTrainer`] that, resumed from a checkpoint, ends with the parameters and logs of a run that was never stopped.

    What TRL and Transformers leave out of a checkpoint is added: the order of the data, the rollouts that are still to
    be trained on, the count of micro-batches that says when the next rollout is due, metrics and losses that wait for
    the next log, a synchronised reference model, hashes of all parameters ([`WeightsCheck`]), and whatever is
    registered in `shared_states` (one and the same on every process) or has a `state_dict` among the rewards (each
    process its own). Checkpoints are written aside and renamed; only complete ones are resumed from. They fall where a
    run can be resumed ([`TrainingLoop`]). Ctrl-C and SIGTERM save one more before the run ends.

    "The same" means every bit, with the same versions, machine and number of processes, and a sampler that can be
    repeated, which that of a vLLM server cannot.
    """

    args: GRPOConfig
    # What Trainer and TRL leave without a type, or begin with `None`.
    model: Any  # a PreTrainedModel, or a PeftModel round one
    train_dataset: Any  # a Dataset, or the slots of a dataset that is written in training
    deepspeed: Any  # its engine, where it trains
    num_generations: int
    num_generations_eval: int
    _buffered_inputs: Any  # a list of the micro-batches of a rollout
    _logs: dict[str, Any]
    shared_states: dict[str, Stateful]
    kept_checkpoints: list[Callable[[], list[Path]]]  # asked at each save what must not be rotated away
    is_writing_checkpoint = False

    def __init__(self, *args: Any, **kwargs: Any):
        on_sigterm = signal.getsignal(signal.SIGTERM)
        self.loop = TrainingLoop(self)
        self.data_order, self.weights = DataOrder(self.loop), WeightsCheck(self)
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
        self._settings: dict[str, Any] = {}
        self._saved_step: int | None = None  # that of this run's last checkpoint
        self._as_given: dict[str, Any] = {}  # settings that are not in `args` while Trainer ends a run
        self.add_callback(self.loop)

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """
        As [`~transformers.Trainer.train`], from a checkpoint that is known to be complete and to fit.

        Raises:
            ValueError: If the checkpoint is incomplete or damaged, or was written with other settings.
            KeyboardInterrupt: After Ctrl-C, once the run is saved. (SIGTERM: SystemExit.)
        """
        resumed = self.loop.resumed = self.checkpoint_to_resume(resume_from_checkpoint)
        if resumed is not None:
            self.args.eval_on_start = False  # that of the run's start is in the checkpoint
        elif former := checkpoints.complete_checkpoints(self.run_dir):
            logger.warning(
                f"{former[-1]} is of an earlier run. A later resume_from_checkpoint=True takes the highest step, whichever "
                "run it is of; use another output_dir, or remove the old checkpoints."
            )
        with (
            shared_failure(),
            self._interrupts.noted() if self.args.save_strategy != "no" else nullcontext(),
            # which `log` changes as training ends
            temporarily_set(self.args, **{name: getattr(self.args, name) for name in SETTINGS_OF_END}),
            temporarily_set(self, _as_given={}),
        ):
            result = super().train(None if resumed is None else str(resumed), *args, **kwargs)
        if self._saved_step is not None and not self.loop.is_ending:
            best = self.state.best_model_checkpoint
            last = self.run_dir / f"{PREFIX_CHECKPOINT_DIR}-{self._saved_step}"
            self._rotate(*([] if self.args.save_total_limit == 1 and best is not None else [last]))
        self._interrupts.raise_if_received()
        return result

    def _init_training_state(
        self, max_steps: int, num_update_steps_per_epoch: int, num_train_epochs: int, *args: Any, **kwargs: Any
    ) -> tuple[int, int]:
        """Where to go on: past the epochs that ended early, and nowhere if the checkpoint was the last of its run."""
        place = super()._init_training_state(max_steps, num_update_steps_per_epoch, num_train_epochs, *args, **kwargs)
        place = self.loop.place_to_resume(self.state.global_step, num_update_steps_per_epoch, place)
        return place if self.state.global_step < max_steps else (num_train_epochs, 0)

    def get_train_dataloader(self) -> Any:
        """Keeps the sampler in sight."""
        dataloader = super().get_train_dataloader()
        self.data_order.watch(dataloader)
        return dataloader

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """
        Leaves out the summary of a run that a signal has stopped: it has not come to its end.

        After the summary, Trainer loads the best model, for which a scheduler gives no time, and removes checkpoints that
        callbacks may go back to. The settings that ask for it are set aside here, and set back by `train`.
        """
        is_summary = "train_runtime" in logs
        if not (self.loop.is_ending and is_summary):
            super().log(logs, start_time)
        if is_summary:
            self._as_given = {name: getattr(self.args, name) for name in SETTINGS_OF_END}
            self.args.save_total_limit = None
            self.args.load_best_model_at_end &= not self.loop.is_ending

    def is_interrupted(self) -> bool:
        """Whether a process has received a signal, by which all of them end then."""
        received = self._interrupts.received or 0
        if self.accelerator.num_processes > 1 and self.args.save_strategy != "no":
            everyone = self.accelerator.gather(torch.tensor([received], device=self.accelerator.device))
            received = int(everyone.max())
        self._interrupts.received = received or None
        return received > 0

    @property
    def run_dir(self) -> Path:
        """`output_dir`, in which checkpoints are; Trainer has another one while it writes a checkpoint."""
        output_dir = Path(str(self.args.output_dir))
        return output_dir.parent if self.is_writing_checkpoint else output_dir

    # Saving --------------------------------------------------------------------------------------------------------

    def start_checkpoints(self) -> None:
        """Notes, as training begins, that no step of it is saved yet, and hashes what is not trained."""
        self._saved_step = None
        if self.args.save_strategy != "no":
            self.weights.start()

    def _save_checkpoint(self, model: torch.nn.Module, trial: object) -> None:
        """Has the checkpoint written aside, adds the rest of the state, and publishes it when every process is done."""
        folder = checkpoints.staged(self.run_dir, self.state.global_step)
        try:
            run_on_all_ranks(lambda: checkpoints.discard(folder) if self.args.should_save else None)
            run_on_all_ranks(lambda: self._write_checkpoint(folder, model, trial))
            run_on_all_ranks(lambda: checkpoints.publish(folder) if self.args.should_save else None)
        except Exception as error:
            checkpoints.discard(folder)
            complete = checkpoints.complete_checkpoints(self.run_dir)
            remedy = f"resume from {complete[-1]}" if complete else "there is no earlier one"
            raise RuntimeError(
                f"The checkpoint of step {self.state.global_step} could not be written: {error}; {remedy}."
            ) from error
        self._saved_step = self.state.global_step
        self.loop.note_save(self.state, self.control)
        self.checkpoint_published(self.run_dir / folder.name)
        self._rotate(self.run_dir / folder.name)

    def checkpoint_published(self, checkpoint: Path) -> None:
        """Is called once a checkpoint is in its place; to be overridden."""

    def _rotate(self, *protected: Path) -> None:
        """Applies `save_total_limit`; the best checkpoint and what callbacks go back to stay."""
        best = self.state.best_model_checkpoint
        kept = [path for ask in self.kept_checkpoints for path in ask()]
        spared = [*protected, *kept, *([Path(best)] if best is not None else [])]
        limit = self._as_given.get("save_total_limit", self.args.save_total_limit)
        run_on_all_ranks(lambda: checkpoints.rotate(self.run_dir, limit, spared) if self.args.should_save else None)

    def last_checkpoint(self) -> Path:
        """
        The checkpoint of the step that is done, which is saved now unless it has been.

        Saved while the next rollout is on its way, the first of an epoch, it goes on with other random numbers.
        """
        if self._saved_step != self.state.global_step:
            self._save_checkpoint(self.model, trial=None)
        return self.run_dir / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"

    def _write_checkpoint(self, folder: Path, model: torch.nn.Module, trial: object) -> None:
        run_dir = self.run_dir
        # Trainer pushes what it has written, too, where it is not in its place yet
        with (
            temporarily_set(self.args, output_dir=str(folder.parent), push_to_hub=False),
            temporarily_set(self, is_writing_checkpoint=True),
        ):
            super()._save_checkpoint(model, trial)
        best = self.state.best_model_checkpoint
        if best is not None and Path(best).parent == folder.parent:
            self.state.best_model_checkpoint = str(run_dir / Path(best).name)
            if self.args.should_save:
                self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        self._write_settings(folder)
        self.weights.write(folder / checkpoints.STATE)
        if not self.args.save_only_model:
            self._write_state(folder / checkpoints.STATE)

    def save_locally(self) -> None:
        """Saves model, tokenizer and settings to `output_dir`, without the push that `save_model` ends with."""
        with temporarily_set(self.args, push_to_hub=False):
            self.save_model()
        self._write_settings(self.run_dir)

    def _write_settings(self, folder: Path) -> None:
        """Writes the settings as they are, not as they are set while Trainer saves or ends a run."""
        if self.args.should_save:
            with temporarily_set(self.args, **self._as_given):
                torch.save(self.args, folder / TRAINING_ARGS_NAME)

    def _write_state(self, folder: Path) -> None:
        if self.args.should_save:
            checkpoints.write_state(folder, "settings", self._settings)
            for name, state in self.shared_states.items():
                checkpoints.write_state(folder, name, state.state_dict())
            if self._is_reference_kept:
                save_model(self.accelerator.unwrap_model(self.ref_model), str(folder / "reference.safetensors"))
        own, buffer = f"process_{self.accelerator.process_index}", rollouts_in_progress(self)
        progress = {
            "step": self._step,
            "num_steps_skipped": self.loop.num_steps_skipped,
            **pending_logs(self),
            "rewards": [reward.state_dict() for reward in self._stateful_rewards()],
            "buffer": [{k: v for k, v in batch.items() if not torch.is_tensor(v)} for batch in buffer],
        }
        checkpoints.write_state(folder, own, progress)
        tensors = {f"{i}.{k}": v for i, batch in enumerate(buffer) for k, v in batch.items() if torch.is_tensor(v)}
        checkpoints.write_tensors(folder, own, tensors | self.data_order.tensors(self.state))

    # Resuming ------------------------------------------------------------------------------------------------------

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
        run_dir = self.run_dir
        run_on_all_ranks(lambda: checkpoints.recover(run_dir) if self.args.should_save else None)
        self._settings = run_settings(self.args, **self._facts())
        if not choice:
            return None
        checkpoint = checkpoints.checkpoint_to_resume(run_dir, choice)
        self._check_fit(checkpoint)
        return checkpoint

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

    def restore(self, checkpoint: Path) -> None:
        """Puts the state of the checkpoint where Trainer, by now, has put zeros."""
        self.weights.mend(checkpoint)
        self.weights.check(checkpoint)
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
        self._saved_step = self.state.global_step
        self.data_order.restore(tensors.pop("order", None))
        restore_logs(self, progress)
        restore_rollouts(self, progress["step"], progress["buffer"], tensors)

    def load_policy(self, checkpoint: Path) -> None:
        """Loads the policy of a checkpoint as Trainer loads the best one, in any layout; nothing else of it is loaded."""
        with temporarily_set(self.state, best_model_checkpoint=str(checkpoint)):
            self._load_best_model()
        self.weights.mend(checkpoint)
        self.weights.check(checkpoint)

    @property
    def _is_reference_kept(self) -> bool:
        """Whether the reference moves, and one process has all of it."""
        return self.args.sync_ref_model and not (self.is_deepspeed_enabled or self.is_fsdp_enabled)

    def _stateful_rewards(self) -> list[Any]:
        rewards: list[Any] = [inspect.unwrap(reward) for reward in self.reward_funcs if callable(reward)]
        return [r for r in rewards if hasattr(r, "load_state_dict") and not isinstance(r, torch.nn.Module)]

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
