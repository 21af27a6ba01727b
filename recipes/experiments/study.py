"""What the studies have in common: their flags, figures over seeds with intervals, and the files that they leave."""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
from cycler import cycler
from rich.console import Console
from rich.table import Table

from arms import LABORATORY, Bench, FailedArmError  # beside this file
from serl_trl.cli.named_files import config_file
from serl_trl.laboratory import word_problems
from serl_trl.reports import RunFolder, picture_style, rejection_of, styled_figure
from serl_trl.runtime import written_whole


# Half of the demo's rollouts, so that a run takes two to four minutes on one core; and checkpoints, to go on after a kill.
LABORATORY_FLAGS: dict[str, Any] = {
    "num_generations": 8,
    "generation_batch_size": 128,
    "gradient_accumulation_steps": 2,
    "num_eval_problems": 256,
    "num_eval_samples": 4,
    "num_interim_problems": 128,
    "eval_every": 5,
    "eval_batch_size": 64,  # faster than larger ones, on one core
    "save_strategy": "steps",
    "save_steps": 10,
    "save_total_limit": 1,
    "disable_tqdm": True,
}
QUICK_FLAGS: dict[str, Any] = {  # two steps in two iterations, and few problems: to see that all of it works
    "num_train_epochs": 2,
    "num_instructions": 4,
    "num_seeds": 32,
    "generation_batch_size": 32,
    "per_device_train_batch_size": 32,
    "gradient_accumulation_steps": 1,
    "num_eval_problems": 16,
    "num_eval_samples": 2,
    "num_interim_problems": 8,
    "num_probes": 8,
}

# Without a gate. A policy that collapses writes little that is new; the run goes on with what there is.
UNGATED: dict[str, Any] = {"min_vote_share": 0, "max_vote_share": 1, "min_instruction_fraction": 0.001}

# For arms that need many instructions: at 0.7 the laboratory runs out of problems that are new.
WIDER: dict[str, Any] = {"novelty_threshold": 0.9}

# Student's t for 95 % intervals of a mean, by degrees of freedom from 1; beyond the last it is close to the last.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


@dataclass(frozen=True)
class OverSeeds:
    """
    A figure of several seeds.

    Args:
        values (`tuple[float, ...]`): One of each seed, at least one.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """
        The 95 % interval of the mean by Student's t: over seeds, so with few of them it is wide; of one it is unbounded.

        Example:

        ```python
        >>> OverSeeds((1.0, 2.0, 3.0)).interval
        (-0.48..., 4.48...)

        ```
        """
        num = len(self.values)
        if num == 1:
            return -math.inf, math.inf
        half = T_95[min(num - 1, len(T_95)) - 1] * statistics.stdev(self.values) / math.sqrt(num)
        return self.mean - half, self.mean + half

    def __sub__(self, other: "OverSeeds") -> "OverSeeds":
        """The differences seed by seed: what the seeds have in common does not widen the interval."""
        return OverSeeds(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))

    def scaled(self, factor: float) -> "OverSeeds":
        """Every value times a factor."""
        return OverSeeds(tuple(factor * value for value in self.values))

    def __format__(self, spec: str) -> str:
        """As `mean [low, high]`; `pp` stands for percentages with a digit."""
        low, high = self.interval
        scale, spec = (100, ".1f") if spec == "pp" else (1, spec)
        shown = f"{scale * self.mean:{spec}}"
        return shown if math.isinf(low) else f"{shown} [{scale * low:{spec}}, {scale * high:{spec}}]"

    def verdict(self, threshold: float = 0.0) -> str:
        """`"reproduced"` if all of the interval lies above the threshold, `"refuted"` if below, else `"undecided"`."""
        low, high = self.interval
        return "reproduced" if low > threshold else "refuted" if high < threshold else "undecided"


@dataclass(frozen=True)
class Finding:
    """
    What a study has found.

    Args:
        rows (`list[dict]`): Its numbers, one row for each line of the table.
        paragraph (`str`): What they mean, in words.
        figure (`matplotlib.figure.Figure`): A picture of them.
        raw (`Any`): Everything that they were computed from, of each seed.
    """

    rows: list[dict[str, Any]]
    paragraph: str
    figure: matplotlib.figure.Figure
    raw: Any


def study_arguments(description: str, num_seeds: int = 3) -> argparse.ArgumentParser:
    """The flags that every study has."""
    parser = argparse.ArgumentParser(
        description=f"{description}\n\nFlags that are not listed go to every run: those of recipes/serl_math.py.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    seeds = list(range(num_seeds))
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds, help=f"default: {' '.join(map(str, seeds))}")
    parser.add_argument(
        "--config",
        type=_config,
        default=LABORATORY,
        help="of recipes/serl_math.py, a file or a name; default: the laboratory",
    )
    parser.add_argument("--output_dir", type=Path, default=Path("runs/experiments"), help="default: runs/experiments")
    parser.add_argument("--num_jobs", type=int, default=1, help="runs at a time, which share the cores; default: 1")
    parser.add_argument(
        "--quick", action="store_true", help="tiny runs, to see that all of it works; says nothing else"
    )
    return parser


def _config(given: str) -> Path:
    try:
        return Path(config_file(given))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def bench_of(args: argparse.Namespace, further: Sequence[str]) -> Bench:
    """Where a study's arms run: with the laboratory's flags if it is the laboratory, and the user's above them."""
    flags: dict[str, Any] = {}
    if args.config == LABORATORY:
        held_out = word_problems(LABORATORY_FLAGS["num_eval_problems"], "held_out").to_list()
        # as a file, because some arms have seeds from files, and then there are no problems by default
        flags = {**LABORATORY_FLAGS, "eval_file": write_rows(args.output_dir / "data" / "held_out.jsonl", held_out)}
    if args.quick:
        flags |= QUICK_FLAGS
    return Bench(args.output_dir / "arms", args.config, flags | parsed_flags(further), args.num_jobs)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes a JSON Lines file."""
    with written_whole(path) as temporary:
        temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def as_seeds(path: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Flags of a run whose seeds are these rows, all of them, however many the configuration takes."""
    return {"seed_file": write_rows(path, rows), "num_seeds": len(rows)}


def parsed_flags(words: Sequence[str]) -> dict[str, Any]:
    """
    Flags for arms from a command line.

    Raises:
        ValueError: If a word belongs to no flag.

    Example:

    ```python
    >>> parsed_flags(["--learning_rate", "1e-4", "--filters", "a:b", "c:d", "--beta=0"])
    {'learning_rate': '1e-4', 'filters': ['a:b', 'c:d'], 'beta': '0'}

    ```
    """
    flags: dict[str, Any] = {}
    name = None
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            flags[name] = [value] if value else []
        elif name is None:
            raise ValueError(f"{word} belongs to no flag.")
        else:
            flags[name].append(word)
    return {name: True if not values else values[0] if len(values) == 1 else values for name, values in flags.items()}


def final(folders: Mapping[int, RunFolder], metric: str, when: str = "after") -> OverSeeds:
    """A metric of the held-out problems, `"before"` or `"after"` training."""
    return OverSeeds(tuple(folder.evaluation[when][metric][0] for folder in folders.values()))


def gain(folders: Mapping[int, RunFolder], metric: str) -> OverSeeds:
    """By how much training raised a metric."""
    return final(folders, metric) - final(folders, metric, "before")


def groups_kept(folders: Mapping[int, RunFolder]) -> OverSeeds:
    """The share of groups that the gate let through, of each seed over its steps."""
    kept = [[point.value for point in folder.points("serl/gate/frac_kept")] for folder in folders.values()]
    return OverSeeds(tuple(statistics.fmean(values) for values in kept))


def curve(folders: Mapping[int, RunFolder], key: str) -> tuple[list[int], list[OverSeeds]]:
    """A logged metric by step, where every seed has it."""
    points = [{point.step: point.value for point in folder.points(key)} for folder in folders.values()]
    steps = sorted(set.intersection(*map(set, points)))
    return steps, [OverSeeds(tuple(values[step] for values in points)) for step in steps]


def draw(axes: Any, folders: Mapping[int, RunFolder], key: str, label: str, **style: Any) -> None:
    """Draws the mean of a logged metric over seeds, and a line for each seed behind it."""
    steps, values = curve(folders, key)
    (line,) = axes.plot(steps, [value.mean for value in values], label=label, linewidth=2, **style)
    for i in range(len(folders)):
        axes.plot(steps, [value.values[i] for value in values], "-", color=line.get_color(), linewidth=0.7, alpha=0.45)


def arms_panel(runs: Mapping[str, Mapping[int, RunFolder]], key: str, **settings: Any) -> Callable[[Any], None]:
    """A panel for [`figure_of`] with a logged metric of each arm; `settings` are those of the axes."""

    def panel(axes: Any) -> None:
        for name, folders in runs.items():
            draw(axes, folders, key, name)
        axes.set(xlabel="optimiser step", **settings)

    return panel


def scores(folders: Mapping[int, RunFolder]) -> dict[str, str]:
    """Columns of a table: what an arm has reached."""
    return {f"{metric} (%)": f"{final(folders, metric):pp}" for metric in ("sampled pass@1", "greedy pass@1")}


def kept_texts(folder: RunFolder, iterations: Sequence[int] | None = None) -> list[str]:
    """The instructions that passed every filter, of some iterations or of all."""
    return [
        row["text"]
        for number, row in folder.instructions()
        if rejection_of(row) is None and (iterations is None or number in iterations)
    ]


def figure_of(panels: Mapping[str, Callable[[Any], None]], num_columns: int = 2) -> matplotlib.figure.Figure:
    """A picture with a panel for each title; a legend that all panels share stands below them."""
    num_columns = min(num_columns, len(panels))
    num_rows = math.ceil(len(panels) / num_columns)
    with picture_style():
        figure = styled_figure(figsize=(5.5 * num_columns, 3.6 * num_rows))
        for place, (title, panel) in enumerate(panels.items(), 1):
            axes = figure.add_subplot(num_rows, num_columns, place)
            axes.set_prop_cycle(cycler(linestyle=["-", "--"]) * matplotlib.rcParams["axes.prop_cycle"])
            panel(axes)
            axes.set_title(title)
            axes.grid(alpha=0.5)
        named = [axes for axes in figure.axes if axes.get_legend_handles_labels()[1]]
        if len({tuple(axes.get_legend_handles_labels()[1]) for axes in named}) == 1:
            handles, labels = named[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=2 * num_columns, fontsize=9)
        else:
            for axes in named:
                axes.legend(fontsize=9)
    return figure


def raw_runs(runs: Mapping[str, Mapping[int, RunFolder]]) -> dict[str, Any]:
    """Of each arm and seed: its folder, scores, and curves."""
    keys = (
        "reward",
        "serl/vote/share_mean",
        "serl/gate/frac_kept",
        "entropy",
        "grad_norm",
        "serl/probe/frac_abandoned",
    )
    scores = ("eval_greedy pass@1", "eval_sampled pass@1")
    return {
        arm: {
            str(seed): {
                "arm": folder.path.name,
                "evaluation": folder.evaluation,
                "curves": {
                    key: [[p.step, float(f"{p.value:.4g}")] for p in folder.points(key)]
                    for key in (*keys, *scores)
                    if folder.points(key)
                },
            }
            for seed, folder in folders.items()
        }
        for arm, folders in runs.items()
    }


def file_finding(name: str, args: argparse.Namespace, finding: Finding) -> None:
    """Writes `NAME.json`, `NAME.png` and `NAME.md`, and prints the table and the paragraph."""
    seeds = f"Seeds {', '.join(map(str, args.seeds))}. " if not args.quick else "QUICK: these numbers mean nothing. "
    record = {"study": name, "quick": args.quick, "seeds": args.seeds, "rows": finding.rows, "raw": finding.raw}
    paragraph = seeds + finding.paragraph
    with written_whole(args.output_dir / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    with picture_style():
        finding.figure.savefig(args.output_dir / f"{name}.png", dpi=110)
    columns = list(dict.fromkeys(key for row in finding.rows for key in row))
    cells = [[str(row.get(column, "")) for column in columns] for row in finding.rows]
    lines = [columns, ["---"] * len(columns), *cells]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    with written_whole(args.output_dir / f"{name}.md") as temporary:
        temporary.write_text(f"{text}\n\n{paragraph}\n", encoding="utf-8")
    table = Table(title=name.replace("_", " "))
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for line in cells:
        table.add_row(*line)
    Console().print(table)
    print(f"{paragraph}\nNumbers, picture and text: {args.output_dir / name}.json, .png, .md.")


def run_study(
    name: str | Callable[[argparse.Namespace], str],
    parser: argparse.ArgumentParser,
    study: Callable[[argparse.Namespace, Bench], Finding],
    flags: Sequence[str] | None = None,
) -> None:
    """Parses the flags, does the study, files it; ends with one line if something is wrong with what the user gave."""
    args, further = parser.parse_known_args(flags)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    try:
        finding = study(args, bench_of(args, further))
        file_finding(name(args) if callable(name) else name, args, finding)
    except (ValueError, FailedArmError) as error:
        sys.exit(f"error: {error}")
