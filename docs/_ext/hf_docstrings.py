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


def converted(lines: list[str], known: dict[str, str]) -> list[str]:
    """The lines of a docstring as reStructuredText; doctests and what is in code fences stay as they are."""
    result: list[str] = []
    in_fence = in_doctest = False
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("```"):
            in_fence = not in_fence
            result.append("")
            continue
        in_doctest = stripped.startswith(">>>") or (in_doctest and bool(stripped))
        if in_fence or in_doctest:
            result.append(line)
            continue
        line = _RAISED.sub(r"\1\2:", line)
        line = _LETTER.sub(r"\1\\\2", line)
        if header := _HEADER.match(line):
            line = f"**{header[1]}.**{header[2]}"
            result.append("")
        pieces = _CODE.split(line)
        for i, piece in enumerate(pieces):
            if i % 2 == 0:
                pieces[i] = re.sub(r"(?<!\*)\*(?!\*)(?!optional\*)(?<!\*optional\*)|\|", r"\\\g<0>", piece)
            elif reference := _REFERENCE.fullmatch(piece):
                pieces[i] = as_link(reference[1], known)
            else:
                pieces[i] = f"`{piece}`"
            if i % 2 and pieces[i + 1][:1].isalnum():
                pieces[i] += "\\ "  # as in "[`Vote`]s": markup ends at a space, which this one is and is not shown
        result.append("".join(pieces))
        if header:
            result.append("")
    return result


def setup(app: "Sphinx") -> dict[str, bool]:
    """Registers the conversion ahead of napoleon's."""
    known = public_names()

    def convert(app, what, name, obj, options, lines):
        lines[:] = converted(lines, known)

    app.connect("autodoc-process-docstring", convert, priority=100)
    return {"parallel_read_safe": True}
