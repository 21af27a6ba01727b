"""A run folder for the eye: learning curves, and a table of what was written."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
from matplotlib.ticker import MaxNLocator
from rich.table import Table

from .drift import MAX_FRAC_FAR


PANELS = {
    "reward": {"reward": "vote reward"},
    "vote share": {"serl/vote/share_mean": "mean vote share"},
    "accuracy on held-out problems": {"eval_sampled pass@1": "sampled", "eval_greedy pass@1": "greedy"},
    "groups": {
        "serl/gate/frac_filled": "batch filled",
        "serl/gate/frac_kept": "kept",
        "serl/gate/frac_too_hard": "too hard",
        "serl/gate/frac_too_easy": "too easy",
    },
}


DRIFT_PANELS = {
    "distance from the closest seed": {"seed_distance": "mean"},
    "far from all seeds": {"frac_far": "share of the instructions"},
    "likeness to one another": {"self_similarity": "mean cosine of two"},
    "variety": {
        "distinct_1": "distinct words",
        "distinct_2": "distinct pairs of words",
        "frac_new_words": "words of no seed",
    },
    "length": {"length_words": "words"},
    "seed parents": {"max_seed_share": "largest share of one", "frac_seeds_used": "share of the seeds that are one"},
}


def learning_curves(run_dir: str | Path) -> Path:
    """
    Draws `learning_curves.png` from the `metrics.jsonl` of a run folder.

    Args:
        run_dir (`str` or `Path`): The run folder.

    Returns:
        `Path`: The picture. Accuracy is drawn where labelled problems were measured.
    """
    run_dir = Path(run_dir)
    rows = _rows(run_dir / "metrics.jsonl")
    figure = matplotlib.figure.Figure(figsize=(11, 6.5), layout="constrained")
    for axes, (title, series) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for key, label in series.items():
            points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), label=label, marker="." if len(points) < 30 else None)
        axes.set(title=title, xlabel="optimiser step", ylim=(0, 1))
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend()
    path = run_dir / "learning_curves.png"
    figure.savefig(path, dpi=120)
    return path


def drift_plot(run_dir: str | Path) -> Path | None:
    """
    Draws `drift.png` from the `metrics.jsonl` of a run folder: each iteration's instructions beside the seeds.

    Args:
        run_dir (`str` or `Path`): The run folder.

    Returns:
        `Path`: The picture; `None` if no drift was measured. Dashed lines are the values of the seeds themselves; a dotted
        line is where a warning is given.
    """
    run_dir = Path(run_dir)
    rows = [row for row in _rows(run_dir / "metrics.jsonl") if row.get("serl/drift/seed_distance") is not None]
    if not rows:
        return None
    figure = matplotlib.figure.Figure(figsize=(11, 6.5), layout="constrained")
    for axes, (title, series) in zip(figure.subplots(2, 3).flat, DRIFT_PANELS.items(), strict=True):
        for name, label in series.items():
            line = axes.plot(range(1, len(rows) + 1), [row[f"serl/drift/{name}"] for row in rows], "o-", label=label)[
                0
            ]
            of_seeds = [row[f"serl/drift/seeds_{name}"] for row in rows if f"serl/drift/seeds_{name}" in row]
            if of_seeds:
                axes.plot(range(1, len(of_seeds) + 1), of_seeds, "--", color=line.get_color(), label="of the seeds")
        if title == "far from all seeds":
            axes.axhline(MAX_FRAC_FAR, color="grey", linestyle=":", label="warning")
        axes.set(title=title, xlabel="iteration")
        axes.set_ylim(0, 1.15 * axes.get_ylim()[1] if title == "length" else max(1, axes.get_ylim()[1]))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="x-small", framealpha=0.6)
    path = run_dir / "drift.png"
    figure.savefig(path, dpi=120)
    return path


def instruction_table(run_dir: str | Path, is_well_formed: Callable[[str], bool] | None = None) -> Table:
    """
    What the policy wrote in each iteration, from the `instructions` of a run folder.

    Args:
        run_dir (`str` or `Path`): The run folder.
        is_well_formed (`Callable[[str], bool]`, *optional*): Judges a kept instruction, where there is an oracle.

    Returns:
        `rich.table.Table`: Instructions written, kept and rejected by each filter, and the mean vote share of those kept.
    """
    table = Table(title="Instructions")
    headings = ["iteration", "written", "kept", "rejected", "vote share", *(["well formed"] if is_well_formed else [])]
    for heading in headings:
        table.add_column(heading, justify="right")
    paths = sorted(
        Path(run_dir, "instructions").glob("iteration_*.jsonl"), key=lambda path: (len(path.name), path.name)
    )
    for number, path in enumerate(paths, 1):
        rows = _rows(path)
        kept = [row for row in rows if row["is_kept"]]
        rejected = Counter(name for row in rows for name, verdict in row["verdicts"].items() if not verdict["kept"])
        shares = [row["vote_share"] for row in kept if row["vote_share"] is not None]
        cells = [str(number), str(len(rows)), str(len(kept))]
        cells.append(", ".join(f"{name} {count}" for name, count in rejected.items()) or "none")
        cells.append(f"{sum(shares) / len(shares):.2f}" if shares else "-")
        if is_well_formed:
            cells.append(f"{sum(is_well_formed(row['text']) for row in kept) / len(kept):.0%}")
        table.add_row(*cells)
    return table


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
