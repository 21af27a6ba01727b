"""`Records`: the completions of an evaluation in a file that grows, so that one that was killed goes on where it was."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from ..runtime import run_on_all_ranks
from ..types import Prompt


FiledRows: TypeAlias = dict[tuple[str, int], dict[str, Any]]  # what is filed of completions, by mode and problem

# What files of earlier versions hold beside, and what completions no longer depend on: their batches had random numbers.
_NO_LONGER = ("batch_size",)


class Records:
    """
    Rows of completions by mode and problem, in memory and, if there is a path, in a JSON Lines file.

    The file's first line holds the settings and a fingerprint of the problems. The first process reads and writes it; a last
    line without an end, such as a kill may leave, is dropped.

    Args:
        path (`Path`, *optional*): The file; its folder is made if needed.
        settings (`dict[str, Any]`): What the completions depend on.
        prompts, answers (`Sequence`): The problems.
        state ([`~accelerate.PartialState`]): The processes.

    Raises:
        ValueError: On every process, if the file is of other settings or problems.
    """

    def __init__(
        self,
        path: Path | None,
        settings: dict[str, Any],
        prompts: Sequence[Prompt],
        answers: Sequence[str],
        state: PartialState,
    ) -> None:
        problems = json.dumps([list(prompts), list(answers)], ensure_ascii=False).encode()
        self._head = settings | {"num_problems": len(prompts), "problems": hashlib.sha256(problems).hexdigest()[:16]}
        self._path = path if state.is_main_process else None
        self.rows: FiledRows = {}
        found = [run_on_all_ranks(self._open)]
        self._keep(broadcast_object_list(found)[0])

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Takes rows, the same on every process, and files them."""
        self._keep(rows)
        run_on_all_ranks(lambda: self._append(rows))

    def add_missing(self, rows: Iterable[dict[str, Any]]) -> None:
        """Takes those rows that are not there, the same on every process, and files them."""
        missing = [row for row in rows if (row["mode"], row["index"]) not in self.rows]
        if missing:
            self.add(missing)

    def _keep(self, rows: Iterable[dict[str, Any]]) -> None:
        self.rows |= {(row["mode"], row["index"]): row for row in rows}

    def _append(self, rows: Sequence[dict[str, Any]]) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def _open(self) -> list[dict[str, Any]]:
        """The rows that the file holds already; begins it if there is none."""
        if self._path is None:
            return []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))
        if not whole:
            self._path.write_text(json.dumps(self._head, ensure_ascii=False) + "\n", encoding="utf-8")
            return []
        head, *rows = (json.loads(line) for line in whole.decode().split("\n")[:-1])
        names = sorted({*head, *self._head} - {*_NO_LONGER})
        other = [
            f"{name} {head.get(name)}, not {self._head.get(name)}"
            for name in names
            if head.get(name) != self._head.get(name)
        ]
        if other:
            raise ValueError(
                f"{self._path} is of an evaluation with {'; '.join(other)}. Give another folder, or remove the file."
            )
        return rows
