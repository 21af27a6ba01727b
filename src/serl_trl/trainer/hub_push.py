"""`HubPushes`: pushes that lose nothing when they fail, because all that they push is saved before the Hub is asked."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.logging import get_logger
from huggingface_hub import CommitInfo, HfApi, model_info
from transformers import TrainerCallback
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, HubStrategy, SaveStrategy
from transformers.utils import (
    CONFIG_NAME,
    GENERATION_CONFIG_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
)

from .model_card import is_hub_id


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


logger = get_logger(__name__)

MAX_REASON_CHARACTERS = 400  # of what the Hub's client says, in an error of one line
LICENSE_TIMEOUT_S = 10
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")  # PEFT's names
NOT_PUSHED = ["_*", f"{PREFIX_CHECKPOINT_DIR}-*"]  # of a run folder


class HubError(RuntimeError):
    """What the Hugging Face Hub did not take; the message says where it is and how it is pushed later."""


class HubPushes(TrainerCallback):
    """
    Uploads a run to the Hub, as a checkpoint is published and at the end.

    Transformers asks the Hub first and saves afterwards, and leaves errors of pushes in the middle of training unread.

    Args:
        trainer ([`SeRLTrainer`]): Whose `hub_*` settings hold.
    """

    def __init__(self, trainer: "SeRLTrainer") -> None:
        self.trainer = trainer
        self._jobs: list[Future] = []  # of checkpoints

    @property
    def repository(self) -> str:
        """Where the run is pushed to."""
        trainer = self.trainer
        return trainer.hub_model_id or trainer.args.hub_model_id or trainer.run_dir.absolute().name

    def created(self, create: Callable[[], None], token: str | None) -> None:
        """
        Has the repository created, and learns the license of the base.

        Raises:
            HubError: If there is no such repository, and none can be created.
        """
        try:
            create()
        except Exception as error:  # the Hub's client raises a dozen kinds
            raise HubError(
                f"The repository {self.repository} cannot be created on the Hub ({_reason(error)}). Log in with `hf auth "
                "login`, choose another hub_model_id, or train without push_to_hub and push later."
            ) from error
        if self.trainer.is_world_process_zero():
            facts = self.trainer.card_facts
            facts.license = facts.license or self._license_of_base(token or self.trainer.args.hub_token)

    def push(
        self,
        message: str | None,
        is_blocking: bool,
        token: str | None,
        revision: str | None,
        private: bool | None,
        **card: Any,
    ) -> Any:
        """As [`SeRLTrainer.push_to_hub`]; `card` goes to the model card."""
        trainer = self.trainer
        trainer.save_locally()
        failure: BaseException | None = None
        if trainer.hub_model_id is None:
            try:
                trainer.init_hf_repo(token, private)
            except HubError as error:
                failure = error.__cause__ or error
        trainer.create_model_card(**card)
        if failure is not None:
            raise self.failed(failure, trainer.run_dir, self.repository, revision, private) from failure
        if not trainer.is_world_process_zero():
            return None
        trainer.callback_handler.on_push_begin(trainer.args, trainer.state, trainer.control)
        return self.upload(
            trainer.run_dir, message, token=token, revision=revision, private=private, is_blocking=is_blocking
        )

    def upload(
        self,
        folder: Path,
        message: str | None,
        *,
        repository: str | None = None,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        is_blocking: bool = True,
    ) -> Any:
        """
        Uploads a folder without its checkpoints.

        Returns:
            `CommitInfo`, or its `Future` without blocking.

        Raises:
            HubError: If it fails, with the command by which it is made up for.
        """
        args, repository = self.trainer.args, repository or self.repository
        try:
            wait(self._jobs)
            upload: Callable[..., CommitInfo | Future[CommitInfo]] = HfApi().upload_folder
            return upload(
                repo_id=repository,
                folder_path=folder,
                commit_message=message,
                token=token or args.hub_token,
                run_as_future=not is_blocking,
                ignore_patterns=NOT_PUSHED,
                revision=revision or args.hub_revision,
            )
        except Exception as error:
            raise self.failed(error, folder, repository, revision, private) from error

    def failed(
        self,
        error: BaseException,
        folder: Path,
        repository: str,
        revision: str | None = None,
        private: bool | None = None,
    ) -> HubError:
        """What is told of a push that failed: nothing is lost, and how it is made up for."""
        return HubError(
            f"The push to {repository} failed ({_reason(error)}). Nothing is lost: model, tokenizer and card are in "
            f"{folder}. Push them later with `{self.command(folder, repository, revision, private)}`."
        )

    def push_checkpoint(self, checkpoint: Path) -> None:
        """
        Uploads what `hub_strategy` says of a checkpoint, in the background; an error is told, and training goes on.

        Does nothing while an earlier push goes on, unless `hub_always_push` is set.
        """
        trainer, args = self.trainer, self.trainer.args
        if not trainer.is_world_process_zero() or args.hub_strategy == HubStrategy.END:
            return
        self._jobs = [job for job in self._jobs if not job.done()]
        if self._jobs and not args.hub_always_push:
            return
        trainer.callback_handler.on_push_begin(args, trainer.state, trainer.control)
        self._copy_model(checkpoint)
        is_by_steps = args.save_strategy == SaveStrategy.STEPS
        place = f"step {trainer.state.global_step}" if is_by_steps else f"epoch {int(trainer.state.epoch or 0)}"
        self._start(checkpoint, trainer.run_dir, f"Training in progress, {place}", ignore_patterns=NOT_PUSHED)
        if args.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            target = "last-checkpoint" if args.hub_strategy == HubStrategy.CHECKPOINT else checkpoint.name
            message = f"Training in progress, {place}, checkpoint"
            self._start(checkpoint, checkpoint, message, path_in_repo=target)

    def on_train_end(self, args, state, control, **kwargs):
        """Waits until what is on its way has arrived, or failed: checkpoints may be removed from then on."""
        wait(self._jobs)

    def command(self, folder: Path, repository: str, revision: str | None = None, private: bool | None = None) -> str:
        """The command that pushes a folder later."""
        args = self.trainer.args
        command = ["hf", "upload", repository, str(folder), "."]
        for pattern in (f"{PREFIX_CHECKPOINT_DIR}-*", "_*"):
            command += ["--exclude", pattern]
        if revision := revision or args.hub_revision:
            command += ["--revision", revision]
        if args.hub_private_repo if private is None else private:
            command.append("--private")
        return shlex.join(command)

    def _start(
        self,
        checkpoint: Path,
        folder: Path,
        message: str,
        ignore_patterns: list[str] | None = None,
        path_in_repo: str | None = None,
    ) -> None:
        args = self.trainer.args
        job = HfApi().upload_folder(
            repo_id=self.repository,
            folder_path=folder,
            commit_message=message,
            token=args.hub_token,
            revision=args.hub_revision,
            run_as_future=True,
            ignore_patterns=ignore_patterns,
            path_in_repo=path_in_repo,
        )
        job.add_done_callback(lambda done: self._tell(done, checkpoint))
        self._jobs.append(job)

    def _tell(self, job: Future, checkpoint: Path) -> None:
        """Warns of an upload that failed, which nobody waits for."""
        error = None if job.cancelled() else job.exception()
        if error is not None:
            place = f"is in {checkpoint}" if checkpoint.is_dir() else "has made room for a later one"
            logger.warning(
                f"The push of {checkpoint.name} to {self.repository} failed ({_reason(error)}). It {place}; training goes on."
            )

    def _copy_model(self, checkpoint: Path) -> None:
        """Puts the model of a checkpoint, and all that belongs to it, into the run folder, which is uploaded."""
        names = [CONFIG_NAME, GENERATION_CONFIG_NAME, SAFE_WEIGHTS_NAME, TRAINING_ARGS_NAME, *ADAPTER_FILES]
        index = checkpoint / SAFE_WEIGHTS_INDEX_NAME
        if index.is_file():
            names += [index.name, *set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())]
        for name in names:
            if (checkpoint / name).is_file():
                shutil.copy(checkpoint / name, self.trainer.run_dir / name)
        self.trainer.decoding.tokenizer.save_pretrained(self.trainer.run_dir)

    def _license_of_base(self, token: str | None) -> str | None:
        base = self.trainer.model.config.name_or_path
        try:
            card = model_info(base, timeout=LICENSE_TIMEOUT_S, token=token).card_data if is_hub_id(base) else None
        except Exception:  # a private base, or a Hub that has no time: the card does without
            return None
        license = card and card.get("license")
        return license if isinstance(license, str) else None


def _reason(error: BaseException) -> str:
    """An error of the Hub's client, and the one behind it, in one line."""
    text = " ".join(re.sub(r"For more information check: \S+", "", str(error)).split()).rstrip(".")
    cause = f": {_reason(error.__cause__)}" if isinstance(error, RuntimeError) and error.__cause__ else ""
    return f"{type(error).__name__}, {text[:MAX_REASON_CHARACTERS]}{cause}"
