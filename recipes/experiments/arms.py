"""The runs of the studies: each is recipes/serl_math.py with some flags, done once, and found again by the hash of its settings."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import yaml

import serl_trl
from serl_trl.checkpoints import complete_checkpoints
from serl_trl.cli.train import DEFAULT_CONFIG
from serl_trl.reports import RunFolder
from serl_trl.runtime import written_whole


RECIPE = Path(__file__).parents[1] / "serl_math.py"
LABORATORY = DEFAULT_CONFIG
TAIL_CHARS = 1500  # of a failed run's output, in the error


class FailedArmError(RuntimeError):
    """A run that ended with an error, with the end of what it said."""


@dataclass(frozen=True)
class Arm:
    """
    A kind of run that is compared with others.

    Args:
        name (`str`): What tables and pictures call it; two studies may call the same run differently.
        flags (`Mapping[str, Any]` or `Callable[[int], Mapping[str, Any]]`, *optional*):
            Flags of recipes/serl_math.py, without dashes, over those of the configuration; or what gives them for a seed.
    """

    name: str
    flags: Mapping[str, Any] | Callable[[int], Mapping[str, Any]] = field(default_factory=dict)

    def flags_of(self, seed: int) -> dict[str, Any]:
        """The flags of a seed's run."""
        return {**(self.flags(seed) if callable(self.flags) else self.flags), "seed": seed}


@dataclass(frozen=True)
class Bench:
    """
    Where and on what arms run.

    Args:
        folder (`Path`): Holds a folder for each run, named by the hash of its settings.
        config (`Path`): Configuration of recipes/serl_math.py.
        flags (`Mapping[str, Any]`): Flags of all arms, below their own.
        num_jobs (`int`): Runs at a time.
    """

    folder: Path
    config: Path = LABORATORY
    flags: Mapping[str, Any] = field(default_factory=dict)
    num_jobs: int = 1

    def settings(self, arm: Arm, seed: int) -> dict[str, Any]:
        """All settings of a run; a file is known by its contents, wherever it is."""
        config = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        settings = {**config, **self.flags, **arm.flags_of(seed)}
        return {name: _content(value) for name, value in sorted(settings.items()) if name != "output_dir"}

    def folder_of(self, arm: Arm, seed: int) -> Path:
        """The folder of a run, whether it is done or not."""
        text = json.dumps({"version": serl_trl.__version__, **self.settings(arm, seed)}, sort_keys=True)
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:16]

    def run(self, arms: Sequence[Arm], seeds: Sequence[int]) -> dict[str, dict[int, RunFolder]]:
        """
        Runs what is not done yet, all arms of a seed before those of the next.

        A run that was stopped goes on from its last checkpoint.

        Returns:
            `dict[str, dict[int, RunFolder]]`: The run folders, by arm and seed.

        Raises:
            FailedArmError: As soon as a run fails; those that run meanwhile are finished first.
        """
        wanted = [(arm, seed) for seed in seeds for arm in arms]
        with ThreadPoolExecutor(self.num_jobs, initializer=_take_cores, initargs=(_shares(self.num_jobs),)) as pool:
            futures = [
                pool.submit(self._done, arm, seed, f"{i}/{len(wanted)}") for i, (arm, seed) in enumerate(wanted, 1)
            ]
            try:
                folders = [future.result() for future in futures]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        found: dict[str, dict[int, RunFolder]] = {arm.name: {} for arm in arms}
        for (arm, seed), folder in zip(wanted, folders, strict=True):
            found[arm.name][seed] = RunFolder(folder)
        return found

    def _done(self, arm: Arm, seed: int, place: str) -> Path:
        folder = self.folder_of(arm, seed)
        with _locked(folder):  # another study may want the same run at the same time
            if not (folder / "evaluation.json").is_file():
                print(f"[{place}] {arm.name}, seed {seed}: {folder.name}", flush=True)
                with written_whole(folder / "arm.json") as temporary:
                    temporary.write_text(json.dumps(self.settings(arm, seed), indent=1) + "\n")
                self._run(arm, seed, folder)
        return folder

    def _run(self, arm: Arm, seed: int, folder: Path) -> None:
        flags = {"config": self.config, **self.flags, **arm.flags_of(seed), "output_dir": folder}
        if complete_checkpoints(folder):
            flags["resume_from_checkpoint"] = True
        command = [sys.executable, str(RECIPE), *_command_line(flags)]
        with (folder / "output.txt").open("a", encoding="utf-8") as output:
            code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
        if code:
            text = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
            raise FailedArmError(f"{arm.name}, seed {seed}, ended with {code}: ...{text[-TAIL_CHARS:]}")


def _shares(num_jobs: int) -> "SimpleQueue[set[int]]":
    """The cores that each of several jobs may use: processes that share theirs slow each other down."""
    cores, shares = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        SimpleQueue[set[int]](),
    )
    for job in range(num_jobs):
        shares.put(set(cores[job::num_jobs]) or set(cores))
    return shares


def _take_cores(shares: "SimpleQueue[set[int]]") -> None:
    """Binds this thread, and what it starts, to one of the shares."""
    if cores := shares.get():
        os.sched_setaffinity(0, cores)


def _content(value: Any) -> str | list[Any]:
    """A value for a hash, as it is written on a command line: of a file its contents."""
    if isinstance(value, list | tuple):
        return [_content(one) for one in value]
    if isinstance(value, str | Path) and Path(value).is_file():
        return f"{Path(value).name} {hashlib.sha256(Path(value).read_bytes()).hexdigest()[:16]}"
    return _word(value)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _command_line(flags: Mapping[str, Any]) -> Iterator[str]:
    for name, value in flags.items():
        yield f"--{name}"
        values = value if isinstance(value, list | tuple) else [value]
        yield from map(_word, values)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder against other processes; a lock ends with its process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
