"""A trained adapter merged into its base: a plain model, in a folder and a repository of its own."""

import copy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import create_repo

from .model_card import MERGED_SUFFIX, serl_card


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


def merged_model(trainer: "SeRLTrainer") -> Any:
    """As [`SeRLTrainer.merged_model`]."""
    if not hasattr(trainer.model, "peft_config") or trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        raise ValueError(
            "Merging needs a model with an adapter, not sharded by DeepSpeed or FSDP. Of a saved adapter: "
            "peft.AutoPeftModelForCausalLM.from_pretrained(output_dir).merge_and_unload()."
        )
    return copy.deepcopy(trainer.model).merge_and_unload()


def save_merged(trainer: "SeRLTrainer", push: bool) -> Path:
    """As [`SeRLTrainer.save_merged`]."""
    model, run_dir = merged_model(trainer), trainer.run_dir.absolute()
    folder = run_dir.with_name(run_dir.name + MERGED_SUFFIX)
    if not trainer.is_world_process_zero():
        return folder
    model.save_pretrained(folder)
    trainer.decoding.tokenizer.save_pretrained(folder)
    if (run_dir / "instructions").is_dir():  # the card counts them
        shutil.copytree(run_dir / "instructions", folder / "instructions", dirs_exist_ok=True)
    repository = f"{trainer.pushes.repository}{MERGED_SUFFIX}"
    serl_card(trainer, repository.split("/")[-1], repository, is_adapter=False).save(folder / "README.md")
    if push:
        args = trainer.args
        try:
            found = create_repo(repository, token=args.hub_token, private=args.hub_private_repo, exist_ok=True)
        except Exception as error:  # the Hub's client raises a dozen kinds
            raise trainer.pushes.failed(error, folder, repository) from error
        trainer.pushes.upload(folder, "End of training", repository=found.repo_id)
    return folder
