"""`HubGRPOTrainer`: pushes that lose nothing when they fail, and a model card that says what was done."""

import copy
import re
import shlex
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.logging import get_logger
from huggingface_hub import ModelCard, model_info

from ..runtime import swapped
from .finite_check import GuardedGRPOTrainer
from .model_card import MERGED_SUFFIX, CardFacts, is_hub_id, serl_card


logger = get_logger(__name__)

MAX_REASON_CHARACTERS = 400  # of what the Hub's client says, in an error of one line
LICENSE_TIMEOUT_S = 10


class HubError(RuntimeError):
    """What the Hugging Face Hub did not take; the message says where it is and how it is pushed later."""


class HubGRPOTrainer(GuardedGRPOTrainer):
    """
    [`GuardedGRPOTrainer`] that saves all that it pushes before it asks the Hub for anything, and describes the run.

    Transformers creates the repository first, and leaves errors of pushes in the middle of training unread. `card_facts`
    ([`~model_card.CardFacts`]) holds what the card says beyond what the trainer knows.
    """

    _paper: dict[str, str]

    def __init__(self, *args: Any, **kwargs: Any):
        self.card_facts = CardFacts()
        super().__init__(*args, **kwargs)

    def create_model_card(  # type: ignore[override]  # TRL has changed it before us
        self, model_name: str | None = None, dataset_name: str | None = None, tags: str | list[str] | None = None
    ) -> None:
        """TRL's card in a template of ours; `dataset_name`, the seeds on the Hub, defaults to that of `card_facts`."""
        if not self.is_world_process_zero():
            return
        self.card_facts.seed_dataset = dataset_name or self.card_facts.seed_dataset
        name = model_name or self._repository.split("/")[-1]
        self._run_dir.mkdir(parents=True, exist_ok=True)
        super().create_model_card(name, self.card_facts.seed_dataset, tags)
        path = self._run_dir / "README.md"
        serl_card(ModelCard.load(path), self, name).save(path)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Puts our card in the place of PEFT's, which takes the path of a local base for its id on the Hub."""
        super()._save(output_dir, state_dict)
        if self.is_world_process_zero() and hasattr(self.model, "peft_config"):
            self.create_model_card()
            if output_dir is not None and Path(output_dir) != self._run_dir:
                shutil.copy(self._run_dir / "README.md", output_dir)

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """
        As [`~transformers.Trainer.init_hf_repo`]; also learns the license of the base.

        Raises:
            HubError: If there is no such repository, and none can be created.
        """
        try:
            self._init_repository(token, private)
        except Exception as error:  # the Hub's client raises a dozen kinds
            raise HubError(
                f"The repository {self._repository} cannot be created on the Hub ({_reason(error)}). Log in with `hf auth "
                "login`, choose another hub_model_id, or train without push_to_hub and push later."
            ) from error

    def _init_repository(self, token: str | None, private: bool | None) -> None:
        super().init_hf_repo(token, private)
        if self.is_world_process_zero():
            self.card_facts.license = self.card_facts.license or self._license_of_base(token or self.args.hub_token)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """
        As [`~transformers.Trainer.push_to_hub`], with everything in `output_dir` before the Hub is asked for anything.

        Raises:
            HubError: If the push fails, with the command by which it is made up for.
        """
        self.save_model(_internal_call=True)
        try:
            if self.hub_model_id is None:
                self._init_repository(token, private)
            with swapped(self, save_model=lambda **_: None):  # it is saved
                return super().push_to_hub(commit_message, blocking, token, revision, private, **kwargs)
        except Exception as error:
            self.create_model_card(kwargs.get("model_name"), kwargs.get("dataset_name"), kwargs.get("tags"))
            raise HubError(
                f"The push to {self._repository} failed ({_reason(error)}). Nothing is lost: model, tokenizer and card are in "
                f"{self.args.output_dir}. Push them later with `{self._push_command(revision, private)}`."
            ) from error

    @contextmanager
    def merged_adapter(self) -> Iterator[None]:
        """
        For the length of a block, has the model in which the adapter is merged into its base saved and pushed.

        It goes to folder and repository of their own, `<output_dir>-merged` and `<hub_model_id>-merged`: beside an adapter,
        Transformers would not load it. It is a copy, which takes as much memory as the base.

        Raises:
            ValueError: If there is no adapter, or no process has all of the model.

        Example:

        ```python
        with trainer.merged_adapter():
            trainer.push_to_hub()
        ```
        """
        if not hasattr(self.model, "peft_config") or self.is_deepspeed_enabled or self.is_fsdp_enabled:
            raise ValueError(
                "merged_adapter() needs a model with an adapter, not sharded by DeepSpeed or FSDP. Of a saved adapter: "
                "peft.AutoPeftModelForCausalLM.from_pretrained(output_dir).merge_and_unload()."
            )
        run_dir = self._run_dir.absolute()
        folder = run_dir.with_name(run_dir.name + MERGED_SUFFIX)
        if self.args.should_save and (run_dir / "instructions").is_dir():  # the card counts them
            shutil.copytree(run_dir / "instructions", folder / "instructions", dirs_exist_ok=True)
        merged = copy.deepcopy(self.model).merge_and_unload()
        repository = f"{self._repository}{MERGED_SUFFIX}"
        with (
            swapped(self.args, output_dir=str(folder), hub_model_id=repository),
            swapped(self, model=merged, hub_model_id=None),
        ):
            yield

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Has an error of the upload told, which nobody waits for."""
        before = self._push_jobs
        super()._push_from_checkpoint(checkpoint_folder)

        def tell(job: Future) -> None:
            error = None if job.cancelled() else job.exception()
            if error is not None:
                place = (
                    f"is in {checkpoint_folder}"
                    if Path(checkpoint_folder).is_dir()
                    else "has made room for a later one"
                )
                logger.warning(
                    f"The push of {Path(checkpoint_folder).name} to {self._repository} failed ({_reason(error)}). It {place}; "
                    "training goes on."
                )

        for job in self._push_jobs:
            if job not in before:
                job.add_done_callback(tell)

    @property
    def _push_jobs(self) -> list[Future]:
        return list(getattr(getattr(self, "push_in_progress", None), "jobs", []))

    @property
    def _run_dir(self) -> Path:
        return Path(str(self.args.output_dir))

    @property
    def _repository(self) -> str:
        return self.hub_model_id or self.args.hub_model_id or self._run_dir.absolute().name

    def _push_command(self, revision: str | None, private: bool | None) -> str:
        command = ["hf", "upload", self._repository, str(self.args.output_dir), "."]
        for pattern in ("checkpoint-*", "_*"):
            command += ["--exclude", pattern]
        if revision := revision or self.args.hub_revision:
            command += ["--revision", revision]
        if self.args.hub_private_repo if private is None else private:
            command.append("--private")
        return shlex.join(command)

    def _license_of_base(self, token: str | None) -> str | None:
        base = self.model.config._name_or_path
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
