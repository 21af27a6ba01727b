"""Directives: `settings-table`, the fields of a dataclass of arguments as a table; `command-help`, what a command says of itself."""

import dataclasses
import html
import os
import re
import subprocess
import sys
from importlib import import_module
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


_CODE = re.compile(r"(`[^`]+`)")
_MARK = re.compile(r"[\\`*_\[\]|{}#~$]")


def default_of(field: dataclasses.Field) -> str:
    """A field's default as a user would write it; empty where it must be given."""
    if field.default_factory is not dataclasses.MISSING:
        value: Any = field.default_factory()
    elif field.default is not dataclasses.MISSING:
        value = field.default
    else:
        return ""
    return (
        "`" + str(getattr(value, "value", value)).replace("|", "\\|") + "`" if value not in ("", [], ()) else "empty"
    )


def help_of(field: dataclasses.Field) -> str:
    """A field's help as text that Markdown leaves alone, with its choices where it has any."""
    told = " ".join(str(field.metadata.get("help", "")).replace("%%", "%").split())
    choices = field.metadata.get("choices")
    listed = f" Choices: {', '.join(map(str, choices))}." if choices else ""
    pieces = _CODE.split(told + listed)
    for i, piece in enumerate(pieces):
        pieces[i] = piece.replace("|", "\\|") if i % 2 else _MARK.sub(r"\\\g<0>", html.escape(piece, quote=False))
    return "".join(pieces)


def chosen_fields(kind: type, which: str) -> list[dataclasses.Field]:
    """`own`: what the class adds to its parents; `changed`: what it declares anew; `inherited`: the rest; `all`."""
    own = vars(kind).get("__annotations__", {})
    of_parents = {
        field.name for base in kind.__mro__[1:] if dataclasses.is_dataclass(base) for field in dataclasses.fields(base)
    }
    keep = {
        "own": lambda name: name in own and name not in of_parents,
        "changed": lambda name: name in own and name in of_parents,
        "inherited": lambda name: name not in own,
        "all": lambda name: True,
    }[which]
    return [field for field in dataclasses.fields(kind) if field.init and keep(field.name)]


class SettingsTable(SphinxDirective):
    """`settings-table:: MODULE:CLASS` with the option `fields`: own, changed, inherited or all."""

    required_arguments = 1
    option_spec: ClassVar = {"fields": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """The table's nodes."""
        module, name = self.arguments[0].split(":")
        fields = chosen_fields(getattr(import_module(module), name), self.options.get("fields", "all"))
        if not fields:
            raise self.error(f"{self.arguments[0]} has no such fields.")
        lines = ["| setting | default | meaning |", "|---|---|---|"]
        lines += [f"| `{field.name}` | {default_of(field)} | {help_of(field)} |" for field in fields]
        parent = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), 0, parent)
        return parent.children


class CommandHelp(SphinxDirective):
    """`command-help:: NAME`: what `serl-trl NAME --help` prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The help as a literal block."""
        name = self.arguments[0]
        command = [sys.executable, "-m", "serl_trl.cli", name, "--help"]
        environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            raise self.error(f"serl-trl {name} --help ended with {done.returncode}: {done.stderr[-500:]}")
        return [nodes.literal_block(done.stdout, done.stdout, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directives."""
    app.add_directive("settings-table", SettingsTable)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
