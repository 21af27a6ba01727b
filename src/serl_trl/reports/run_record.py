"""`run.json` of a run folder: what a run was given, and what it ran on."""

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..checkpoints import installed_version, plain
from ..runtime import written_whole


if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from transformers import TrainingArguments


RECORD_FILE = "run.json"
PACKAGES = ("serl_trl", "torch", "transformers", "trl", "accelerate", "datasets", "peft", "vllm", "deepspeed")

_SECRET = re.compile(r"(?:^|_)(?:token|secret|password|api_key)$", re.IGNORECASE)
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_ABSOLUTE = re.compile(r"^(?:[/~\\]|[A-Za-z]:[/\\]).*[/\\](?=[^/\\]+[/\\]?$)")

# Fields that the configuration fills in itself: what they are if nobody sets them is not their default. Those without
# a value follow from other fields, which are compared.
_FILLED_IN: dict[str, Any] = {
    "lr_scheduler_kwargs": {"min_lr_rate": 0.1},
    "disable_tqdm": False,
    "report_to": [],
    "debug": [],
}
_FOLLOWING = ("accelerator_config", "activation_checkpointing", "dataloader_pin_memory", "pad_to_multiple_of")


def write_run_record(
    args: "TrainingArguments", *, model: str, resumed_from: str | None = None, others: Mapping[str, Any] | None = None
) -> Path:
    """
    Writes `run.json` as a run starts. A run that is resumed keeps the record of its earlier sessions.

    Tokens and passwords are left out, and of absolute paths all but the last name, for a run folder may be pushed.

    Args:
        args ([`SeRLConfig`]): The settings of the training.
        model (`str`): The name of the base.
        resumed_from (`str`, *optional*): The checkpoint that the run goes on from.
        others (`Mapping[str, dataclass]`, *optional*): Further settings, such as those of a recipe, by a name for them.

    Returns:
        `Path`: The file. `changed` in it holds `[default, value]` of the settings that are not at their default.
    """
    path = Path(str(args.output_dir)) / RECORD_FILE
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    session = {"started": now, "resumed_from": None if resumed_from is None else Path(resumed_from).name}
    former = _former(path) if resumed_from is not None else {}
    groups = {"training": args, **(others or {})}
    record = {
        # without a record of the first session nobody knows when that was
        "started": former.get("started") if resumed_from is not None else now,
        "sessions": [*former.get("sessions", []), session],
        "model": public(model),
        "settings": {name: public(plain(_values(group))) for name, group in groups.items()},
        "changed": {name: public(changed_from_defaults(group)) for name, group in groups.items()},
        "environment": environment(args),
    }
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def changed_from_defaults(settings: "DataclassInstance") -> dict[str, list[Any]]:
    """
    The fields of a dataclass that are not at their default, as `[default, value]`.

    The defaults are read off the class: an instance to compare with would set up devices and DeepSpeed a second time.

    Args:
        settings (dataclass): An instance.

    Example:

    ```python
    >>> from serl_trl import SeRLConfig
    >>> changed_from_defaults(SeRLConfig(output_dir="out", use_cpu=True, bf16=False, seed=3))["seed"]
    [42, 3]

    ```
    """
    values, changed = plain(_values(settings)), {}
    for field in fields(settings):
        if _SECRET.search(field.name):
            continue
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        default = None if default is MISSING else plain(default)
        value = values.get(field.name)
        usual = [default, _FILLED_IN.get(field.name, default)]
        if field.name == "generation_batch_size" and hasattr(settings, "world_size"):
            usual.append(256 * settings.world_size)
        if field.name == "steps_per_generation" and default is None:
            continue  # generation_batch_size in other units
        if value not in usual and field.name not in _FOLLOWING:
            changed[field.name] = [default, value]
    return changed


def environment(args: "TrainingArguments") -> dict[str, Any]:
    """What a run runs on: versions, device, processes, threads."""
    device = str(args.device.type)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device if device != "cuda" else f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}",
        "processes": args.world_size,
        "torch threads": torch.get_num_threads(),
        "CPU cores": os.cpu_count(),
        "packages": {name: version for name in PACKAGES if (version := installed_version(name)) is not None},
    }


def public(value: object) -> Any:
    """
    JSON-able data without secrets and without the folders of absolute paths.

    Example:

    ```python
    >>> public({"hub_token": "hf_x", "seed_file": "/home/me/private/seeds.jsonl", "url": "http://me:pw@host/v1"})
    {'seed_file': '.../seeds.jsonl', 'url': 'http://...@host/v1'}

    ```
    """
    if isinstance(value, dict):
        return {key: public(item) for key, item in value.items() if not _SECRET.search(str(key))}
    if isinstance(value, list):
        return [public(item) for item in value]
    if isinstance(value, str):
        return _USER_IN_URL.sub("...@", _ABSOLUTE.sub(".../", value))
    return value


def _values(settings: "DataclassInstance") -> dict[str, Any]:
    return settings.to_dict() if hasattr(settings, "to_dict") else asdict(settings)


def _former(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
