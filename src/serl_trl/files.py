"""Files that users give, with a clear word on what is wrong with them, and files that are written whole or not at all."""

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def one_of(names: Sequence[str]) -> str:
    """Names as English prose: `'a', 'b' or 'c'`."""
    quoted = [repr(name) for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def read_rows(path: str | Path, fields: Sequence[str]) -> list[dict[str, Any]]:
    """
    The rows of a JSON Lines or Parquet file.

    Args:
        path (`str` or `Path`): The file; a name that ends in `.parquet` is read as Parquet.
        fields (`Sequence[str]`): The fields of which each row needs one; only for what an error says.

    Raises:
        ValueError: If there is no such file, it is empty, or a line is not a JSON object.
    """
    wanted = f"give a JSON Lines file with a field {one_of(fields)}"
    if not Path(path).is_file():
        raise ValueError(f"There is no file {path}; {wanted}.")
    if Path(path).suffix == ".parquet":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
    else:
        rows = _json_lines(Path(path))
    if not rows:
        raise ValueError(f"{path} is empty; {wanted}.")
    return rows


def _json_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: a JSON string may hold U+2028
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}, is not JSON: {error.msg}.") from None
    return rows


def column_of(rows: Sequence[Any], fields: Sequence[str], origin: str) -> list[Any]:
    """
    The values of the first of `fields` that every row has.

    Raises:
        ValueError: If no field is in every row, with the fields that there are.

    Example:

    ```python
    >>> column_of([{"question": "1+1?"}], ["prompt", "question"], "seeds.jsonl")
    ['1+1?']

    ```
    """
    for name in fields:
        if all(isinstance(row, dict) and row.get(name) for row in rows):
            return [row[name] for row in rows]
    found = sorted({key for row in rows if isinstance(row, dict) for key in row})
    raise ValueError(f"{origin} has the fields {found}; every row needs a field {one_of(fields)}.")


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """
    A path to write to instead, whose file takes its place when the block is done: all at once, or after an error not at all.

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
    temporary = path.with_suffix(".tmp")
    yield temporary
    temporary.replace(path)


def imported_object(name: str, flag: str) -> Any:
    """
    What a flag names by MODULE:NAME; modules of the working directory are found, too.

    Raises:
        ValueError: If it cannot be imported.

    Example:

    ```python
    >>> imported_object("serl_trl.filters:LengthFilter", "--filters").name
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
