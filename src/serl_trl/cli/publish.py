"""What a command does with a trained model: tells its card where things come from, merges an adapter, pushes."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trl import ModelConfig, get_quantization_config

from .. import SeRLTrainer
from ..trainer import HubError, check_quantization
from .train_arguments import SeRLScriptArguments


def describe(trainer: SeRLTrainer, script_args: SeRLScriptArguments, num_held_out: int) -> None:
    """Tells the model card what was given to the command: names of files and datasets, no paths."""
    facts = trainer.card_facts
    if script_args.dataset_name:
        facts.seed_dataset = script_args.dataset_name
    elif script_args.seed_file:
        facts.seeds = f"from the file {Path(script_args.seed_file).name}"
    else:
        facts.seeds = "word problems of the laboratory that comes with serl_trl"
    source = f"from the file {Path(script_args.eval_file).name}" if script_args.eval_file else "of the laboratory"
    facts.evaluated_on = f"{num_held_out} held-out problems {source}, {script_args.num_eval_samples} samples each"


def check_adapter_flags(script_args: SeRLScriptArguments, model_args: ModelConfig) -> None:
    """Raises a ValueError for flags about adapters and quantisation that do not go together."""
    is_quantised = model_args.load_in_4bit or model_args.load_in_8bit
    if is_quantised and not model_args.use_peft:
        raise ValueError("A quantised base is not trained itself; add --use_peft, or leave --load_in_4bit/8bit out.")
    if script_args.merge_adapter and not model_args.use_peft:
        raise ValueError("--merge_adapter has no adapter to merge; add --use_peft, or leave it out.")
    if script_args.merge_adapter and is_quantised:
        raise ValueError(
            "--merge_adapter would merge into a quantised base, and round the adapter off; leave it out, and merge the "
            "saved adapter into the base in full precision."
        )
    check_quantization(get_quantization_config(model_args))


def publish(trainer: SeRLTrainer, *, is_merged: bool) -> None:
    """Saves the merged model where it is wanted, then pushes; ends with a line for each thing that failed, after all else."""
    errors = []

    def attempt(act: Callable[[], Any], prefix: str = "error: ") -> None:
        try:
            act()
        except (HubError, ValueError) as error:  # a ValueError: a model in shards
            errors.append(f"{'error: ' if isinstance(error, HubError) else prefix}{error}")

    is_pushed = trainer.args.push_to_hub
    if is_merged:
        attempt(lambda: trainer.save_merged(push=is_pushed), "error: --merge_adapter: ")
    if is_pushed:
        attempt(trainer.push_to_hub)
    if errors:
        sys.exit("\n".join(errors))
