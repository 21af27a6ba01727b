"""Does a CollapseGuard see a collapse before accuracy has fallen, and is it silent while all is well? Runs that collapse, and runs that do not.

    python recipes/experiments/collapse_alarms.py --seeds 0 1 2 3 4 5 6 7 8 9      the laboratory
    python recipes/experiments/collapse_alarms.py --limits abandoned=0.04          the same runs, read with another limit

Half of the runs are strained (no gate, no KL, a high learning rate, fixed prompts), half are left as configured: even seeds write their prompts, odd ones have fixed ones.
Accuracy is a mean over three measurements, for single ones are noisy: a run has collapsed if that falls 10 points below its peak so far, and
the alarm was in time if it came no later than the first measurement 5 points below the peak.
"""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from arms import Arm, Bench  # beside this file, like study
from serl_trl.monitoring import CollapseLimits, CollapseSigns
from serl_trl.reports import Point, RunFolder
from study import UNGATED, Finding, arms_panel, figure_of, raw_runs, run_study, study_arguments


ACCURACY = "eval_sampled pass@1"
COLLAPSED = 0.10  # lost at some time
FALLEN = 0.05  # lost before the alarm is late
HEALTHY = 0.03  # lost at no time
DENSE = {"probe_every": 1}  # a run of some dozens of steps falls within a few
FIXED = {"self_instruct": False, "num_seeds": 160}
STRAIN = {**FIXED, **UNGATED, "num_train_epochs": 4, "learning_rate": "4e-4", "beta": 0, "eval_every": 2}


class Outcome(NamedTuple):
    """What became of a run: accuracy lost at the end and at most, step at which it had fallen, and step and name of the first sign."""

    lost: float
    most_lost: float
    fallen_at: int | None
    alarm_at: int | None
    sign: str | None

    @property
    def collapsed(self) -> bool:
        """Whether the run fell far below its peak, for a while or for good."""
        return self.most_lost >= COLLAPSED

    @property
    def in_time(self) -> bool:
        """Whether the alarm came before accuracy had fallen."""
        return self.alarm_at is not None and (self.fallen_at is None or self.alarm_at <= self.fallen_at)


def outcome(folder: RunFolder, limits: CollapseLimits, accuracy: str = ACCURACY) -> Outcome:
    """Reads the logs of a run as a guard with these limits does."""
    points = smoothed(folder.points(accuracy))
    peaks = [max(point.value for point in points[: i + 1]) for i in range(len(points))]
    fallen = [point.step for point, peak in zip(points, peaks, strict=True) if peak - point.value >= FALLEN]
    signs = CollapseSigns(limits)
    alarms = [(row["step"], sign.name) for row in folder.metrics for sign in signs.update(row)]
    alarm_at, sign = alarms[0] if alarms else (None, None)
    losses = [peak - point.value for point, peak in zip(points, peaks, strict=True)]
    return Outcome(losses[-1], max(losses), fallen[0] if fallen else None, alarm_at, sign)


def smoothed(points: Sequence[Point]) -> list[Point]:
    """
    Each value averaged with the one before and the one after, where there are such.

    Example:

    ```python
    >>> [point.value for point in smoothed([Point(0, 1.0), Point(3, 2.0), Point(6, 6.0)])]
    [1.5, 3.0, 4.0]

    ```
    """
    near = [[p.value for p in points[max(i - 1, 0) : i + 2]] for i in range(len(points))]
    return [Point(point.step, sum(values) / len(values)) for point, values in zip(points, near, strict=True)]


def study(args: Namespace, bench: Bench) -> Finding:
    """Runs both kinds, and reads them with the limits that are asked for."""
    limits = replace(CollapseLimits(), **limits_of(args.limits))
    even, odd = ([seed for seed in args.seeds if seed % 2 == rest] for rest in (0, 1))
    runs = bench.run([Arm("strained", DENSE | STRAIN)], args.seeds)
    runs |= bench.run([Arm("as configured", DENSE)], even)
    runs |= bench.run([Arm("as configured, fixed prompts", DENSE | FIXED)], odd)
    found = {
        (name, seed): outcome(folder, limits) for name, folders in runs.items() for seed, folder in folders.items()
    }
    rows = [
        {
            "run": name,
            "seed": seed,
            "lost (points)": f"{100 * one.most_lost:.1f}",
            "lost at the end (points)": f"{100 * one.lost:.1f}",
            "5 points lost at step": one.fallen_at or "",
            "alarm at step": one.alarm_at or "",
            "sign": one.sign or "",
        }
        for (name, seed), one in found.items()
    ]
    collapsed = [one for one in found.values() if one.collapsed]
    healthy = [one for one in found.values() if one.most_lost < HEALTHY]
    late = sum(one.alarm_at is not None for one in collapsed) - sum(one.in_time for one in collapsed)
    paragraph = (
        f"Of {len(collapsed)} runs that collapsed, {sum(one.in_time for one in collapsed)} had an alarm before accuracy had fallen 5 points, "
        f"{late} later, {sum(one.alarm_at is None for one in collapsed)} none. Of {len(healthy)} runs whose accuracy never fell {100 * HEALTHY:.0f} points, "
        f"{sum(one.alarm_at is not None for one in healthy)} had an alarm. {len(found) - len(collapsed) - len(healthy)} runs fell in between."
    )

    drawn = {name: folders for name, folders in runs.items() if folders}
    panels = {
        "sampled pass@1": arms_panel(drawn, ACCURACY),
        "probes that gave up a settled answer": arms_panel(drawn, "serl/probe/frac_abandoned"),
        "vote share": arms_panel(drawn, "serl/vote/share_mean"),
        "entropy": arms_panel(drawn, "entropy"),
    }
    return Finding(rows, paragraph, figure_of(panels), raw_runs(runs))


def limits_of(pairs: Sequence[str]) -> dict[str, Any]:
    """
    Limits from a command line.

    Example:

    ```python
    >>> limits_of(["abandoned=0.04", "frac_kept=none"])
    {'abandoned': 0.04, 'frac_kept': None}

    ```
    """
    split = (pair.split("=", 1) for pair in pairs)
    return {name: None if value.lower() == "none" else float(value) for name, value in split}


if __name__ == "__main__":
    parser = study_arguments(__doc__, num_seeds=10)
    parser.add_argument("--limits", nargs="+", default=[], metavar="NAME=VALUE", help="other limits than the defaults")
    run_study("collapse_alarms", parser, study)
