r"""Takes majority votes on completions of any origin: pseudo-labels without a trainer, without PyTorch.

    serl-trl vote completions.jsonl                                       JSON Lines on standard output
    serl-trl vote completions.jsonl --output_file votes.parquet --min_share 0.5
    serl-trl vote runs/mine/completions/completions_00001.parquet --push_to_hub me/pseudo-labels

A file is JSON Lines or Parquet. A row holds a group in a list 'completions', or one completion in 'completion',
'response' or 'text'; rows of the same 'prompt' ('problem', 'question') then make a group. A row that is written has:

    prompt       as the file has it
    answer       the winner of the vote; null if no completion has an answer
    share        of the completions, that give the winner
    num_votes    completions of the prompt
    is_tie       whether another answer has as many; the shorter one wins
    classes      the different answers, each with its count, the winner first; equal ones are one class
    true_answer  the 'answer' of the file, if it has one; the summary then says how often the winner is right
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ..answers import ANSWER_TYPES, extract_answer, is_equivalent
from ..runtime import written_whole
from ..types import completion_text
from ..voting import Vote, majority_vote
from .completion_groups import Group, read_groups
from .dataset_files import check_output_file, push, store
from .parsers import LineParser


if TYPE_CHECKING:
    from datasets import Dataset

PUSHED_FILE = "votes.parquet"  # where rows are kept that are pushed, if no --output_file says where
PROGRESS_EVERY = 1000  # groups


@dataclass
class Summary:
    """What all votes look like together."""

    num_completions: int = 0
    num_groups: int = 0
    num_winners: int = 0
    num_written: int = 0
    sum_of_shares: float = 0.0
    num_with_truth: int = 0
    num_right: int = 0

    def line(self, destination: str) -> str:
        """The summary in one line."""
        text = (
            f"{self.num_completions} completions of {self.num_groups} prompts: {self.num_winners} with a winner, "
            f"mean share {self.sum_of_shares / max(self.num_groups, 1):.3f}"
        )
        if self.num_with_truth:
            accuracy = self.num_right / self.num_with_truth
            text += f", {accuracy:.1%} of {self.num_with_truth} winners are the true answer"
        return f"{text}. {self.num_written} rows in {destination}."


def row_of(group: Group, vote: Vote, answer_type: str) -> dict[str, Any]:
    """The row that is written for a group; `classes` are in order of size, then as their answers first come."""
    counts = Counter(label for label in vote.labels if label is not None)
    order = sorted(counts, key=lambda label: (label != vote.winner, -counts[label], label))
    spellings: dict[int, list[str]] = {label: [] for label in counts}
    for completion, label in zip(group.completions, vote.labels, strict=True):
        if label is not None and label != vote.winner:
            spellings[label].append(str(extract_answer(completion_text(completion), answer_type)))
    answers = {label: vote.answer if label == vote.winner else min(spellings[label], key=len) for label in counts}
    return {
        "prompt": group.prompt,
        "answer": vote.answer,
        "share": vote.share,
        "num_votes": len(vote.labels),
        "is_tie": vote.is_tie,
        "classes": [{"answer": answers[label], "count": counts[label]} for label in order],
    }


def voted(groups: list[Group], answer_type: str, min_share: float, summary: Summary) -> Iterator[dict[str, Any]]:
    """Rows of all groups whose winner has at least that share, as the votes come; adds them up in `summary`."""
    has_truth = any(group.answer is not None for group in groups)
    for group in groups:
        vote = majority_vote(group.completions, answer_type)
        row = row_of(group, vote, answer_type)
        summary.num_completions += len(vote.labels)
        summary.num_groups += 1
        summary.num_winners += vote.answer is not None
        summary.sum_of_shares += vote.share
        if has_truth:
            row["true_answer"] = None if group.answer is None else str(group.answer)
            if row["true_answer"] is not None and vote.answer is not None:
                summary.num_with_truth += 1
                summary.num_right += is_equivalent(vote.answer, row["true_answer"], answer_type)
        if sys.stderr.isatty() and summary.num_groups % PROGRESS_EVERY == 0:
            print(f"{summary.num_groups} of {len(groups)} prompts ...", file=sys.stderr)
        if vote.share >= min_share:
            summary.num_written += 1
            yield row


def write_lines(rows: Iterable[dict[str, Any]], file: IO[str]) -> None:
    """Writes rows as JSON Lines."""
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def dataset_of(rows: Iterable[dict[str, Any]]) -> "Dataset":
    """Rows as a dataset; raises a ValueError where they do not go into one table, for texts and messages mixed."""
    from datasets import Dataset  # late: JSON Lines need no Arrow

    try:
        return Dataset.from_list(list(rows))
    except TypeError as error:  # of Arrow
        raise ValueError(
            f"The rows do not go into one table ({str(error).splitlines()[0]}); write them to a .jsonl file."
        ) from None


def read(path: str) -> list[Group]:
    """The groups of a file; rows of one completion must say which prompt they belong to."""
    groups = read_groups(path)
    lacking = next((group for group in groups if group.prompt is None), None)
    if lacking is not None:
        raise ValueError(f"{path}, {lacking.place}, has no prompt; give a field 'prompt', 'problem' or 'question'.")
    return groups


def arguments() -> argparse.ArgumentParser:
    """The parser of the flags."""
    parser = LineParser("vote", __doc__)
    parser.add_argument("file", help="JSON Lines or Parquet file of completions")
    parser.add_argument("--answer_type", default="math", choices=list(ANSWER_TYPES), help="default: math")
    parser.add_argument(
        "--min_share", type=float, default=0.0, help="leave out prompts whose winner has less; default: 0"
    )
    parser.add_argument(
        "--output_file", help="a .jsonl or .parquet file, which must not exist; default: standard output"
    )
    parser.add_argument(
        "--push_to_hub",
        metavar="USER/NAME",
        help=f"dataset repository to push to as well; without --output_file the rows are also kept in {PUSHED_FILE}",
    )
    return parser


def main(flags: list[str]) -> None:
    """Parses the flags, and ends with one line if something is wrong with what the user gave."""
    args = arguments().parse_args(flags)
    output_file = args.output_file or (PUSHED_FILE if args.push_to_hub else None)
    summary = Summary()
    try:
        if not 0 <= args.min_share <= 1:
            raise ValueError(f"--min_share is {args.min_share}; it is a share, between 0 and 1.")
        if output_file:
            check_output_file(output_file)
        rows: Iterable[dict[str, Any]] = voted(read(args.file), args.answer_type, args.min_share, summary)
        if args.push_to_hub:
            rows = list(rows)  # read twice
        if output_file is None:
            write_lines(rows, sys.stdout)
        elif output_file.endswith(".jsonl"):  # not by the datasets library, which rounds shares
            with written_whole(output_file) as temporary, temporary.open("w", encoding="utf-8") as file:
                write_lines(rows, file)
        else:
            store(dataset_of(rows), output_file)
        if args.push_to_hub and output_file:
            push(dataset_of(rows), args.push_to_hub, output_file)
    except BrokenPipeError:
        raise  # nobody reads the rows, which is no error
    except UnicodeEncodeError as error:  # half of a character, as JSON's \\ud800 can hold
        found = error.object[max(0, error.start - 40) : error.end]
        sys.exit(f"error: {args.file} holds {found!r}, which is no text in UTF-8; take it out of that row.")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    print(summary.line(output_file or "standard output"), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
