"""What a run says of its progress, to a terminal and to a file."""

import io
from types import SimpleNamespace

import pytest

from serl_trl.monitoring.log_callbacks import SummaryProgressCallback


class Terminal(io.StringIO):
    def isatty(self):
        return True


def told(monkeypatch, stream, max_steps=4, is_main=True):
    """A run of so many steps, that measures before the first and at every second."""
    monkeypatch.setattr("sys.stderr", stream)
    callback, state = SummaryProgressCallback(), SimpleNamespace(max_steps=max_steps, global_step=0)
    state.is_world_process_zero = is_main
    callback.on_train_begin(None, state, None)
    callback.on_log(None, state, None, {"eval_greedy pass@1": 0.25})
    for state.global_step in range(1, max_steps + 1):
        callback.on_step_end(None, state, None)
        if state.global_step % 2 == 0:
            callback.on_log(None, state, None, {"eval_greedy pass@1": 0.5})
        callback.on_log(None, state, None, {"reward": 0.1 * state.global_step, "loss": 0.0})
    callback.on_log(None, state, None, {"train_runtime": 3.0})
    callback.on_train_end(None, state, None)
    return stream.getvalue()


def test_a_line_a_log_where_stderr_is_no_terminal(monkeypatch):
    assert told(monkeypatch, io.StringIO()).splitlines() == [
        "step 0/4: greedy 0.25",
        "step 1/4: reward 0.10",
        "step 2/4: greedy 0.50, reward 0.20",
        "step 3/4: reward 0.30",
        "step 4/4: greedy 0.50, reward 0.40",
    ]


@pytest.mark.parametrize("max_steps", [50, 1000, 999])
def test_long_runs_say_little_and_the_last_step(monkeypatch, max_steps):
    lines = told(monkeypatch, io.StringIO(), max_steps).splitlines()
    assert 50 <= len(lines) <= 54
    assert lines[-1].startswith(f"step {max_steps}/{max_steps}: ")


def test_a_bar_on_a_terminal(monkeypatch):
    assert told(monkeypatch, Terminal()).count("step ") == 0


def test_one_process_speaks(monkeypatch):
    assert told(monkeypatch, io.StringIO(), is_main=False) == ""
