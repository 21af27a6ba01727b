"""Files that users give, with a clear word on what is wrong with them, and files that are written whole or not at all."""

import importlib
import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def one_of(names: Sequence[str]) -> str:
    """Names as English prose: `'a', 'b' or 'c'`."""
    quoted = [repr(name) for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


class Rows(list[dict[str, Any]]):
    """
    The rows of a file, each with where it is from.

    Args:
        rows (`Sequence[dict[str, Any]]`): The rows.
        places (`Sequence[str]`, *optional*): Where each is from, such as `"line 7"`. Default: `"row 1"` and so on.

    Example:

    ```python
    >>> Rows([{"a": 1}, {"a": 2}, {"a": 3}]).chosen([2]).places
    ['row 3']

    ```
    """

    def __init__(self, rows: Sequence[dict[str, Any]], places: Sequence[str] | None = None) -> None:
        super().__init__(rows)
        self.places = [f"row {i}" for i in range(1, len(rows) + 1)] if places is None else list(places)

    def chosen(self, indices: Sequence[int]) -> "Rows":
        """Some of the rows."""
        return Rows([self[i] for i in indices], [self.places[i] for i in indices])


def read_rows(path: str | Path, fields: Sequence[str]) -> Rows:
    """
    The rows of a JSON Lines or Parquet file.

    Args:
        path (`str` or `Path`): The file; a name that ends in `.parquet` is read as Parquet.
        fields (`Sequence[str]`): The fields of which each row needs one; only for what an error says.

    Raises:
        ValueError: If there is no such file, it is empty, or a line is not a JSON object.
    """
    wanted = f"give a JSON Lines file with a field {one_of(fields)}"
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder; {wanted}.")
    if not Path(path).is_file():
        raise ValueError(f"There is no file {path}; {wanted}.")
    if Path(path).suffix == ".parquet":
        import pyarrow.parquet

        try:
            rows = Rows(pyarrow.parquet.read_table(path).to_pylist())
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{path} is no Parquet file ({str(error).splitlines()[0]}); {wanted}.") from None
    else:
        rows = _json_lines(Path(path), wanted)
    if not rows:
        raise ValueError(f"{path} is empty; {wanted}.")
    return rows


def _json_lines(path: Path, wanted: str) -> Rows:
    rows, places = [], []
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows puts a mark of its byte order first
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: a JSON string may hold U+2028
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError, too
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise ValueError(
                    f"{path}, line {number}, is not JSON: {reason}; {wanted}, an object a line."
                ) from None
            if not isinstance(row, dict):
                kind = type(row).__name__
                raise ValueError(
                    f"{path}, line {number}, holds a {kind} and no JSON object; {wanted}, an object a line."
                )
            rows.append(row)
            places.append(f"line {number}")
    return Rows(rows, places)


def column_of(rows: Sequence[Any], fields: Sequence[str], origin: str) -> list[Any]:
    """
    The values of the first of `fields` that every row has.

    Raises:
        ValueError: If no field is in every row, with the fields that there are, and the first row that lacks it.

    Example:

    ```python
    >>> column_of([{"question": "1+1?"}], ["prompt", "question"], "seeds.jsonl")
    ['1+1?']

    ```
    """
    name = field_of(rows, fields, origin)
    return [row[name] for row in rows]


def field_of(rows: Sequence[Any], fields: Sequence[str], origin: str) -> str:
    """The first of `fields` that every row has; raises as [`column_of`] does."""
    for name in fields:
        if all(isinstance(row, dict) and row.get(name) for row in rows):
            return name
    found = sorted({key for row in rows if isinstance(row, dict) for key in row})
    message = f"{origin} has the fields {found}; every row needs a field {one_of(fields)}"
    places = rows.places if isinstance(rows, Rows) else [f"row {i}" for i in range(1, len(rows) + 1)]
    for name in fields:
        if name in found:
            lacking = next(i for i, row in enumerate(rows) if not (isinstance(row, dict) and row.get(name)))
            has = f"has {name!r}: {rows[lacking][name]!r}" if name in rows[lacking] else f"has no {name!r}"
            raise ValueError(f"{message}, and {places[lacking]} {has}.")
    raise ValueError(f"{message}.")


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """
    A path to write to instead, whose file takes its place when the block is done: all at once, or after an error not at all.

    The path is new each time, so that files with one stem, or processes that write one file, do not meet in it. The last
    to finish has its file in place. A process that is killed within the block leaves a `.tmp` file behind.

    Args:
        path (`str` or `Path`): The file; its folder is made if there is none.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "folder", "one.txt")
    >>> with written_whole(path) as temporary:
    ...     _ = temporary.write_text("1", encoding="utf-8")
    >>> path.read_text(encoding="utf-8"), temporary.exists()
    ('1', False)

    ```
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")  # no seed of the run decides it
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def imported_object(name: str, flag: str) -> Any:
    """
    What a flag names by MODULE:NAME; modules of the working directory are found, too.

    Raises:
        ValueError: If it cannot be imported.

    Example:

    ```python
    >>> imported_object("serl_trl.instructions.filters:LengthFilter", "--filters").name
    'length'

    ```
    """
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{flag} {name} cannot be imported ({error}); give MODULE:NAME.") from None
    finally:
        sys.path.remove("")
