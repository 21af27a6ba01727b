"""Does a pre-trained model gain from votes on prompts that it writes itself? One model, one task, several seeds, control arms.

    python recipes/experiments/real_models.py --config smollm2_cpu --task "sums of two"

The main arm is SeRL: seeds without answers, own prompts, votes as rewards. Other arms with the first seed: coin flips and the
box alone as rewards, votes with the paper's band of shares, and the answers of the seeds as labels. Before and after, the same
held-out problems are answered greedily and in samples. Intervals are bootstrapped over problems, each with its completions
before and after. Held-out problems that a run has written itself do not count. What changed is told apart by what there was
before, and written out to be read: TASK_read.md.
"""

import json
import re
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from arms import Arm, Bench  # beside this file, like the others
from real_tasks import TASKS, write_task
from serl_trl.evaluation import Gain, gain
from serl_trl.reports import RunFolder
from study import Finding, arms_panel, as_seeds, figure_of, raw_runs, run_study, study_arguments


SERL = "votes on own prompts"
CONTROLS: dict[str, dict[str, Any]] = {
    "coin flips": {"reward_funcs": ["coin_flip", "vote"], "reward_weights": [1, 0]},
    "box alone": {"reward_funcs": ["box", "vote"], "reward_weights": [1, 0]},
}
LABELS = "answers of the seeds"
PAPER_BAND = "votes, the paper's band"
NUM_READ = 20


def study(args: Namespace, bench: Bench) -> Finding:
    """Runs all arms, measures what they changed, and writes it out."""
    task = TASKS[args.task](args.data_dir)
    name = args.task.replace(" ", "_")
    files = write_task(task, args.output_dir / "data" / name)
    asked = {"prompt_template": files["template"], "eval_file": files["held_out"], "answer_type": task.answer_type}
    own = {**asked, **as_seeds(args.output_dir / "data" / name / "seeds.jsonl", unlabelled(task.seeds))}
    runs = bench.run([Arm(SERL, own)], args.seeds)
    num_steps = {
        "max_steps": args.control_steps or min(folder.last_step for folder in runs[SERL].values()),
        "num_train_epochs": 100,
    }
    truth = {"self_instruct": False, "reward_funcs": "truth", **num_steps}
    paper_band = {**own, "min_vote_share": 0.2, "max_vote_share": 0.8, **num_steps}
    labelled = as_seeds(args.output_dir / "data" / name / "labelled.jsonl", task.seeds)
    few = {"max_steps": args.control_steps} if args.control_steps else {}
    arms = [Arm(control, {**own, **flags, **few}) for control, flags in CONTROLS.items()]
    arms += [Arm(PAPER_BAND, paper_band), Arm(LABELS, {**asked, **labelled, **truth})]
    runs |= bench.run([arm for arm in arms if arm.name in args.arms], args.seeds[:1])
    changes = {arm: {seed: Changes(folder) for seed, folder in folders.items()} for arm, folders in runs.items()}
    rows = [row_of(arm, seed, found) for arm, by_seed in changes.items() for seed, found in by_seed.items()]
    written = args.output_dir / f"{name}_read.md"
    written.write_text("\n".join(to_read(runs[SERL], changes[SERL])), encoding="utf-8")
    panels = {key: arms_panel(runs, f"eval_{key}", ylim=(0, 1)) for key in ("sampled pass@1", "greedy pass@1")}
    raw = raw_runs(runs)
    for arm, by_seed in changes.items():
        for seed, found in by_seed.items():
            raw[arm][str(seed)]["gain"] = {mode: one.as_dict() for mode, one in found.gains.items()}
            raw[arm][str(seed)]["num_seen"] = found.num_seen
    return Finding(rows, paragraph_of(changes), figure_of(panels), raw)


def unlabelled(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The problems alone."""
    return [{"problem": row["problem"]} for row in rows]


def kind_of(text: str) -> tuple[str, ...]:
    """What makes two problems the same: their numbers, in any order, or their words where there are no numbers."""
    return tuple(sorted(re.findall(r"\d+", text) or re.findall(r"\w+", text.lower())))


class Changes:
    """
    What a run changed on held-out problems that it has not written itself.

    Args:
        folder ([`~serl_trl.reports.RunFolder`]): A run that has ended.
    """

    def __init__(self, folder: RunFolder) -> None:
        rows = {when: self._rows(folder, when) for when in ("before", "after")}
        texts = {key: kind_of(row["prompt"][-1]["content"]) for key, row in rows["before"].items()}
        seen = {kind_of(row["text"]) for _, row in folder.instructions()}
        self.pairs = {
            key: (row, rows["after"][key]) for key, row in sorted(rows["before"].items()) if texts[key] not in seen
        }
        self.num_seen = len({i for mode, i in rows["before"]} - {i for mode, i in self.pairs})
        self.num_steps = folder.last_step
        self.num_problems = len({i for mode, i in self.pairs})
        self.gains = {mode: self._gain(mode) for mode in ("greedy", "sampled")}

    @staticmethod
    def _rows(folder: RunFolder, when: str) -> dict[tuple[str, int], dict[str, Any]]:
        return {(row["mode"], row["index"]): row for row in folder.held_out(when)[1]}

    def shares(self, mode: str) -> np.ndarray:
        """(4, P): the shares of right and of missing answers before, and after."""
        of_mode = [pair for (found, _), pair in self.pairs.items() if found == mode]
        return np.array([[s for row in pair for s in (np.mean(row["is_right"]), _missing(row))] for pair in of_mode]).T

    def _gain(self, mode: str) -> Gain:
        return gain(*self.shares(mode))

    def flips(self, *, is_right_after: bool) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Greedy completions that became right, or that ceased to be, with what each was and is."""
        for (mode, _), (before, after) in self.pairs.items():
            was, now = before["is_right"][0], after["is_right"][0]
            if mode == "greedy" and was != now and now == is_right_after:
                other = before if is_right_after else after
                yield "no answer" if other["answers"][0] is None else "another answer", before, after


def _missing(row: dict[str, Any]) -> float:
    return float(np.mean([answer is None for answer in row["answers"]]))


def points(value: Any) -> str:
    """A mean in points with its interval."""
    mean, low, high = (100 * end for end in value)
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def row_of(arm: str, seed: int, changes: Changes) -> dict[str, str]:
    """A line of the table."""
    row = {
        "arm": arm,
        "seed": str(seed),
        "steps": str(changes.num_steps),
        "problems": str(changes.num_problems),
    }
    for mode, found in changes.gains.items():
        right = changes.shares(mode)[[0, 2]].mean(axis=1)
        row |= {
            f"{mode} (%)": f"{100 * right[0]:.1f} to {100 * right[1]:.1f}",
            f"gain, {mode}": points(found.total),
        }
    sampled = changes.gains["sampled"]
    return row | {
        "from no answer": points(sampled.from_no_answer),
        "from wrong answers": points(sampled.from_wrong_answer),
        "lost": f"{100 * sampled.lost.mean:.1f}",
    }


def paragraph_of(changes: dict[str, dict[int, Changes]]) -> str:
    """What the arms say together."""
    main = [found.gains for found in changes[SERL].values()]
    gained = all(found["sampled"].total.low > 0 for found in main)
    kept = all(found["greedy"].total.high >= 0 for found in main)
    others = {
        arm: found.gains["sampled"].total for arm, by in changes.items() if arm in CONTROLS for found in by.values()
    }
    most = max((total.mean for total in others.values()), default=float("-inf"))
    least = min(found["sampled"].total.mean for found in main)
    is_reproduced = gained and kept and most < least
    return (
        f"Sampled pass@1 {'rises in every seed' if gained else 'does not rise in every seed'} (paired 95 % intervals over problems), "
        f"greedy pass@1 {'does not fall' if kept else 'falls'}; the control arms gain {'less' if most < least else 'as much'} "
        f"({', '.join(f'{arm} {points(total)}' for arm, total in others.items())}): "
        f"{'reproduced' if is_reproduced else 'not reproduced'}."
    )


def to_read(folders: dict[int, RunFolder], changes: dict[int, Changes]) -> Iterator[str]:
    """Instructions with their votes, and completions that changed, in Markdown."""
    yield "# What was written, and what changed"
    for seed, folder in folders.items():
        yield f"\n## Seed {seed}"
        kept: dict[int, list[dict[str, Any]]] = {}
        for iteration, row in folder.instructions():
            if row.get("is_kept") and row.get("vote_share") is not None:
                kept.setdefault(iteration, []).append(row)
        for iteration, rows in kept.items():
            yield f"\n### Instructions of iteration {iteration}: {NUM_READ} of {len(rows)} that were voted on\n"
            yield from (f"- {row['text']} — {row['vote_answer']} ({row['vote_share']:.2f})" for row in rows[:NUM_READ])
        for is_right_after, title in ((True, "became right"), (False, "ceased to be right")):
            found = list(changes[seed].flips(is_right_after=is_right_after))
            kinds = ", ".join(f"{num} {kind}" for kind, num in Counter(kind for kind, *_ in found).items())
            yield f"\n### Greedy completions that {title}: {len(found)} ({kinds or 'none'})\n"
            for _, before, after in found[:NUM_READ]:
                asked, texts = before["prompt"][-1]["content"], (before["completions"][0], after["completions"][0])
                yield f"- {asked} ({before['true_answer']}): {' -> '.join(json.dumps(text)[1:-1] for text in texts)}"
    yield ""


if __name__ == "__main__":
    parser = study_arguments(__doc__, num_seeds=2)
    parser.set_defaults(config="smollm2_cpu")  # argparse reads it as if it were given
    parser.add_argument("--task", default="sums of two", choices=TASKS, help="default: sums of two")
    others = [*CONTROLS, PAPER_BAND, LABELS]
    parser.add_argument("--arms", nargs="*", default=others, choices=others, help="beside the main one; default: all")
    parser.add_argument("--control_steps", type=int, help="steps of the other arms; default: as many as the main one")
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="with SVAMP, GSM8K and MATH; default: data"
    )
    run_study(lambda args: f"{args.config.stem}_{args.task.replace(' ', '_')}", parser, study)
