"""Checkpoints that are there whole or not at all: written aside, listed, marked as complete, then renamed."""

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, sort_checkpoints


MARKER = "complete.json"  # written last; lists every other file with its size
SAVING = "_saving"  # where a checkpoint is while it is written; the underscore keeps it out of pushes to the Hub
STATE = "serl_state"  # the part of a checkpoint that Transformers does not know


def staged(run_dir: str | Path, step: int) -> Path:
    """Where the checkpoint of a step is written before it is published."""
    return Path(run_dir) / SAVING / f"{PREFIX_CHECKPOINT_DIR}-{step}"


def publish(folder: Path) -> Path:
    """
    Marks a staged checkpoint as complete and moves it to its place, where it replaces one of the same step.

    Everything is on the disk before the marker is, and the marker before the move: whenever the process dies, there is a
    complete checkpoint in one of the two places ([`recover`] looks into both), or the one before.

    Args:
        folder (`Path`): A folder that [`staged`] named, with all of its files.

    Returns:
        `Path`: Where the checkpoint is now.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MARKER]
    for path in files:
        _flush(path)
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    temporary = folder / f"{MARKER}.tmp"
    temporary.write_text(json.dumps({"files": sizes}, indent=1), encoding="utf-8")
    _flush(temporary)
    temporary.replace(folder / MARKER)
    return _move(folder)


def recover(run_dir: str | Path) -> None:
    """Finishes or removes what a process that died while saving has left behind."""
    for folder in sorted(Path(run_dir).glob(f"{SAVING}/{PREFIX_CHECKPOINT_DIR}-*")):
        if defect(folder) is None:
            _move(folder)
    shutil.rmtree(Path(run_dir) / SAVING, ignore_errors=True)


def discard(folder: Path) -> None:
    """Removes a staged checkpoint that could not be written, so that it takes no room."""
    shutil.rmtree(folder, ignore_errors=True)


def defect(folder: str | Path) -> str | None:
    """
    What is wrong with a checkpoint, in words that complete "it ..."; `None` if it is complete.

    Args:
        folder (`str` or `Path`): The checkpoint.

    Example:

    ```python
    >>> defect("no/such/checkpoint-3")
    'does not exist'

    ```
    """
    folder = Path(folder)
    if not folder.is_dir():
        return "does not exist"
    if not (folder / MARKER).is_file():
        return f"has no {MARKER}: it was not written to the end, or not by this trainer"
    try:
        sizes = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError):
        return f"has a {MARKER} that cannot be read"
    for name, size in sizes.items():
        if not (folder / name).is_file():
            return f"lacks its file {name}"
        if (actual := (folder / name).stat().st_size) != size:
            return f"has {actual} of the {size} bytes of its file {name}"
    return None


def complete_checkpoints(run_dir: str | Path) -> list[Path]:
    """The complete checkpoints of a run, from the earliest step to the last."""
    pattern = re.compile(rf"{PREFIX_CHECKPOINT_DIR}-(\d+)")
    found = [
        (int(match[1]), path)
        for path in Path(run_dir).glob("*")
        if (match := pattern.fullmatch(path.name)) is not None
    ]
    return [path for _, path in sorted(found) if defect(path) is None]


def rotate(run_dir: str | Path, limit: int | None, protected: Iterable[str | Path]) -> None:
    """
    Removes the oldest checkpoints of a run until there are as many as are wanted.

    Transformers' own rotation spares the newest and the best, and nothing else.

    Args:
        run_dir (`str` or `Path`): The run's `output_dir`.
        limit (`int`, *optional*): How many may stay, those that are protected among them; `None` or 0 for all.
        protected (`Iterable[str | Path]`): Checkpoints that stay, even if they are more than that.
    """
    if limit is None or limit <= 0:
        return
    found = [Path(path) for path in sort_checkpoints(str(run_dir), use_mtime=True)]
    spared = {Path(path).resolve() for path in protected}
    others = [path for path in found if path.resolve() not in spared]
    num_excess = min(len(found) - limit, len(others))
    for path in others[: max(num_excess, 0)]:
        shutil.rmtree(path, ignore_errors=True)


def checkpoint_to_resume(run_dir: str | Path, choice: str | Path | bool) -> Path:
    """
    The checkpoint that `resume_from_checkpoint` means, known to be complete.

    Args:
        run_dir (`str` or `Path`): The run's `output_dir`.
        choice (`str`, `Path` or `True`): A checkpoint, or `True` for the last complete one of the run.

    Raises:
        ValueError: If there is none, or the one that is named is not complete.
    """
    complete = complete_checkpoints(run_dir)
    if not isinstance(choice, bool):
        if (wrong := defect(choice)) is None:
            return Path(choice)
        hint = f"the last complete one is {complete[-1]}" if complete else f"{run_dir} has no complete one either"
        raise ValueError(f"The checkpoint {choice} cannot be resumed from, for it {wrong}; {hint}.")
    if complete:
        return complete[-1]
    broken = [
        f"{path.name} {defect(path)}"
        for path in sorted(Path(run_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*"))
        if path.is_dir()
    ]
    raise ValueError(
        f"{run_dir} has no complete checkpoint to resume from"
        + (f" ({'; '.join(broken)})" if broken else "")
        + ". Start the run without resume_from_checkpoint."
    )


def write_state(folder: Path, name: str, state: dict[str, Any]) -> None:
    """
    Writes a state dict of JSON-able data: lists of dicts as JSON Lines, a file each, and the rest as one JSON file.

    Args:
        folder (`Path`): Where to.
        name (`str`): What the names of its files begin with.
        state (`dict`): Numbers (of PyTorch and NumPy, too), strings, lists and dicts with string keys.

    Raises:
        TypeError: For what JSON cannot hold, with its place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rest = {}
    for key, value in state.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            lines = [_json(row, f"{name}.{key}") + "\n" for row in value]
            (folder / f"{name}.{key}.jsonl").write_text("".join(lines), encoding="utf-8")
        else:
            rest[key] = value
    (folder / f"{name}.json").write_text(_json(rest, name), encoding="utf-8")


def has_state(folder: Path, name: str) -> bool:
    """Whether a state of this name was written."""
    return (folder / f"{name}.json").is_file()


def read_state(folder: Path, name: str) -> dict[str, Any]:
    """
    What [`write_state`] wrote, with lists for tuples.

    Raises:
        ValueError: If a file cannot be read, with its name.
    """
    path = folder / f"{name}.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(f"{name}.*.jsonl")):
            with path.open(encoding="utf-8", newline="\n") as file:
                state[path.name.removeprefix(f"{name}.").removesuffix(".jsonl")] = [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} of the checkpoint cannot be read ({error}); resume from another one.") from None
    return state


def write_tensors(folder: Path, name: str, tensors: dict[str, torch.Tensor]) -> None:
    """Writes tensors to a safetensors file; they may share memory."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()},
        folder / f"{name}.safetensors",
    )


def read_tensors(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """
    What [`write_tensors`] wrote, on the CPU.

    Raises:
        ValueError: If the file cannot be read, with its name.
    """
    path = folder / f"{name}.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} of the checkpoint cannot be read ({error}); resume from another one.") from None


def _move(folder: Path) -> Path:
    """Moves a complete checkpoint from where it was staged; what stood in its place goes once it is there."""
    target = folder.parents[1] / folder.name
    former = folder.with_name(f"former-{folder.name}")
    shutil.rmtree(former, ignore_errors=True)
    if target.exists():
        target.rename(former)
    folder.rename(target)
    _flush(target.parent)
    shutil.rmtree(folder.parent, ignore_errors=True)
    return target


def _flush(path: Path) -> None:
    """Has the operating system write a file, or a folder's list of files, to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _json(value: object, place: str) -> str:
    def convert(other: object) -> object:
        if hasattr(other, "tolist"):  # a tensor, a NumPy number
            return other.tolist()
        raise TypeError(f"{place} holds a {type(other).__name__}, which a checkpoint cannot: {other!r}.")

    return json.dumps(value, default=convert)
