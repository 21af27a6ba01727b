"""The run folder, its page and pictures."""

from .figures import picture_style, styled_figure
from .page import page_or_warning, write_page
from .png_figures import drift_plot, instruction_table, learning_curves
from .run_folder import Point, RunFolder, rejection_of
from .run_record import write_run_record


__all__ = [
    "Point",
    "RunFolder",
    "drift_plot",
    "instruction_table",
    "learning_curves",
    "page_or_warning",
    "picture_style",
    "rejection_of",
    "styled_figure",
    "write_page",
    "write_run_record",
]
