"""Datasets that commands write: to a JSON Lines or Parquet file, all at once, and to the Hub."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime import written_whole


if TYPE_CHECKING:
    from datasets import Dataset

FORMATS = (".jsonl", ".parquet")


def check_writable(name: str, flag: str) -> None:
    """Raises a ValueError where a file that a flag names could not be written later; leaves nothing behind."""
    path = Path(name).absolute()
    folder = next(parent for parent in path.parents if parent.exists())  # the others are made when it is written
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{flag} {name} cannot be written ({error.strerror}); choose another place.") from None


def check_output_file(name: str) -> None:
    """Raises a ValueError where `--output_file` has another ending than those of `FORMATS`, exists, or has no place."""
    if Path(name).suffix not in FORMATS:
        raise ValueError(f"--output_file {name} must end in {' or '.join(FORMATS)}.")
    if Path(name).exists():
        raise ValueError(f"--output_file {name} exists; remove it, or choose another name.")
    check_writable(name, "--output_file")


def store(dataset: "Dataset", name: str) -> None:
    """Writes the rows to a file, in the format of its ending, all at once or not at all."""
    path = Path(name)
    with written_whole(path) as temporary:
        if path.suffix == ".parquet":
            dataset.to_parquet(temporary)
        else:
            dataset.to_json(temporary, force_ascii=False)


def push(dataset: "Dataset", repository: str, path: str) -> None:
    """Pushes the dataset; whatever goes wrong, the file is there."""
    try:
        dataset.push_to_hub(repository)
    except Exception as error:  # the Hub's client raises a dozen kinds
        raise ValueError(
            f"--push_to_hub {repository} failed ({type(error).__name__}: {(str(error).splitlines() or [''])[0]}). The "
            f"dataset is in {path}; log in with `hf auth login` and push it from there."
        ) from None
