"""Shows what is read from completions: the share with an answer, in which form, and the texts that have none.

    serl-trl check completions.jsonl
    serl-trl check completions.jsonl --answer_type number --other math
    serl-trl check runs/mine/completions/completions_00001.parquet --other my_answers:NUMBERS

A file is JSON Lines or Parquet (what TRL writes with `--log_completions`). A row holds a group, in a list
'completions', or one completion, in 'completion', 'response' or 'text'; rows of the same 'prompt' ('problem', 'question')
then make a group. `--other` takes another answer type, or MODULE:NAME of a pair (extract, equal), and shows which votes
it would change.
"""

import importlib
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..answers import ANSWER_TYPES, AnswerType
from ..voting import ExtractionReport, extraction_report
from .completion_groups import read_groups
from .parsers import LineParser


SHOWN_CHARS = 300


def groups_of(path: str) -> list[list[Any]]:
    """The groups of completions in a file, in the order of their prompts' texts."""
    groups = sorted(read_groups(path), key=lambda group: "" if group.prompt is None else str(group.prompt))
    return [list(group.completions) for group in groups]


def answer_type_of(name: str) -> AnswerType:
    """A named answer type, or the pair of functions at MODULE:NAME."""
    module, colon, attribute = name.partition(":")
    if not colon:
        return name
    sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{name} cannot be imported ({error}); give an answer type or MODULE:NAME of a pair."
        ) from None


def print_report(report: ExtractionReport, num_shown: int, console: Console) -> None:
    """Prints the shares, the forms, some completions without an answer, and what the other type would change."""
    table = Table(title=f"{report.num_completions} completions in {len(report.votes)} groups")
    table.add_column("answer type")
    table.add_column("with an answer", justify="right")
    for name, share in report.frac_answered.items():
        table.add_row(name, f"{share:.1%}")
    console.print(table)
    table = Table("form or reason", "completions", "share")
    for form, count in report.forms.items():
        table.add_row(form, str(count), f"{count / report.num_completions:.1%}")
    console.print(table)
    if report.undecided:
        console.print(f"Comparisons that could not be decided: {report.undecided}")
    for form, text in report.failures[:num_shown]:
        console.print(f"[bold]{form}[/bold]: {escape(text[-SHOWN_CHARS:]) or '(empty)'}")
    if report.other_votes:
        console.print(
            f"The other answer type changes the rewards of {len(report.changed)} of {len(report.votes)} groups "
            f"({report.frac_rewards_changed:.1%} of the completions)."
        )
    for i in report.changed[:num_shown]:
        vote, other = report.votes[i], report.other_votes[i]
        console.print(
            f"group {i}: {escape(str(vote.answer))} ({vote.share:.2f}) becomes {escape(str(other.answer))} ({other.share:.2f})"
        )


def main(flags: list[str]) -> None:
    """Parses the flags, and ends with one line if something is wrong with what the user gave."""
    parser = LineParser("check", __doc__)
    parser.add_argument("file", help="JSON Lines or Parquet file of completions")
    parser.add_argument(
        "--answer_type", default="math", help=f"{', '.join(ANSWER_TYPES)} or MODULE:NAME; default: math"
    )
    parser.add_argument("--other", help="another answer type, to see which votes it would change")
    parser.add_argument(
        "--num_shown", type=int, default=10, help="texts without an answer, and changed votes, to show; default: 10"
    )
    args = parser.parse_args(flags)
    try:
        other = answer_type_of(args.other) if args.other else None
        report = extraction_report(groups_of(args.file), answer_type_of(args.answer_type), other)
    except ValueError as error:
        sys.exit(f"error: {error}")
    print_report(report, args.num_shown, Console(highlight=False))


if __name__ == "__main__":
    main(sys.argv[1:])
