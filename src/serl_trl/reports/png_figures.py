"""A run folder for the eye: learning curves and drift as PNG, and a table of what was written for the terminal."""

from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from .figures import DRIFT, curves_of, draw_curve, draw_drift, drift_rows, picture_style, styled_figure
from .run_folder import RunFolder, rejection_of


def learning_curves(run_dir: str | Path) -> Path:
    """
    Draws `learning_curves.png` from the `metrics.jsonl` of a run folder.

    Args:
        run_dir (`str` or `Path`): The run folder.

    Returns:
        `Path`: The picture. Accuracy is drawn where labelled problems were measured.
    """
    folder = RunFolder(run_dir)
    with picture_style():
        curves = curves_of(folder)
        num_rows = (len(curves) + 1) // 2
        figure = styled_figure(figsize=(11, 3.25 * num_rows))
        for place, (title, series) in enumerate(curves.items(), 1):
            axes = figure.add_subplot(num_rows, 2, place)
            draw_curve(axes, folder, series)
            axes.set_title(title, pad=14)  # above the names of the iterations
        path = folder.path / "learning_curves.png"
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
    folder = RunFolder(run_dir)
    rows = drift_rows(folder)
    if not rows:
        return None
    with picture_style():
        figure = styled_figure(figsize=(11, 9.75))
        for axes, title in zip(figure.subplots(3, 2).flat, DRIFT, strict=True):
            draw_drift(axes, rows, title)
            axes.set_title(title)
        path = folder.path / "drift.png"
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
    folder = RunFolder(run_dir)
    num_well_formed = dict.fromkeys(folder.instruction_files, 0)
    if is_well_formed is not None:
        for number, row in folder.instructions():
            num_well_formed[number] += rejection_of(row) is None and is_well_formed(row["text"])
    table = Table(title="Instructions")
    headings = ["iteration", "written", "kept", "rejected", "vote share", *(["well formed"] if is_well_formed else [])]
    for heading in headings:
        table.add_column(heading, justify="right")
    for iteration in folder.iterations:
        shares, rejected = iteration.shares, iteration.rejected_by()
        cells = [str(iteration.number), str(iteration.num_written), str(iteration.num_kept)]
        cells.append(", ".join(f"{name} {count}" for name, count in rejected.items()) or "none")
        cells.append(f"{sum(shares) / len(shares):.2f}" if shares else "-")
        if is_well_formed:
            num = iteration.num_kept
            cells.append(f"{num_well_formed[iteration.number] / num:.0%}" if num else "-")
        table.add_row(*cells)
    return table
