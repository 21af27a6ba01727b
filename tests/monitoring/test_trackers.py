"""Every metric and the table of completions, with the votes, in the files of each tracker."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


pytestmark = pytest.mark.slow  # all trackers in a new interpreter

COLUMNS = {"step", "prompt", "completion", "MajorityVoteReward", "vote_share", "vote_answer", "advantage"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked")
    environment = os.environ | {
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "TRACKIO_DIR": str(folder / "trackio"),
    }
    script = Path(__file__).parents[1] / "scripts" / "tracked_run.py"
    subprocess.run([sys.executable, script, folder], env=environment, cwd=folder, check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def metrics(folder):
    """The metrics of the two steps, those without a value (a mean of nothing) left out."""
    steps = [row for row in json.loads((folder / "log_history.json").read_text()) if "reward" in row]
    found = [
        {name: value for name, value in row.items() if name.startswith("serl/") and value is not None} for row in steps
    ]
    assert {name.split("/")[1] for name in found[0]} == {"instructions", "filter", "drift", "vote", "gate"}
    return found


def test_tensorboard_gets_every_metric(folder, metrics):
    [events] = (folder / "runs").iterdir()
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    for name in metrics[0] | metrics[1]:
        logged = {event.step: event.value for event in accumulator.Scalars(f"train/{name}")}
        assert logged == {i + 1: pytest.approx(row[name], rel=1e-6) for i, row in enumerate(metrics) if name in row}


def test_wandb_gets_every_metric_and_the_completions(folder, metrics):
    [run] = folder.glob("wandb/offline-run-*/run-*.wandb")
    content = run.read_bytes()
    assert [name for name in metrics[0] if f"train/{name}".encode() not in content] == []
    tables = [json.loads(path.read_text()) for path in run.parent.glob("files/media/table/*.json")]
    assert {tuple(sorted(table["columns"])) for table in tables} == {tuple(sorted(COLUMNS))}
    assert {row[table["columns"].index("step")] for table in tables for row in table["data"]} == {1, 2}


def test_trackio_gets_every_metric_and_the_completions(folder, metrics):
    with sqlite3.connect(folder / "trackio" / "tracked.db") as database:
        rows = [json.loads(row) for (row,) in database.execute("SELECT metrics FROM metrics ORDER BY id")]
    logged = [row for row in rows if "train/reward" in row]
    for found, expected in zip(logged, metrics, strict=True):
        assert {name: found[f"train/{name}"] for name in expected} == pytest.approx(expected)
    tables = [row["completions"]["_value"] for row in rows if "completions" in row]
    assert {row["step"] for table in tables for row in table} == {1, 2}
    assert all(row.keys() == COLUMNS for table in tables for row in table)
    for row in (row for table in tables for row in table):
        voted = row["vote_share"] > 0
        assert (row["vote_answer"] != "") == voted
