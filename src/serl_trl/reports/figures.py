"""The pictures of a run, each drawn on axes of its own: together as a PNG, or one by one as SVG in a page."""

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import matplotlib.figure
from cycler import cycler
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..instructions import MAX_FRAC_FAR
from ..voting import NUM_SHARE_BINS, share_bins
from .run_folder import Point, RunFolder, evenly


ACCURACY = "accuracy on held-out problems"
CURVES = {
    "reward": {"reward": "vote reward"},
    "vote share": {
        "serl/vote/share_mean": "mean vote share",
        "serl/probe/frac_abandoned": "probes that gave up a settled answer",
    },
    ACCURACY: {"eval_sampled pass@1": "sampled", "eval_greedy pass@1": "greedy"},
    "groups": {
        "serl/gate/frac_filled": "batch filled",
        "serl/gate/frac_kept": "kept",
        "serl/gate/frac_too_hard": "too hard",
        "serl/gate/frac_too_easy": "too easy",
    },
}


DRIFT = {
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

MAX_HISTOGRAMS = 6  # iterations side by side that can still be told apart
MAX_NAME_CHARS = 30  # of a filter, in a legend
MAX_STARTS = 40  # of iterations, as lines in a picture
MAX_BARS = 12  # iterations below one another in the picture of the filters

_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"  # as ElementTree names it

# In a page the colours become variables of its style sheet, so that they follow its light and dark theme.
_SERIES = ("#1f6fb4", "#c2570c", "#2a7f4e", "#9a3b8f", "#7d6608", "#4f5b66")
_INK, _RULE = "#1d2329", "#c9ced4"
_VARIABLES = {_INK: "var(--ink)", _RULE: "var(--rule)"} | {
    colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES, 1)
}
_STYLE: dict[str, Any] = {
    "axes.prop_cycle": cycler(color=_SERIES),
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 11,
    "grid.color": _RULE,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "text.color": _INK,
    "text.parse_math": False,  # a name with dollars is not to be read as a formula
    "svg.fonttype": "none",  # text stays text: small, and to be searched
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def curves_of(folder: RunFolder) -> dict[str, dict[str, str]]:
    """The labels of what is drawn, by title and key: `CURVES`, maj@k beside pass@1, and a picture of the watched sets if any."""
    keys = list(dict.fromkeys(key for row in folder.metrics for key in row))
    ceilings = {key: key.removeprefix("eval_") for key in keys if re.fullmatch(r"eval_maj@\d+", key)}
    watched = {key: _drawable(match[1]) for key in keys if (match := re.fullmatch("eval_(.+)_greedy pass@1", key))}
    curves = CURVES | {ACCURACY: CURVES[ACCURACY] | ceilings}
    return curves | ({"greedy accuracy on watched sets": watched} if watched else {})


def draw_curve(axes: Axes, folder: RunFolder, series: Mapping[str, str]) -> None:
    """Draws shares by optimiser step, with a line where each iteration begins."""
    for key, label in series.items():
        points = folder.points(key)
        if points:
            # lines that fall together, such as two at zero, show through the gaps of the later one
            style = "-" if len(axes.lines) < 3 else (0, (3, 1.5))
            axes.plot(
                *zip(*points, strict=True), label=label, linestyle=style, marker="." if len(points) < 30 else None
            )
    starts = iteration_starts(folder)
    for number, step in enumerate(starts, 2):
        axes.axvline(step, color=_RULE, linestyle="--", linewidth=1, zorder=0)
        if len(starts) <= 8:
            name = f"iteration {number}" if len(starts) <= 3 else str(number)
            axes.text(step, 1.0, name, transform=axes.get_xaxis_transform(), va="bottom", ha="center", fontsize=9)
    last_step = max(1, folder.last_step)
    axes.set(xlabel="optimiser step", xlim=(-0.02 * last_step, 1.02 * last_step), ylim=(0, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.5)
    _legend_below(axes)


def iteration_starts(folder: RunFolder) -> list[float]:
    """Where iterations begin, the first left out, between steps; empty where so many lines would fill the picture."""
    size = folder.steps_per_iteration
    if size is None or size < 1:
        return []
    starts, step = [], size
    while step < folder.last_step - 1e-3:
        starts.append(step + 0.5)
        step += size
    return starts if len(starts) <= MAX_STARTS else []


def drift_rows(folder: RunFolder) -> list[dict[str, Any]]:
    """What was logged of drift: one row an iteration, or with `regenerate="step"` one a rollout."""
    return [row for row in folder.metrics if row.get("serl/drift/seed_distance") is not None]


def draw_drift(axes: Axes, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draws one panel of [`DRIFT`]: each iteration's instructions, dashed the seeds, dotted where a warning is given."""
    for name, label in DRIFT[title].items():
        points = [Point(i, row[f"serl/drift/{name}"]) for i, row in enumerate(rows, 1) if f"serl/drift/{name}" in row]
        line = (
            axes.plot(*zip(*points, strict=True), "o-" if len(points) < 100 else "-", label=label)[0]
            if points
            else None
        )
        name = f"serl/drift/seeds_{name}"
        of_seeds = [Point(i, row[name]) for i, row in enumerate(rows, 1) if name in row]
        if of_seeds and line is not None:
            is_first = all(other.get_label() != "of the seeds" for other in axes.lines)
            colour, label = line.get_color(), "of the seeds" if is_first else "_"
            axes.plot(*zip(*of_seeds, strict=True), "--", color=colour, label=label)
    if title == "far from all seeds":
        axes.axhline(MAX_FRAC_FAR, color=_INK, linestyle=":", label="warning")
    axes.set_xlabel("iteration" if len(rows) <= 20 else "time that instructions were written")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1] if title == "length" else max(1, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.5)
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    """A legend where it hides no line."""
    num_labels = len(axes.get_legend_handles_labels()[0])
    if num_labels:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=min(2, num_labels))


def share_histograms(folder: RunFolder) -> dict[int, list[float]]:
    """
    The share of groups in each fifth of the vote share, by iteration.

    From what was logged, where groups that were replaced count, too; else from the instructions that were kept.
    """
    names = [f"serl/vote/frac_share_{name}" for name in share_bins()]
    by_iteration: dict[int, list[list[float]]] = {}
    for row in folder.metrics:
        if all(isinstance(row.get(name), float | int) for name in names):
            by_iteration.setdefault(folder.iteration_of(row["step"]), []).append([row[name] for name in names])
    if by_iteration:
        return {
            number: [sum(column) / len(rows) for column in zip(*rows, strict=True)]
            for number, rows in by_iteration.items()
        }
    return {
        iteration.number: list(share_bins(iteration.shares).values())
        for iteration in folder.iterations
        if iteration.shares
    }


def draw_histograms(axes: Axes, histograms: Mapping[int, Sequence[float]], band: tuple[float, float] | None) -> None:
    """Draws [`share_histograms`], iterations side by side; what is outside of the band is shaded."""
    chosen = evenly(list(histograms), MAX_HISTOGRAMS)
    width = 0.85 / NUM_SHARE_BINS / max(len(chosen), 1)
    for i, number in enumerate(chosen):
        left = [(place + 0.075) / NUM_SHARE_BINS + i * width for place in range(NUM_SHARE_BINS)]
        axes.bar(left, histograms[number], width * 0.92, align="edge", label=f"iteration {number}")
    if band is not None:
        for start, end in ((0, band[0]), (band[1], 1)):
            if end > start:
                axes.axvspan(start, end, color=_RULE, alpha=0.35, linewidth=0, zorder=0)
    axes.set(xlabel="vote share of a group", ylabel="share of the groups", xlim=(0, 1), ylim=(0, None))
    axes.grid(axis="y", alpha=0.5)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def draw_funnel(axes: Axes, folder: RunFolder) -> None:
    """Draws a bar an iteration: what became of the instructions that were written."""
    chosen = evenly(folder.iterations, MAX_BARS)
    filters = list(dict.fromkeys(name for iteration in chosen for name in iteration.rejected_by()))
    parts: list[tuple[str, list[int]]] = []
    if folder.band is None:
        parts.append(("kept", [iteration.num_kept for iteration in chosen]))
    else:
        band = folder.band
        inside = [iteration.num_in_band(*band) for iteration in chosen]
        voted = [len(iteration.shares) for iteration in chosen]
        parts.append(("in the band", inside))
        parts.append(("outside the band", [all_ - some for all_, some in zip(voted, inside, strict=True)]))
        parts.append(("kept, not used", [it.num_kept - num for it, num in zip(chosen, voted, strict=True)]))
    parts += [(name, [iteration.rejected_by().get(name, 0) for iteration in chosen]) for name in filters]
    left = [0] * len(chosen)
    for place, (label, counts) in enumerate(parts):
        colour = _SERIES[place % len(_SERIES)]
        is_rejected = label in filters
        axes.barh(
            range(len(chosen)),
            counts,
            left=left,
            height=0.62,
            color=colour,
            alpha=0.55 if is_rejected else 1.0,
            label=f"rejected: {_drawable(label)}" if is_rejected else label,
        )
        left = [start + count for start, count in zip(left, counts, strict=True)]
    axes.set_yticks(range(len(chosen)), [f"iteration {iteration.number}" for iteration in chosen])
    axes.invert_yaxis()
    axes.set_xlabel("instructions written")
    axes.grid(axis="x", alpha=0.5)
    axes.set_axisbelow(True)
    num_columns = 2 if max(map(len, axes.get_legend_handles_labels()[1]), default=0) <= 30 else 1
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=num_columns)


def _drawable(name: str) -> str:
    """A name as matplotlib can set it: short, and of characters that can be printed."""
    return "".join(char if char.isprintable() else "?" for char in name[:MAX_NAME_CHARS])


def styled_figure(figsize: tuple[float, float] | None = None) -> matplotlib.figure.Figure:
    """A figure that is drawn within the style of these pictures; call it inside `picture_style()`."""
    return matplotlib.figure.Figure(layout="constrained", figsize=figsize)


def picture_style(**settings: object) -> AbstractContextManager[None]:
    """The style of these pictures, as a context."""
    values: Any = {**_STYLE, **settings}
    return matplotlib.rc_context(values)


def svg(draw: Callable[[Axes], object], name: str, alt: str, size: tuple[float, float] = (5.0, 3.4)) -> Markup:
    """
    A picture as an SVG element for a page: no document of its own, no fonts, colours by variables.

    Args:
        draw (`Callable[[Axes], object]`): Draws it.
        name (`str`): Distinguishes its parts from those of other pictures in the page.
        alt (`str`): What it shows, in words.
        size (`tuple[float, float]`): Width and height in inches, at 72 points each.
    """
    with picture_style(**{"svg.hashsalt": name}):
        figure, file = styled_figure(figsize=size), io.StringIO()
        draw(figure.subplots())
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    body = Markup("".join(_parts_for_page(file.getvalue())))
    width, height = (round(72 * inches, 1) for inches in size)
    head = Markup('<svg class="picture" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, alt)
    return head + body + Markup("</svg>")


def _parts_for_page(document: str) -> list[str]:
    """The elements of matplotlib's SVG document as they go into a page, which gives them its fonts and colours."""
    root = ElementTree.fromstring(document)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # HTML knows SVG's elements without a namespace
        if _XLINK_HREF in element.attrib:
            element.set("href", element.attrib.pop(_XLINK_HREF))
        if element.tag == "g":
            element.attrib.pop(
                "id", None
            )  # the same in every picture; definitions have names of their own, by the salt
        if "style" in element.attrib:
            element.set("style", _style_for_page(element.attrib["style"]))
    # the style is in the page's style sheet, where it concerns pictures only
    kept = [child for child in root if child.tag != "metadata" and not any(part.tag == "style" for part in child)]
    return [ElementTree.tostring(child, encoding="unicode").strip() for child in kept]


def _style_for_page(style: str) -> str:
    """Declarations of CSS with the page's variables for colours, and without a font family."""
    declarations = []
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":  # matplotlib before 3.10: size and families in one
            name, value = "font-size", next(word for word in value.split() if word.endswith("px"))
        if name and name != "font-family":
            declarations.append(f"{name}: {_VARIABLES.get(value, value)}")
    return "; ".join(declarations)
