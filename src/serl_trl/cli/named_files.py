"""Files that come with serl_trl, by name (`--config tiny_cpu`), and the names of built-in models."""

import json
from pathlib import Path


FOLDER = Path(__file__).parent
CONFIGS = FOLDER / "configs"
ACCELERATE_CONFIGS = FOLDER / "accelerate_configs"
TEMPLATE_ENDING = "_prompt"  # of prompt templates, which lie beside the configurations
PACKAGED_MODELS = FOLDER / "packaged_models.json"
MODEL_ALIASES = ("tiny", *json.loads(PACKAGED_MODELS.read_text(encoding="utf-8")))


def named_file(given: str, flag: str, folder: Path, what: str, *, is_template: bool = False) -> str:
    """
    The path of a file that is given by its path, or by its name among those that come with serl_trl.

    Args:
        given (`str`): What the user gave. A file of this name comes first.
        flag (`str`): The flag that it was given with.
        folder (`Path`): Where the named files are.
        what (`str`): What such a file is called in an error.
        is_template (`bool`, *optional*, defaults to `False`): Whether prompt templates are looked for, or all others.

    Raises:
        ValueError: If there is neither a file nor a name, with the names that there are.

    Example:

    ```python
    >>> Path(named_file("cpu", "--accelerate_config", ACCELERATE_CONFIGS, "configuration of accelerate")).name
    'cpu.yaml'

    ```
    """
    if Path(given).is_file():
        return given
    names = [path.stem for path in sorted(folder.glob("*.yaml")) if path.stem.endswith(TEMPLATE_ENDING) == is_template]
    if given in names:
        return str(folder / f"{given}.yaml")
    missing = "prompt template" if is_template else "file"
    raise ValueError(
        f"There is no {missing} {given}; {flag} takes the path of a {what}, or a name: {', '.join(names)}."
    )


def config_file(given: str) -> str:
    """The path of a configuration of ours: a file, or a name; raises as [`named_file`] does."""
    return named_file(given, "--config", CONFIGS, "configuration")


def accelerate_config_file(given: str, flag: str = "--accelerate_config") -> str:
    """The path of a configuration of accelerate: a file, or a name; raises as [`named_file`] does."""
    return named_file(given, flag, ACCELERATE_CONFIGS, "configuration of accelerate")


def template_file(given: str) -> str:
    """The path of a prompt template: a file, or a name; raises as [`named_file`] does."""
    return named_file(
        given, "--prompt_template", CONFIGS, "prompt template, a YAML file with a key 'user'", is_template=True
    )


def taken(flag: str, flags: list[str]) -> tuple[str | None, list[str]]:
    """
    The value of a flag, `None` if it is not there, and the other flags. Given twice, the last counts.

    Raises:
        ValueError: If it has no value.

    Example:

    ```python
    >>> taken("--config", ["--seed", "1", "--config=tiny_cpu"])
    ('tiny_cpu', ['--seed', '1'])

    ```
    """
    value, others, rest = None, [], iter(flags)
    for given in rest:
        name, equals, after = given.partition("=")
        if name != flag:
            others.append(given)
            continue
        value = after if equals else next(rest, "")
        if not value or value.startswith("--"):
            raise ValueError(f"{flag} has no value; write {flag} NAME or {flag} FILE.")
    return value, others


def with_config_file(flags: list[str], default: str | None = None) -> list[str]:
    """
    The flags with the path of the configuration in place of its name.

    Args:
        flags (`list[str]`): As the user gave them.
        default (`str`, *optional*): The configuration where neither `--config` nor `--model_name_or_path` is given.

    Raises:
        ValueError: If there is no such configuration.
    """
    given, others = taken("--config", flags)
    has_model = any(flag.partition("=")[0].replace("-", "_") == "__model_name_or_path" for flag in others)
    config = given or (None if has_model else default)
    return others if config is None else ["--config", config_file(config), *others]


def check_one_source(seed_file: str | None, dataset_name: str | None) -> None:
    """Raises a ValueError where the seeds are given twice."""
    if seed_file and dataset_name:
        raise ValueError(f"Both --seed_file {seed_file} and --dataset_name {dataset_name} are given; choose one.")
