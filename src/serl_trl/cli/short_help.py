"""`--help` of the commands whose parsers need TRL's trainer: our arguments, without importing PyTorch.

Arguments of a command are read from its dataclass. Those of `SeRLConfig` and the descriptions of commands are in
modules that import PyTorch, so they are read from the source text. `--help_all` has the real parser list everything.
"""

import ast
import dataclasses
import shutil
import textwrap
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from .named_files import ACCELERATE_CONFIGS, CONFIGS, TEMPLATE_ENDING


PACKAGE = Path(__file__).parents[1]
MAX_COLUMNS = 119
GRPO_CONFIG = "https://huggingface.co/docs/trl/grpo_trainer#trl.GRPOConfig"


DEFAULTS_NOTE = "Defaults are in brackets. A configuration replaces them, and flags replace what it says."
DEFAULTS_NOTES = {"demo": "Defaults are in brackets: those of the configuration tiny_cpu, which the demo uses."}


class Argument(NamedTuple):
    """A flag without its dashes, its default as text, and what it does."""

    name: str
    default: str
    help: str


class Page(NamedTuple):
    """Where a command's help comes from: modules of this room with a dataclass each, and classes that are only read."""

    module: str
    dataclasses: tuple[tuple[str, str], ...]
    read: tuple[tuple[str, str], ...] = ()
    is_training: bool = True  # has the arguments of GRPOConfig and ModelConfig, too


SERL_CONFIG = ("trainer/serl_config.py", "SeRLConfig")
TRAINING = (("train_arguments", "SeRLScriptArguments"), ("plan_arguments", "PlanArguments"))
PAGES = {
    "demo": Page("demo", TRAINING[:1], (SERL_CONFIG,)),
    "train": Page("train", TRAINING, (SERL_CONFIG,)),
    "plan": Page("plan", TRAINING[::-1], (SERL_CONFIG,)),
    "write": Page(
        "write_instructions",
        (("write_arguments", "GenerationArguments"),),
        (("cli/write_instructions.py", "GenerationConfig"), SERL_CONFIG),
    ),
    "evaluate": Page("evaluate", (("evaluate_arguments", "EvaluationArguments"),), is_training=False),
}


def short_help(command: str) -> str:
    """The help of a command of `PAGES`."""
    page = PAGES[command]
    lines = [f"usage: serl-trl {command} [--FLAG VALUE ...]", "", _description(page.module).rstrip(), ""]
    lines += ["Files and help", *_listed(_file_arguments(command)), ""]
    if page.is_training:
        lines += [*_wrapped(DEFAULTS_NOTES.get(command, DEFAULTS_NOTE), 0), ""]
    changed = _settings_of(CONFIGS / "tiny_cpu.yaml") if command == "demo" else {}
    names: set[str] = set()
    for module, name in page.dataclasses:
        kind = getattr(import_module(f".{module}", __package__), name)
        arguments = class_arguments(kind)
        lines += [_first_line(kind.__doc__), *_listed(_with_defaults(arguments, changed)), ""]
    for file, name in page.read:
        # a class may repeat an argument of the one below it, which then does not count
        arguments = [argument for argument in source_arguments(PACKAGE / file, name) if argument.name not in names]
        names |= {argument.name for argument in arguments}
        lines += [f"Settings of {name}", *_listed(_with_defaults(arguments, changed)), ""]
    if page.is_training:
        from trl import ModelConfig  # without PyTorch

        flags = ", ".join(f"--{field.name}" for field in dataclasses.fields(ModelConfig))
        lines += ["The model and its adapter (trl.ModelConfig)", *_wrapped(flags, 2), ""]
        lines += _wrapped(
            "All arguments of trl.GRPOConfig, and those of transformers.TrainingArguments under it, are flags as well; "
            f"--help_all lists them, and {GRPO_CONFIG} explains them.",
            0,
        )
    return "\n".join(lines).rstrip()


def _settings_of(config: Path) -> dict[str, Any]:
    import yaml

    return dict(yaml.safe_load(config.read_text(encoding="utf-8")))


def _with_defaults(arguments: Iterable[Argument], changed: dict[str, Any]) -> list[Argument]:
    """The arguments, with the values of a configuration where it has one."""
    return [
        argument._replace(default=_shown(changed[argument.name])) if argument.name in changed else argument
        for argument in arguments
    ]


def class_arguments(kind: type) -> list[Argument]:
    """The arguments of a dataclass."""
    arguments = []
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            default = _shown(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            default = _shown(field.default_factory())
        else:
            default = "needed"
        arguments.append(Argument(field.name, default, field.metadata.get("help", "")))
    return arguments


def source_arguments(path: Path, name: str) -> list[Argument]:
    """
    The arguments that a dataclass in a file adds or changes, read without importing it.

    Each must be written as `name: type = field(default=..., metadata={"help": "..."})`; a test compares with the class.

    Raises:
        ValueError: If the file has no such class.
    """
    nodes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    found = next((node for node in nodes if node.name == name), None)
    if found is None:
        raise ValueError(f"{path.name} has no class {name}; `PAGES` of {Path(__file__).name} names one that is gone.")
    return [
        _source_argument(node.target.id, node.value)
        for node in found.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Call)
    ]


def _source_argument(name: str, call: ast.Call) -> Argument:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    help_text, metadata = "", given.get("metadata")
    if isinstance(metadata, ast.Dict):
        pairs = zip(metadata.keys, metadata.values, strict=True)
        help_text = next(
            (ast.literal_eval(value) for key, value in pairs if isinstance(key, ast.Constant) and key.value == "help"),
            "",
        )
    if "default" in given:
        return Argument(name, _shown(ast.literal_eval(given["default"])), help_text)
    return Argument(name, "a list", help_text)


def _file_arguments(command: str) -> list[Argument]:
    def names(folder: Path) -> str:
        return ", ".join(
            path.stem for path in sorted(folder.glob("*.yaml")) if not path.stem.endswith(TEMPLATE_ENDING)
        )

    config = Argument("config", "", f"Settings: a YAML file, or a name: {names(CONFIGS)}.")
    launch = Argument(
        "accelerate_config",
        "",
        f"Several processes: a configuration of accelerate, a file, or a name: {names(ACCELERATE_CONFIGS)}.",
    )
    everything = Argument("help_all", "", "All flags, with those of TRL and Transformers; it takes some seconds.")
    return [argument for argument in (config, launch, everything) if (command, argument.name) != ("demo", "config")]


def _description(module: str) -> str:
    """The docstring of a command, which may be in a module that imports PyTorch."""
    tree = ast.parse((PACKAGE / "cli" / f"{module}.py").read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or ""


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0].rstrip(".")


def _shown(value: object) -> str:
    if value is None or value in ("", []):
        return ""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _listed(arguments: Iterable[Argument]) -> list[str]:
    lines = []
    for argument in arguments:
        head = f"  --{argument.name}"
        lines.append(f"{head}  [{argument.default}]" if argument.default else head)
        lines += _wrapped(argument.help, 8)
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    columns = min(shutil.get_terminal_size((MAX_COLUMNS, 24)).columns, MAX_COLUMNS)
    space = " " * indent
    return textwrap.wrap(text, columns, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
