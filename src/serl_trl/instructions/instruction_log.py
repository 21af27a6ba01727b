"""What the policy wrote, with everything that is known about it: one by one, as files, and as a dataset."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

from ..runtime import written_whole
from ..types import Prompt, Verdict
from ..voting import Vote


_BATCH_ROWS = 10_000


@dataclass(slots=True)
class Instruction:
    """One instruction the policy wrote, kept or not.

    Args:
        text (`str`): The instruction, as written but for white space.
        source (`str`): `"generated"`.
        parents (`list[str]`): The instructions that were shown to the policy.
        verdicts (`dict[str, Verdict]`): What each filter said, up to the first that rejected it.
        vote_share (`float`, *optional*): Of the first rollout; `None` before that.
        vote_answer (`str`, *optional*): The winning answer of the first rollout.
        seed_parent (`str`, *optional*): The seed it descends from: that of the parent it resembles most.
        vote_labels (`list[int | None]`, *optional*): Class of each completion's answer, `None` for no answer.
        vote_winner (`int`, *optional*): The winning class.
    """

    text: str
    source: str
    parents: list[str] = field(repr=False)
    verdicts: dict[str, Verdict]
    vote_share: float | None = None
    vote_answer: str | None = None
    seed_parent: str | None = None
    vote_labels: list[int | None] | None = None
    vote_winner: int | None = None

    @property
    def is_kept(self) -> bool:
        """Whether every filter let it pass."""
        return all(verdict.kept for verdict in self.verdicts.values())

    def record_vote(self, vote: Vote) -> None:
        """Notes how its completions voted."""
        self.vote_share, self.vote_answer = vote.share, vote.answer
        self.vote_labels, self.vote_winner = list(vote.labels), vote.winner


def write_instructions(path: str | Path, instructions: Sequence[Instruction]) -> None:
    """Writes instructions to a JSON Lines file, one a line: all at once or not at all."""
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for instruction in instructions:
            row = {"is_kept": instruction.is_kept, **asdict(instruction)}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_instructions(path: str | Path) -> list[Instruction]:
    """What [`write_instructions`] wrote."""
    instructions = []
    with Path(path).open(encoding="utf-8", newline="\n") as file:  # a text may hold other line ends
        for line in file:
            row = json.loads(line)
            del row["is_kept"]
            instructions.append(instruction_of(row))
    return instructions


def instruction_of(row: dict[str, Any]) -> Instruction:
    """The instruction that `asdict` took apart."""
    verdicts = {name: Verdict(**verdict) for name, verdict in row["verdicts"].items()}
    return Instruction(**{**row, "verdicts": verdicts})


class InstructionArchive:
    """
    Instructions of many iterations in columns, which take a fraction of the memory of as many [`Instruction`]s.

    Args:
        archive (`InstructionArchive`, *optional*): One to start from, which stays as it is.

    Example:

    ```python
    >>> archive = InstructionArchive()
    >>> archive.add(1, [Instruction("Add 2 and 3.", "generated", ["Add 1 and 1."], {"length": Verdict(True, None, 4)})])
    >>> archive.to_dataset(lambda text, seed_parent: text)[0]["length_value"]
    4.0

    ```
    """

    def __init__(self, archive: "InstructionArchive | None" = None) -> None:
        self._tables: list[pa.Table] = list(archive._tables) if archive is not None else []

    def __len__(self) -> int:
        return sum(map(len, self._tables))

    def add(self, iteration: int, instructions: Sequence[Instruction]) -> None:
        """Takes in the instructions of an iteration (from 1)."""
        for start in range(0, len(instructions), _BATCH_ROWS):
            self._tables.append(_table(iteration, instructions[start : start + _BATCH_ROWS]))

    def to_dataset(
        self, prompt_of: Callable[[str, str | None], Prompt | None], path: str | Path | None = None
    ) -> datasets.Dataset:
        """
        One row an instruction, in the order of writing.

        The columns are those of [`~serl_trl.instructions.dataset.SelfInstructDataset.to_dataset`].

        Args:
            prompt_of (`Callable[[str, str | None], Prompt | None]`): The prompt of an instruction, given its seed parent.
            path (`str` or `Path`, *optional*): A file to keep the rows in instead of memory.
        """
        if not self._tables:
            return datasets.Dataset.from_dict({name: [] for name in _COLUMNS})
        batches = self._batches(prompt_of)
        if path is None:
            return datasets.Dataset(pa.Table.from_batches(list(batches)))
        first = next(batches)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)
        return datasets.Dataset.from_file(str(path))

    def _batches(self, prompt_of: Callable[[str, str | None], Prompt | None]) -> Iterator[pa.RecordBatch]:
        """The rows with every filter's columns, one type each, and without dictionaries, which Datasets does not know."""
        types: dict[str, pa.DataType] = {}
        for table in self._tables:
            for column in table.schema:
                types[column.name] = column.type if types.get(column.name) != pa.string() else pa.string()
        prompt_type = None
        for table in self._tables:
            prompts = map(prompt_of, table["text"].to_pylist(), table["seed_parent"].to_pylist())
            columns = {"iteration": table["iteration"], "text": table["text"]}
            columns["prompt"] = pa.array(prompts, prompt_type)
            prompt_type = columns["prompt"].type
            for name, kind in types.items():
                column = table[name] if name in table.column_names else pa.nulls(len(table), kind)
                columns[name] = column.cast(_PLAIN.get(name, kind))
            yield pa.table(columns).combine_chunks().to_batches()[0]


_TEXTS = pa.dictionary(pa.int32(), pa.string())  # each text once a table
_COLUMNS = {
    "iteration": pa.int32(),
    "text": pa.string(),
    "source": _TEXTS,
    "seed_parent": _TEXTS,
    "parents": pa.list_(_TEXTS),
    "is_kept": pa.bool_(),
    "votes": pa.list_(pa.int32()),
    "winner": pa.int32(),
    "answer": pa.string(),
    "share": pa.float64(),
}
_PLAIN = {"source": pa.string(), "seed_parent": pa.string(), "parents": pa.list_(pa.string())}


def _table(iteration: int, instructions: Sequence[Instruction]) -> pa.Table:
    """Instructions in columns: those of `_COLUMNS`, then three for each filter."""
    rows = [
        (
            iteration,
            item.text,
            item.source,
            item.seed_parent,
            item.parents,
            item.is_kept,
            item.vote_labels,
            item.vote_winner,
            item.vote_answer,
            item.vote_share,
        )
        for item in instructions
    ]
    columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    arrays = {name: pa.array(column, _COLUMNS[name]) for name, column in columns.items()}
    for name in dict.fromkeys(name for item in instructions for name in item.verdicts):
        verdicts = [item.verdicts.get(name) for item in instructions]
        values = [verdict.value if verdict else None for verdict in verdicts]
        is_text = any(isinstance(value, str) for value in values)
        arrays[f"{name}_kept"] = pa.array([verdict and verdict.kept for verdict in verdicts], pa.bool_())
        arrays[f"{name}_reason"] = pa.array([verdict and verdict.reason for verdict in verdicts], pa.string())
        arrays[f"{name}_value"] = (
            pa.array([None if value is None else str(value) for value in values], pa.string())
            if is_text
            else pa.array([None if value is None else float(value) for value in values], pa.float64())
        )
    return pa.table(arrays)
