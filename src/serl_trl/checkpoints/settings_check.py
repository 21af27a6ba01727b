"""What a checkpoint remembers of the settings of its run, and which of them may change when it is resumed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from transformers import TrainingArguments


# A checkpoint says where in the data, in the rollout and in the accumulation of gradients the run was. These settings
# are what such a place is counted in: with others it means nothing.
FIXED = (
    "seed",
    "data_seed",
    "self_instruct",
    "num_instructions",
    "num_generations",
    "num_iterations",
    "generation_batch_size",
    "steps_per_generation",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "shuffle_dataset",
    "dataloader_drop_last",
)

# Settings that leave the parameters alone.
FREE = (
    "output_dir",
    "resume_from_checkpoint",
    "run_name",
    "project",
    "report_to",
    "disable_tqdm",
    "do_train",
    "do_eval",
    "do_predict",
    "push_to_hub",
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
    "log_completions",
    "log_multimodal",
    "log_unique_prompts",
    "num_completions_to_print",
    "restore_callback_states_from_checkpoint",
    "local_rank",
)
FREE_PREFIXES = ("logging_", "log_level", "log_on_", "save_", "eval_", "hub_", "trackio_", "ddp_", "dataloader_")

PACKAGES = ("serl_trl", "torch", "transformers", "trl", "peft")


def run_settings(args: "TrainingArguments", **facts: object) -> dict[str, Any]:
    """
    The settings of a run as JSON-able data.

    Args:
        args (`TrainingArguments`): Every setting.
        facts: What else must be the same when the run is resumed: the number of processes, the data.

    Returns:
        `dict[str, Any]`: With the keys `args`, `facts` and `versions`.
    """
    versions = {name: installed_version(name) for name in PACKAGES}
    return {"args": plain(args.to_dict()), "facts": facts, "versions": versions}


def plain(value: object) -> Any:
    """What JSON makes of a value; of what has no JSON form its name, or its text."""
    return json.loads(json.dumps(value, default=lambda other: getattr(other, "__qualname__", str(other))))


def digest(values: Iterable[object]) -> str:
    """
    A short fingerprint of JSON-able values, in their order.

    Example:

    ```python
    >>> digest(["What is 1 + 1?"]) == digest(["What is 1 + 2?"])
    False

    ```
    """
    found = hashlib.sha256()
    for value in values:
        found.update(json.dumps(value, sort_keys=True).encode() + b"\n")
    return found.hexdigest()[:16]


def changed_settings(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """
    The changes since a checkpoint that it can be resumed with, though not to the same end.

    Args:
        saved, current (`Mapping[str, Any]`): What [`run_settings`] gave then and gives now.

    Returns:
        `list[str]`: As `"name: old -> new"`. Settings that leave the parameters alone are not listed.

    Raises:
        ValueError: For changes with which the checkpoint means nothing, with all of them.
    """
    args = _changes(saved["args"], current["args"])
    fatal = _changes(saved["facts"], current["facts"]) | {name: args[name] for name in FIXED if name in args}
    if fatal:
        raise ValueError(
            f"The checkpoint was written with other settings ({', '.join(_lines(fatal))}), in which its place in the run "
            "is counted. Resume with those of the checkpoint, or start a new run from its model."
        )
    is_free = lambda name: name in FREE or name.startswith(FREE_PREFIXES)  # noqa: E731
    others = {name: change for name, change in args.items() if not is_free(name)}
    return _lines(others | _changes(saved["versions"], current["versions"]))


def _changes(saved: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*saved, *(name for name in current if name not in saved)]
    both = {name: (saved.get(name), current.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in both.items() if old != new}


def _lines(changes: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [f"{name}: {old!r} -> {new!r}" for name, (old, new) in changes.items()]


def installed_version(package: str) -> str | None:
    """The version of a package; `None` if it is not installed."""
    try:
        return version(package)
    except ImportError:
        return None
