import json

import pytest
from rich.console import Console

from serl_trl.instructions.drift import DriftMonitor
from serl_trl.reports.png_figures import drift_plot, instruction_table, learning_curves


def write_lines(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def instruction(text, share=None, **verdicts):
    verdicts = {name: {"kept": kept} for name, kept in verdicts.items()}
    return {
        "text": text,
        "is_kept": all(v["kept"] for v in verdicts.values()),
        "verdicts": verdicts,
        "vote_share": share,
    }


@pytest.fixture
def run_dir(tmp_path):
    rows = [
        instruction("good one", 0.5, length=True, novelty=True),
        instruction("bad one", 0.25, length=True, novelty=True),
        instruction("x", length=False),
        instruction("good one", length=True, novelty=False),
        instruction("good one", length=True, novelty=False),
    ]
    write_lines(tmp_path / "instructions" / "iteration_1.jsonl", rows)
    write_lines(
        tmp_path / "metrics.jsonl",
        [{"step": 0, "eval_sampled pass@1": 0.4}, {"step": 1, "reward": 0.3, "serl/vote/share_mean": None}],
    )
    return tmp_path


def test_instruction_table_counts_by_filter(run_dir):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(instruction_table(run_dir, lambda text: text.startswith("good")))
    row = next(line for line in capture.get().splitlines() if "length" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "1",
        "5",
        "2",
        "length 1, novelty 2",
        "0.38",
        "50%",
    ]


def test_curves_are_drawn_even_where_there_are_gaps(run_dir):
    path = learning_curves(run_dir)
    assert path == run_dir / "learning_curves.png"
    assert path.stat().st_size > 10_000


def test_drift_is_drawn_where_it_was_measured(run_dir):
    assert drift_plot(run_dir) is None
    metrics = DriftMonitor(["Add 2 and 3.", "Take 1 from 2."]).measure(["Add 5 and 5."], ["Add 2 and 3."])
    write_lines(run_dir / "metrics.jsonl", [{"step": step, **metrics} for step in (1, 6)])
    path = drift_plot(run_dir)
    assert path == run_dir / "drift.png"
    assert path.stat().st_size > 10_000
