"""`RunFolder`: what a run left behind, read so that whatever is missing or torn is said instead of raised."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, TypeVar

import pyarrow.parquet

from ..voting import is_in_band
from .run_record import RECORD_FILE


Item = TypeVar("Item")

# A file system's clock may be behind that of the machine that wrote run.json.
_CLOCK_SLACK_S = 2.0

_ITERATION = re.compile(r"iteration_(\d+)\.jsonl")
_COMPLETIONS = re.compile(r"completions_(\d+)\.parquet")


class Point(NamedTuple):
    """A value that was logged."""

    step: int
    value: float


@dataclass
class Iteration:
    """
    What was written in an iteration, counted.

    Args:
        number (`int`): From 1.
        num_written, num_kept (`int`): Instructions, and those that passed every filter.
        rejected (`Counter[tuple[str, str]]`): How many each filter rejected, by filter and reason.
        shares (`list[float]`): Vote shares of those kept that were voted on.
    """

    number: int
    num_written: int = 0
    num_kept: int = 0
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    shares: list[float] = field(default_factory=list)

    def rejected_by(self) -> dict[str, int]:
        """How many each filter rejected."""
        counts: Counter[str] = Counter()
        for (name, _), count in self.rejected.items():
            counts[name] += count
        return dict(counts)

    def num_in_band(self, low: float, high: float) -> int:
        """How many of those voted on have a share in the band."""
        return sum(is_in_band(share, low, high) for share in self.shares)


class RunFolder:
    """
    A run folder. Its files are read when they are asked for; each may be missing, or end in the middle of a line.

    Files older than the run, which an earlier one has left in the same folder, are passed over.

    Args:
        path (`str` or `Path`): The folder.

    Raises:
        ValueError: If it is no run folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.torn: Counter[str] = Counter()  # lines that could not be read, by file
        known = (RECORD_FILE, "metrics.jsonl", "evaluation.json", "instructions")
        if not self.path.is_dir():
            raise ValueError(f"There is no folder {self.path}; give the --output_dir of a run.")
        if not any((self.path / name).exists() for name in known):
            raise ValueError(
                f"{self.path} is no run folder: it has none of {', '.join(known)}. Give the --output_dir of a run."
            )

    @cached_property
    def record(self) -> dict[str, Any]:
        """`run.json`; empty if there is none."""
        return self._json(RECORD_FILE)

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """`evaluation.json`; empty if there is none."""
        return self._json("evaluation.json") if self._is_of_this_run(self.path / "evaluation.json") else {}

    @cached_property
    def collapse(self) -> dict[str, Any]:
        """`collapse.json`, the alarms of a [`CollapseGuard`]; empty if there is none."""
        return self._json("collapse.json") if self._is_of_this_run(self.path / "collapse.json") else {}

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`, by step."""
        path = self.path / "metrics.jsonl"
        rows = self._lines(path) if self._is_of_this_run(path) else ()
        return [row for row in rows if isinstance(row.get("step"), int)]

    def setting(self, name: str, group: str = "training") -> Any:
        """A setting of the run; `None` if it is not known."""
        settings = self.record.get("settings")
        values = settings.get(group) if isinstance(settings, dict) else None
        return values.get(name) if isinstance(values, dict) else None

    def points(self, key: str) -> list[Point]:
        """What was logged under a key, without gaps and numbers that are not finite."""
        return [Point(row["step"], float(row[key])) for row in self.metrics if is_number(row.get(key))]

    @cached_property
    def steps_per_iteration(self) -> float | None:
        """Optimiser steps of an iteration; `None` if it is not known."""
        known = [row for row in self.metrics if row["step"] > 0 and is_number(row.get("epoch")) and row["epoch"] > 0]
        return known[-1]["step"] / known[-1]["epoch"] if known else None

    def iteration_of(self, step: int) -> int:
        """The iteration, from 1, that a step belongs to; 1 if it is not known."""
        size = self.steps_per_iteration
        return max(1, math.ceil(step / size - 1e-3)) if size else 1

    @property
    def last_step(self) -> int:
        """The last step that was logged."""
        return max((row["step"] for row in self.metrics), default=0)

    @property
    def is_finished(self) -> bool:
        """Whether training came to its end."""
        return any(is_number(row.get("train_runtime")) for row in self.metrics)

    # Instructions --------------------------------------------------------------------------------------------------

    @cached_property
    def instruction_files(self) -> dict[int, Path]:
        """The files of what was written, by iteration."""
        return self._numbered("instructions", _ITERATION)

    def instructions(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every instruction with its iteration, in the order of writing; one at a time, for there may be many."""
        for number, path in self.instruction_files.items():
            for row in self._lines(path):
                if isinstance(row.get("text"), str):
                    yield number, row

    @cached_property
    def iterations(self) -> list[Iteration]:
        """What was written, counted by iteration."""
        found = {number: Iteration(number) for number in self.instruction_files}
        for number, row in self.instructions():
            counted = found[number]
            counted.num_written += 1
            rejection = rejection_of(row)
            if rejection is not None:
                counted.rejected[rejection] += 1
                continue
            counted.num_kept += 1
            if is_number(row.get("vote_share")):
                counted.shares.append(row["vote_share"])
        return list(found.values())

    @property
    def band(self) -> tuple[float, float] | None:
        """The vote shares that are trained on; `None` if they are not known."""
        low, high = self.setting("min_vote_share"), self.setting("max_vote_share")
        return (low, high) if is_number(low) and is_number(high) else None

    # Completions ---------------------------------------------------------------------------------------------------

    def held_out(self, when: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Settings and rows of the completions on held-out problems, `"before"` or `"after"`; empty without such a file."""
        path = self.path / f"held_out_{when}.jsonl"
        head: dict[str, Any] = {}
        rows: list[dict[str, Any]] = []
        for row in self._lines(path) if self._is_of_this_run(path) else ():
            if "completions" in row:
                rows.append(row)
            elif not rows:
                head = row
        return head, rows

    @cached_property
    def completion_files(self) -> dict[int, Path]:
        """The tables of completions that TRL wrote, by step."""
        return self._numbered("completions", _COMPLETIONS)

    def logged_completions(self, step: int) -> list[dict[str, Any]]:
        """The rows of TRL's table of a step; empty if it cannot be read."""
        try:
            return pyarrow.parquet.read_table(self.completion_files[step]).to_pylist()
        except (OSError, ValueError):  # pyarrow's own errors are ValueErrors
            self.torn[self.completion_files[step].name] += 1
            return []

    # Files ---------------------------------------------------------------------------------------------------------

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.is_file():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            self.torn[name] = 1
            return {}
        return found

    def _lines(self, path: Path) -> Iterator[dict[str, Any]]:
        """The rows of a JSON Lines file; what is no row is counted and passed over."""
        if not path.is_file():
            return
        torn = 0
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:  # a text may hold other line ends
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if isinstance(row, dict):
                    yield row
                else:
                    torn += 1
        if torn:
            self.torn[path.name] = torn

    def _numbered(self, folder: str, pattern: re.Pattern[str]) -> dict[int, Path]:
        found: dict[int, Path] = {}
        for path in (self.path / folder).glob("*"):
            if (match := pattern.fullmatch(path.name)) and self._is_of_this_run(path):
                found[int(match[1])] = path
        return dict(sorted(found.items()))

    def _is_of_this_run(self, path: Path) -> bool:
        try:
            started = datetime.fromisoformat(self.record["started"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return path.exists()
        return path.exists() and path.stat().st_mtime >= started - _CLOCK_SLACK_S


def rejection_of(row: dict[str, Any]) -> tuple[str, str] | None:
    """The filter that rejected an instruction, and its reason; `None` if it was kept."""
    verdicts = row.get("verdicts")
    for name, verdict in verdicts.items() if isinstance(verdicts, dict) else ():
        if isinstance(verdict, dict) and not verdict.get("kept", True):
            return str(name), str(verdict.get("reason") or "no reason given")
    return None


def evenly(items: Sequence[Item], number: int) -> list[Item]:
    """
    At most `number` of a sequence, spread evenly, with the first and the last.

    Example:

    ```python
    >>> evenly(range(10), 4), evenly([1, 2], 4)
    ([0, 3, 6, 9], [1, 2])

    ```
    """
    if len(items) <= number:
        return list(items)
    if number == 1:
        return [items[0]]
    return [items[round(i * (len(items) - 1) / (number - 1))] for i in range(number)]


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
