"""How long does a run hold, with the gate and without? A thousand steps, watched for where accuracy falls and which sign comes first.

    python recipes/experiments/long_run.py                                  the laboratory, seed 0
    python recipes/experiments/long_run.py --config CONFIG --dataset_name openai/gsm8k --dataset_config main \
        --eval_file problems.jsonl --num_steps 1000

Rewards of a model's own making are known to rise and then to fall. Half of the studies' batch a step, so that a thousand are affordable;
and instructions are new below a ROUGE-L of 0.9, for the laboratory's problems are a few words around names and numbers: at 0.7 three
quarters of what is written are rejected once five hundred have been kept, and ever more.
"""

from argparse import Namespace
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from arms import LABORATORY, Arm, Bench  # beside this file, like study
from collapse_alarms import outcome, smoothed
from serl_trl.laboratory import solve
from serl_trl.monitoring import CollapseLimits
from serl_trl.reports import RunFolder
from study import UNGATED, WIDER, Finding, arms_panel, figure_of, raw_runs, run_study, study_arguments


METRICS = ("sampled pass@1", "greedy pass@1")
LABORATORY_STEPS = {
    "num_instructions": 400,
    **WIDER,
    "generation_batch_size": 64,
    "gradient_accumulation_steps": 1,
    "eval_every": 25,
    "probe_every": 10,
    "save_steps": 50,
}


def study(args: Namespace, bench: Bench) -> Finding:
    """Does both runs, and reads their logs as a guard does."""
    num_steps = 4 if args.quick else args.num_steps
    flags = {"max_steps": num_steps, "num_train_epochs": num_steps}  # the steps end it
    if args.config == LABORATORY and not args.quick:
        flags |= LABORATORY_STEPS
    runs = bench.run([Arm("gate", flags), Arm("no gate", flags | UNGATED)], args.seeds)
    rows = [
        row_of(name, seed, folder, metric)
        for name, folders in runs.items()
        for seed, folder in folders.items()
        for metric in METRICS
    ]
    told = "; ".join(
        f"{row['arm']}, seed {row['seed']}, {row['metric']} peaks at {row['peak (%)']} % (step {row['at step']}) and ends at "
        f"{row['end (%)']} %, {row['lost (points)']} points lower at most; "
        + (f"the first sign is {row['sign']} at step {row['sign at step']}" if row["sign"] else "no sign of collapse")
        for row in rows
    )
    panels = {
        title: arms_panel(runs, key)
        for title, key in (
            *((metric, f"eval_{metric}") for metric in METRICS),
            ("vote reward", "reward"),
            ("vote share", "serl/vote/share_mean"),
            ("groups kept", "serl/gate/frac_kept"),
            ("probes that gave up a settled answer", "serl/probe/frac_abandoned"),
        )
    }
    if args.config == LABORATORY:
        panels["winners that are right, all shares"] = winners_panel(runs, (0, 1))
        panels["winners that are right, share 0.2 to 0.8"] = winners_panel(runs, (0.2, 0.8))
    return Finding(rows, f"Averaged over three measurements: {told}.", figure_of(panels), raw_runs(runs))


def row_of(name: str, seed: int, folder: RunFolder, metric: str) -> dict:
    """Where an accuracy peaks, what it loses after, and the first sign of collapse."""
    points = smoothed(folder.points(f"eval_{metric}"))
    peak = max(points, key=lambda point: point.value)
    found = outcome(folder, CollapseLimits(), f"eval_{metric}")
    return {
        "arm": name,
        "seed": seed,
        "steps": folder.last_step,
        "metric": metric,
        "peak (%)": f"{100 * peak.value:.1f}",
        "at step": peak.step,
        "end (%)": f"{100 * points[-1].value:.1f}",
        "lost (points)": f"{100 * found.most_lost:.1f}",
        "5 points lost at step": found.fallen_at or "",
        "sign": found.sign or "",
        "sign at step": found.alarm_at or "",
    }


def winners_panel(runs: Mapping[str, Mapping[int, RunFolder]], band: tuple[float, float]) -> Callable[[Any], None]:
    """A panel for `figure_of`: of the laboratory's instructions with a vote share in the band, how many winners the oracle confirms."""

    def panel(axes: Any) -> None:
        for name, folders in runs.items():
            by_seed = [winners_right(folder, band) for folder in folders.values()]
            iterations = sorted(set.intersection(*map(set, by_seed)))
            axes.plot(iterations, [fmean(right[i] for right in by_seed) for i in iterations], label=name)
        axes.set(xlabel="iteration", ylim=(0, 1))

    return panel


def winners_right(folder: RunFolder, band: tuple[float, float]) -> dict[int, float]:
    """By iteration the share of winners that are right, of the instructions that the oracle can solve."""
    verdicts: dict[int, list[bool]] = {}
    for iteration, row in folder.instructions():
        problem = solve(row["text"])
        if problem and row.get("vote_share") is not None and band[0] <= row["vote_share"] <= band[1]:
            verdicts.setdefault(iteration, []).append(row.get("vote_answer") == str(problem.answer))
    return {iteration: sum(right) / len(right) for iteration, right in verdicts.items()}


if __name__ == "__main__":
    parser = study_arguments(__doc__, num_seeds=1)
    parser.add_argument("--num_steps", type=int, default=1000, help="optimiser steps; default: 1000")
    run_study("long_run", parser, study)
