"""The sections of a run's page: of each its heading, its pictures with captions, its numbers, and what is missing."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ..instructions import MAX_FRAC_FAR
from ..voting import share_bins
from .figures import (
    ACCURACY,
    DRIFT,
    MAX_BARS,
    curves_of,
    draw_curve,
    draw_drift,
    draw_funnel,
    draw_histograms,
    drift_rows,
    share_histograms,
    svg,
)
from .page_samples import held_out_samples, instruction_rows, trained_samples
from .run_folder import Point, RunFolder, evenly, is_number


MAX_SETTING_CHARS = 300
WIDE = (6.2, 3.6)  # inches, of a picture that has a row of the page to itself

logger = logging.getLogger(__name__)


def page_contents(folder: RunFolder) -> dict[str, Any]:
    """What the template shows: of each section its heading, its pictures with captions, and what is missing."""
    sections = {
        "verdict": _verdict,
        "curves": _curves,
        "votes": _votes,
        "funnel": _funnel,
        "drift": _drift,
        "instructions": instruction_rows,
        "held_out": held_out_samples,
        "trained": trained_samples,
        "settings": _settings,
    }
    contents = {"run": _run(folder)} | {name: _or_error(section, folder) for name, section in sections.items()}
    return {**contents, "torn": dict(folder.torn)}  # last, for only now is everything read


def _or_error(section: Callable[[RunFolder], dict[str, Any]], folder: RunFolder) -> dict[str, Any]:
    """A section, or the word that it could not be drawn: a file of an odd kind takes no other section with it."""
    try:
        return section(folder)
    except Exception as error:
        logger.warning(f"A part of the page could not be drawn: {error!r}", exc_info=True)
        return {"title": "This part could not be drawn", "missing": f"{type(error).__name__}: {error}"}


# Sections ----------------------------------------------------------------------------------------------------------


def _run(folder: RunFolder) -> dict[str, Any]:
    record = folder.record
    facts: list[tuple[str, Any]] = [("Run folder", folder.path.resolve().name)]
    sessions = [session for session in (record.get("sessions") or []) if isinstance(session, dict)]
    if record.get("started"):
        facts.append(("Started", _date(record["started"])))
    resumed = [f"from {s['resumed_from']}, {_date(s.get('started'))}" for s in sessions if s.get("resumed_from")]
    if resumed:
        facts.append(("Resumed", "; ".join(resumed)))
    planned = _planned_steps(folder)
    steps = str(folder.last_step) if folder.is_finished or planned is None else f"{folder.last_step} of {planned}"
    facts.append(("Optimiser steps", steps))
    iterations = folder.setting("num_train_epochs")
    begun = max([*folder.instruction_files, folder.iteration_of(folder.last_step) if folder.last_step else 0])
    facts.append(("Iterations", f"{begun:g} of {iterations:g}" if iterations and begun != iterations else f"{begun}"))
    seconds = folder.evaluation.get("train_seconds") or next((p.value for p in folder.points("train_runtime")), None)
    if isinstance(seconds, float | int):
        facts.append(
            ("Training", f"{seconds:.0f} s" if seconds < 600 else f"{seconds:.0f} s ({seconds / 60:.0f} min)")
        )
    environment = _dict(record.get("environment"))
    if environment:
        number = environment.get("processes")
        facts.append(("Ran on", f"{environment.get('device')}, {number} {'process' if number == 1 else 'processes'}"))
    if folder.setting("seed") is not None:
        facts.append(("Seed", folder.setting("seed")))
    return {
        "name": folder.path.resolve().name,
        "model": record.get("model"),
        "facts": facts,
        "is_finished": folder.is_finished,
        "alarms": _alarms(folder),
        "missing": None
        if record
        else "There is no run.json, so model, date, settings and environment are not known. recipes/serl_math.py "
        "writes it as a run starts.",
    }


def _verdict(folder: RunFolder) -> dict[str, Any]:
    columns = {name: scores for name in ("before", "after") if (scores := _scores(folder.evaluation.get(name)))}
    if not columns:
        missing = "The run has not measured anything. --eval_file FILE gives it labelled problems, of which training sees none."
        if not folder.is_finished:
            missing = "evaluation.json is written when a run has come to its end, which this one has not."
        return {"title": "There is no verdict", "missing": missing}
    rows = _score_rows(columns)
    for name, scores in _dict(folder.evaluation.get("watched")).items():
        watched = {when: _scores(_dict(scores).get(when)) for when in columns}
        rows += [(f"{row[0]} on {name}", *row[1:]) for row in _score_rows(watched)]
    told = [m for m in ("sampled pass@1", "greedy pass@1") if all(m in scores for scores in columns.values())]
    title = "; ".join(_moved(metric, [columns[name][metric] for name in columns]) for metric in told)
    head, _ = folder.held_out("after")
    num = head.get("num_problems")
    return {
        "title": title[:1].upper() + title[1:] or "What was measured",
        "columns": list(columns),
        "rows": rows,
        "note": (f"{num} held-out problems, {head.get('num_samples')} samples each. " if num else "") + _gains(folder),
        "missing": None,
    }


def _gains(folder: RunFolder) -> str:
    """Sentences on what each gain is made of."""
    told = []
    for metric, gain in _dict(folder.evaluation.get("gain")).items():
        found = (_dict(gain).get(part) for part in ("total", "from_no_answer", "from_wrong_answer"))
        parts = [part for part in found if part]
        if len(parts) == 3:
            total, silent, wrong = (_signed(part[0], metric) for part in parts)
            low, high = (_signed(end, metric) for end in parts[0][1:])
            told.append(
                f"The change of {metric} is {total} (paired 95% interval {low} to {high}): {silent} from completions without "
                f"an answer, {wrong} from wrong answers. "
            )
    return "".join(told)


def _score_rows(columns: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[Any], str | None]]:
    """Each metric with its value in each column, and how it has changed."""
    rows = []
    for metric in dict.fromkeys(name for scores in columns.values() for name in scores):
        row = [columns[name].get(metric) for name in columns]
        change = _signed(row[-1][0] - row[0][0], metric) if len(row) == 2 and row[0] and row[-1] else None
        rows.append((metric, [score and _interval(score, metric) for score in row], change))
    return rows


def _alarms(folder: RunFolder) -> list[str]:
    """What a guard has noticed, a sentence each."""
    found = folder.collapse.get("alarms")
    alarms = [alarm for alarm in found if isinstance(alarm, dict)] if isinstance(found, list) else []
    told = [f"Step {alarm.get('step')}: the votes may have collapsed. {alarm.get('evidence')}." for alarm in alarms]
    restored = folder.collapse.get("restored")
    return told + ([f"The model is that of {restored}, the last checkpoint without a sign."] if restored else [])


def _curves(folder: RunFolder) -> dict[str, Any]:
    pictures: list[dict[str, Any]] = []
    for title, series in curves_of(folder).items():
        spans = [(label, folder.points(key)) for key, label in series.items()]
        caption = "; ".join(f"{label} {_span(points)}" for label, points in spans if points)
        if caption:
            drawn = svg(partial(draw_curve, folder=folder, series=series), f"curve {title}", caption)
            pictures.append({"title": title, "svg": drawn, "caption": caption})
        elif title == ACCURACY:
            missing = "Not measured while training: --eval_file FILE measures as iterations end, --eval_every N every N steps, too."
            pictures.append({"title": title, "svg": None, "caption": missing})
    if not any(picture["svg"] for picture in pictures):
        missing = "metrics.jsonl has no training step. It is written from the first step that is logged on."
        return {"title": "No step was logged", "pictures": [], "missing": missing}
    rewards = folder.points("reward")
    title = f"The mean reward went {_ends(rewards)}" if rewards else "Learning curves"
    return {"title": title, "pictures": pictures, "missing": None}


def _votes(folder: RunFolder) -> dict[str, Any]:
    histograms = share_histograms(folder)
    if not histograms:
        missing = "Nothing was logged about votes: the run has no reward by vote, or did not get to its first step."
        return {"title": "No votes were logged", "missing": missing}
    first, last = min(histograms), max(histograms)
    num_iterations = len(histograms)
    histograms = {number: histograms[number] for number in evenly(sorted(histograms), MAX_BARS)}
    names = [name.replace("_", " ") for name in share_bins()]
    inside = {number: sum(shares[1:4]) for number, shares in histograms.items()}
    title = f"Vote shares between 0.2 and 0.8: {inside[first]:.0%} of the groups in iteration {first}"
    if last != first:
        title += f", {inside[last]:.0%} in iteration {last}"
    caption = "; ".join(
        f"iteration {n}: " + ", ".join(f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True))
        for n, shares in histograms.items()
    )
    drawn = svg(lambda axes: draw_histograms(axes, histograms, folder.band), "votes", caption, WIDE)
    rows = [(number, [f"{share:.0%}" for share in shares]) for number, shares in histograms.items()]
    return {
        "title": title,
        "svg": drawn,
        "names": names,
        "rows": rows,
        "band": folder.band,
        "note": _some_of(len(rows), num_iterations),
        "missing": None,
    }


def _funnel(folder: RunFolder) -> dict[str, Any]:
    iterations = [iteration for iteration in folder.iterations if iteration.num_written]
    if not iterations:
        why = "The run wrote no instructions: it trained with --self_instruct false"
        if folder.setting("self_instruct") is not False:
            why = (
                "There are no files in instructions/: the run has --self_instruct false, or wrote none before it ended"
            )
        return {"title": "No instructions were written", "missing": f"{why}."}
    written, kept = (sum(getattr(it, name) for it in iterations) for name in ("num_written", "num_kept"))
    rejected = sum((it.rejected for it in iterations), Counter[tuple[str, str]]())
    by_filter = sum((Counter(it.rejected_by()) for it in iterations), Counter[str]())
    title = f"{kept:,} of {written:,} instructions passed the filters"
    if by_filter:
        worst, count = by_filter.most_common(1)[0]
        title += f"; “{worst}” rejected most, {count:,}"
    num_iterations, iterations = len(iterations), evenly(iterations, MAX_BARS)
    rows: list[tuple[str, list[int], str]] = [("written", [it.num_written for it in iterations], "total")]
    for name, reason in rejected:
        rows.append(
            (f"rejected by {name}: {reason.replace('_', ' ')}", [it.rejected[name, reason] for it in iterations], "")
        )
    rows.append(("kept", [it.num_kept for it in iterations], "total"))
    rows.append(("voted on", [len(it.shares) for it in iterations], ""))
    if (band := folder.band) is not None:
        label = f"vote share in the band, {band[0]:g} to {band[1]:g}: trained on"
        rows.append((label, [it.num_in_band(*band) for it in iterations], "total"))
    caption = "; ".join(f"iteration {it.number}: {it.num_written} written, {it.num_kept} kept" for it in iterations)
    height = 1.9 + 0.42 * min(len(iterations), MAX_BARS)
    drawn = svg(lambda axes: draw_funnel(axes, folder), "filters", caption, (WIDE[0], max(2.9, height)))
    numbers = [it.number for it in iterations]
    return {
        "title": title,
        "svg": drawn,
        "numbers": numbers,
        "rows": rows,
        "band": band,
        "note": _some_of(len(numbers), num_iterations),
        "missing": None,
    }


def _drift(folder: RunFolder) -> dict[str, Any]:
    rows = drift_rows(folder)
    if not rows:
        missing = (
            "Nothing was logged about drift: it is measured where instructions are written, with two seeds or more."
        )
        return {"title": "No drift was measured", "missing": missing}
    pictures = []
    for title, series in DRIFT.items():
        parts = []
        for name, label in series.items():
            values = [
                Point(i, row[f"serl/drift/{name}"]) for i, row in enumerate(rows, 1) if f"serl/drift/{name}" in row
            ]
            seeds = rows[-1].get(f"serl/drift/seeds_{name}")
            beside = "" if seeds is None else f" (seeds {seeds:.2f})"
            parts += [f"{label} {_ends(values)}{beside}"] if values else []
        caption = "; ".join(parts)
        drawn = svg(partial(draw_drift, rows=rows, title=title), f"drift {title}", caption)
        pictures.append({"title": title, "svg": drawn, "caption": caption})
    far = rows[-1].get("serl/drift/frac_far")
    title = "Drift from the seeds"
    if far is not None:
        title = f"{far:.0%} of what was kept last lies far from all seeds"
    return {"title": title, "pictures": pictures, "is_far": far is not None and far > MAX_FRAC_FAR, "missing": None}


def _settings(folder: RunFolder) -> dict[str, Any]:
    record = folder.record
    if not record:
        missing = (
            "There is no run.json. recipes/serl_math.py writes one as a run starts; metrics and curves do without."
        )
        return {"title": "Settings are not known", "missing": missing}
    groups, changed = (
        {group: values for group, values in _dict(record.get(name)).items() if isinstance(values, dict)}
        for name in ("settings", "changed")
    )
    number = sum(map(len, changed.values()))
    environment = {key: value for key, value in _dict(record.get("environment")).items() if key != "packages"}
    return {
        "title": f"{number} settings differ from the defaults",
        "changed": [
            (g, n, _shown(c[0]), _shown(c[1])) for g, of in changed.items() for n, c in of.items() if _is_pair(c)
        ],
        "all": [(group, name, _shown(value)) for group, values in groups.items() for name, value in values.items()],
        "environment": [(name, _shown(value)) for name, value in environment.items()],
        "packages": list(_dict(_dict(record.get("environment")).get("packages")).items()),
        "missing": None,
    }


# Words and numbers -------------------------------------------------------------------------------------------------


def _planned_steps(folder: RunFolder) -> int | None:
    max_steps, iterations = folder.setting("max_steps"), folder.setting("num_train_epochs")
    if is_number(max_steps) and max_steps > 0:
        return int(max_steps)
    size = folder.steps_per_iteration
    return round(size * iterations) if size and is_number(iterations) else None


def _scores(values: object) -> dict[str, list[float]]:
    """The scores of a report that have a mean and an interval."""
    return {
        str(name): score
        for name, score in _dict(values).items()
        if isinstance(score, list) and len(score) == 3 and all(map(is_number, score))
    }


def _interval(score: Sequence[float], metric: str) -> tuple[str, str]:
    if metric == "tokens":
        return f"{score[0]:.1f}", f"{score[1]:.1f} to {score[2]:.1f}"
    return f"{score[0]:.1%}", f"{100 * score[1]:.1f} to {score[2]:.1%}"


def _signed(change: float, metric: str) -> str:
    shown = f"{change:+.1f}" if metric == "tokens" else f"{100 * change:+.1f} points"
    return shown.replace("-", "\u2212")


def _moved(metric: str, scores: Sequence[Sequence[float]]) -> str:
    """What a metric did, with the care that the intervals ask for."""
    before, after = scores[0], scores[-1]
    if len(scores) == 1:
        return f"{metric} was {before[0]:.1%} at the only measurement"
    values = f"from {before[0]:.1%} to {after[0]:.1%}"
    if after[1] > before[2]:
        return f"{metric} rose {values}"
    if after[2] < before[1]:
        return f"{metric} fell {values}"
    return f"{metric} went {values}, with intervals that overlap"


def _some_of(num_shown: int, number: int) -> str:
    return "" if num_shown == number else f"{num_shown} of {number} iterations, spread evenly."


def _ends(points: Sequence[Point]) -> str:
    first, last = points[0].value, points[-1].value
    return f"{last:.2f}" if len(points) == 1 else f"from {first:.2f} to {last:.2f}"


def _span(points: Sequence[Point]) -> str:
    if len(points) == 1:
        return f"{points[0].value:.2f} at step {points[0].step}"
    return f"{_ends(points)} (steps {points[0].step} to {points[-1].step})"


def _date(text: object) -> str:
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return str(text)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SETTING_CHARS else text[:MAX_SETTING_CHARS] + " \u2026"


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
