"""Prints each line of prose in README, CONTRIBUTING, CHANGELOG and docs that is over 119 characters, and ends with 1 then.

Code, tables, images and lines with a URL may be longer, for they cannot be broken.
"""

import sys
from pathlib import Path


ROOT = Path(__file__).parents[1]
WIDTH = 119


def pages() -> list[Path]:
    """The Markdown files that people read."""
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [*found, *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]


def wide_lines(text: str) -> list[int]:
    """The numbers, from 1, of the lines of prose in some Markdown that are too long."""
    numbers = []
    in_fence = False
    for number, line in enumerate(text.splitlines(), 1):
        start = line.lstrip()
        if start.startswith("```"):
            in_fence = not in_fence
        elif len(line) > WIDTH and not in_fence and not line.startswith(("    ", "|", "![")) and "://" not in line:
            numbers.append(number)
    return numbers


def main() -> None:
    """Checks all pages."""
    wide = [(path, number) for path in pages() for number in wide_lines(path.read_text(encoding="utf-8"))]
    for path, number in wide:
        print(f"{path.relative_to(ROOT)}:{number}: a line of prose over {WIDTH} characters; break it.")
    sys.exit(bool(wide))


if __name__ == "__main__":
    main()
