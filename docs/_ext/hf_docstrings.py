"""Docstrings in Hugging Face grammar (Markdown with `Args:` sections) become reStructuredText for autodoc and napoleon."""

import re
from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from sphinx.application import Sphinx


ROOMS = (
    "answers",
    "voting",
    "instructions",
    "prompts",
    "rollouts",
    "checkpoints",
    "trainer",
    "monitoring",
    "evaluation",
    "reports",
    "laboratory",
    "runtime",
)
_CODE = re.compile(r"(\[`~?[\w.]+`\]|`[^`]+`)")
_REFERENCE = re.compile(r"\[`~?([\w.]+)`\]")
_RAISED = re.compile(r"^(\s*)`(\w+)`:")
_FORMULA = re.compile(r"\\{1,2}\((.+?)\\{1,2}\)")  # shown as code: no script of another site draws it
_MARK = re.compile(r"(?<!\*)\*(?!\*)(?!optional\*)(?<!\*optional\*)|\|")
_LETTER = re.compile(r"(: )(\w\.)$")  # "`int`: N." is no list
_HEADER = re.compile(r"^(Example|Examples|Source):(.*)$")


def public_names() -> dict[str, str]:
    """Each name that a room lists in its `__init__`, and the full name that the site documents it under."""
    names = {}
    for room in ROOMS:
        for name in import_module(f"serl_trl.{room}").__all__:
            names.setdefault(name, f"serl_trl.{room}.{name}")
    return names


def as_link(name: str, known: dict[str, str]) -> str:
    """A cross reference to what the site documents, such as `SeRLTrainer` or `serl_trl.x.Vote.is_tie`; else the name as code."""
    *before, last = name.split(".")
    if last in known:
        return f":py:obj:`{last} <{known[last]}>`"
    owner = before[-1] if before else ""
    if owner in known:
        room, _, attribute = known[owner].rpartition(".")
        if hasattr(getattr(import_module(room), attribute), last):
            return f":py:obj:`{owner}.{last} <{known[owner]}.{last}>`"
    return f"``{last}``"


def in_markup(line: str, known: dict[str, str]) -> str:
    """A line of text: code, references and formulas as reStructuredText has them, other marks as text."""
    line = _RAISED.sub(r"\1\2:", line)
    line = _FORMULA.sub(lambda formula: f"`{formula[1].strip()}`", line)
    line = _LETTER.sub(r"\1\\\2", line)
    pieces = _CODE.split(line)
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            pieces[i] = _MARK.sub(r"\\\g<0>", piece)
            continue
        reference = _REFERENCE.fullmatch(piece)
        pieces[i] = as_link(reference[1], known) if reference else f"`{piece}`"
        if pieces[i + 1][:1].isalnum():
            pieces[i] += "\\ "  # as in "[`Vote`]s": markup ends at a space, which this one is and is not shown
    return "".join(pieces)


def converted(lines: list[str], known: dict[str, str]) -> list[str]:
    """The lines of a docstring as reStructuredText; what is in doctests and code fences stays as it is."""
    result: list[str] = []
    in_fence = in_doctest = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        stripped = line.strip()
        if stripped.startswith("```"):
            in_fence = not in_fence
            if in_fence:
                language = "pycon" if following.strip().startswith(">>>") else stripped.strip("`") or "text"
                result += ["", line.replace(stripped, f".. code-block:: {language}")]
            result.append("")
            continue
        in_doctest = stripped.startswith(">>>") or (in_doctest and bool(stripped))
        if in_fence:
            result.append("    " + line)
        elif in_doctest:
            result.append(line)
        elif header := _HEADER.match(line):
            result += ["", f"**{header[1]}.**{in_markup(header[2], known)}", ""]
        else:
            result.append(in_markup(line, known))
    return result


def setup(app: "Sphinx") -> dict[str, bool]:
    """Registers the conversion ahead of napoleon's."""
    known = public_names()

    def convert(app, what, name, obj, options, lines):
        lines[:] = converted(lines, known)
        if what == "property" and lines:
            lines[0] = lines[0].replace(": ", "; ")  # napoleon reads what is before a colon as a type

    app.connect("autodoc-process-docstring", convert, priority=100)
    return {"parallel_read_safe": True}
