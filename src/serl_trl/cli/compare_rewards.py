"""Compares rewards with the truth: majority vote, soft vote, and a model that judges each answer (paper, figure 3).

    serl-trl compare completions.jsonl
    serl-trl compare completions.jsonl --judge Qwen/Qwen2.5-0.5B-Instruct --max_new_tokens 8

A file is JSON Lines or Parquet; a row holds a prompt ('prompt', 'problem' or 'question'), a completion ('completion',
'response' or 'text') and the true 'answer'; rows of the same prompt make a group. `--judge` is a model on the Hub or in a
folder, or a name such as 'tiny' and 'smollm2'; take the one that wrote the completions to have a policy judge itself. Its replies are greedy;
`--save FILE` writes each with the rewards of its row.
"""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import GroundTruthReward, MajorityVoteReward
from ..answers import ANSWER_TYPES
from ..runtime import Rows, column_of, read_rows, written_whole
from ..voting import JudgeReward, reward_alignment
from .completion_groups import COMPLETION_FIELDS, PROMPT_FIELDS
from .dataset_files import check_writable
from .parsers import LineParser


def read_completions(path: str) -> tuple[list[Any], list[Any], list[str]]:
    """Prompts, completions and true answers, the rows of a prompt together."""
    rows = read_rows(path, COMPLETION_FIELDS)
    prompts = column_of(rows, PROMPT_FIELDS, path)
    completions = column_of(rows, COMPLETION_FIELDS, path)
    texts = [
        row if row.get("answer") is None else {**row, "answer": str(row["answer"])} for row in rows
    ]  # 0 is one, too
    answers = column_of(Rows(texts, rows.places), ("answer",), path)
    first: dict[str, int] = {}
    order = sorted(range(len(rows)), key=lambda i: first.setdefault(str(prompts[i]), i))  # stable
    return [prompts[i] for i in order], [completions[i] for i in order], [answers[i] for i in order]


class Judge:
    """A model that replies to prompts, and remembers what it said."""

    def __init__(self, name: str, max_new_tokens: int, batch_size: int) -> None:
        from ..evaluation import transformers_engine
        from ..prompts import Sampling
        from .train_inputs import load_standalone

        self.replies: dict[str, str] = {}
        model, self.tokenizer = load_standalone(name, "--judge")
        self.engine, self.sampling = transformers_engine(model, self.tokenizer, batch_size), Sampling(max_new_tokens)

    def __call__(self, prompts: list[Any]) -> list[str]:
        replies = [text for text, _ in self.engine(prompts, self.sampling)]
        self.replies |= {str(prompt): reply for prompt, reply in zip(prompts, replies, strict=True)}
        return replies


def print_comparison(rewards: dict[str, list[float | None]], num_groups: int, console: Console) -> None:
    """Prints how each reward agrees with the truth, and how vote and judge agree with each other."""
    truth = rewards["truth"]
    table = Table(title=f"{len(truth)} completions in {num_groups} groups")
    for name in ("reward", "mean", "without", "cosine with the truth", "accuracy"):
        table.add_column(name, justify="left" if name == "reward" else "right")
    for name, values in rewards.items():
        given = [value for value in values if value is not None]
        alignment = reward_alignment(values, truth)
        mean = f"{sum(given) / len(given):.3f}" if given else "-"
        table.add_row(name, mean, str(values.count(None)), f"{alignment.cosine:.3f}", f"{alignment.accuracy:.1%}")
    console.print(table)
    if "judge" in rewards:
        alignment = reward_alignment(rewards["judge"], rewards["vote"])
        console.print(f"Judge and vote: cosine {alignment.cosine:.3f}, accuracy {alignment.accuracy:.1%}.")


def main(flags: list[str]) -> None:
    """Parses the flags, and ends with one line if something is wrong with what the user gave."""
    parser = LineParser("compare", __doc__)
    parser.add_argument("file", help="JSON Lines or Parquet file of completions with their true answers")
    parser.add_argument("--answer_type", default="math", choices=list(ANSWER_TYPES), help="default: math")
    parser.add_argument("--judge", help="a model to judge each completion")
    parser.add_argument("--max_new_tokens", type=int, default=16, help="longest reply of the judge; default: 16")
    parser.add_argument("--batch_size", type=int, default=16, help="completions judged at a time; default: 16")
    parser.add_argument("--num_shown", type=int, default=5, help="replies of the judge to show; default: 5")
    parser.add_argument("--save", help="JSON Lines file for the rewards and the judge's replies")
    args = parser.parse_args(flags)
    console = Console(highlight=False)
    try:
        if args.save:
            check_writable(args.save, "--save")
        prompts, completions, answers = read_completions(args.file)
        vote = MajorityVoteReward(args.answer_type)
        soft = MajorityVoteReward(args.answer_type, soft=True)
        rewards = {
            "vote": vote(prompts, completions),
            "soft vote": soft(prompts, completions),
            "truth": GroundTruthReward(args.answer_type)(prompts, completions, answer=answers),
        }
        if args.judge:
            judge = Judge(args.judge, args.max_new_tokens, args.batch_size)
            is_chat = judge.tokenizer.chat_template is not None
            asked = [[{"role": "user", "content": p}] if is_chat and isinstance(p, str) else p for p in prompts]
            rewards["judge"] = JudgeReward(judge)(asked, completions)
            replies = list(judge.replies.values())
            for reply in replies[: args.num_shown]:
                console.print(f"judge: {escape(reply.strip()) or '(nothing)'}")
    except ValueError as error:
        sys.exit(f"error: {error}")
    print_comparison(rewards, len({str(prompt) for prompt in prompts}), console)
    if args.save:
        columns = {"prompt": prompts, "completion": completions, "answer": answers, **rewards}
        lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
        with written_whole(Path(args.save)) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
