"""Processes that are killed while they train, and go on; they must end as the ones that were left alone."""

import contextlib
import json
import random
import subprocess
import sys
import time

import psutil
import pytest

from launching import LAUNCH, ROOT, environment
from runs import NUM_STEPS, differences
from serl_trl.checkpoints.checkpoint_files import SAVING, complete_checkpoints
from warm_python import WarmPython


ONE = (sys.executable,)
WARM = ("warm",)  # see warm_python.py


def start(run_dir, launcher=ONE, **settings):
    """Starts a run, or goes on with it."""
    choice = "resume" if complete_checkpoints(run_dir) else "anew"
    log = run_dir.parent / f"{run_dir.name}.log"
    command = ["tests/scripts/resumable_run.py", str(run_dir), choice, json.dumps(settings)]
    if launcher is WARM:
        return WarmPython(command, cwd=ROOT, env=environment(), stdout=log, stderr=log)
    with log.open("a") as file:
        return subprocess.Popen(
            [*launcher, *command], cwd=ROOT, env=environment(), stdout=file, stderr=file, start_new_session=True
        )


def finish(run_dir, **kwargs):
    assert start(run_dir, **kwargs).wait(timeout=900) == 0, (run_dir.parent / f"{run_dir.name}.log").read_text()


def kill(process):
    """SIGKILL for a process and all that it started; the processes of a launcher are in sessions of their own."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    deadline = time.monotonic() + 300
    while not all(map(is_dead, family)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_dead(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(process, happens):
    """Waits until something happens; `False` if the process ended before."""
    while process.poll() is None:
        if happens():
            return True
        time.sleep(0.001)
    return False


def seconds_a_step(run_dir):
    """Of a finished run, by when its checkpoints were complete: a wait in seconds would test the machine's load."""
    first, *_, last = (path.stat().st_mtime for path in complete_checkpoints(run_dir))
    return (last - first) / (last_step(run_dir) - 1)


def kill_at_random(run_dir, step, step_s, rng, **kwargs):
    """Kills a run that has saved a step or more, at work on the next or while it saves that; says what it was doing."""
    begun, step = time.time(), max(step, last_step(run_dir))
    metrics, saving = run_dir / "metrics.jsonl", run_dir / SAVING / f"checkpoint-{step + 1}"
    process = start(run_dir, **kwargs)
    if rng.random() < 0.5:
        assert wait_for(process, saving.exists)
        time.sleep(rng.uniform(0, 0.1 * step_s))
    else:  # the file is written anew as training begins
        assert wait_for(
            process, lambda: metrics.exists() and metrics.stat().st_mtime > begun and last_step(run_dir) >= step
        )
        time.sleep(rng.uniform(0, 0.8 * step_s))
    kill(process)
    files = [path.name for path in run_dir.glob(f"{SAVING}/*/*")]
    return f"step {last_step(run_dir)} was saved, {len(files)} files of the next"


def last_step(run_dir):
    checkpoints = complete_checkpoints(run_dir)
    return int(checkpoints[-1].name.split("-")[1]) if checkpoints else 0


@pytest.mark.multiprocess
@pytest.mark.slow
def test_a_run_that_is_killed_while_it_saves_goes_on(tmp_path):
    """What goes on is a new interpreter, with hashes of its own."""
    finish(tmp_path / "whole", launcher=WARM)
    process = start(tmp_path / "killed", launcher=WARM)
    assert wait_for(process, (tmp_path / "killed" / SAVING / "checkpoint-3").exists)
    kill(process)
    assert last_step(tmp_path / "killed") in (2, 3)
    finish(tmp_path / "killed")
    assert last_step(tmp_path / "killed") == NUM_STEPS
    assert differences(tmp_path / "whole", tmp_path / "killed") == []


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("num_kills", "kwargs"),
    [(10, {}), (5, {"launcher": LAUNCH, "gradient_accumulation_steps": 1})],
    ids=["one process", "two processes"],
)
def test_a_run_that_is_killed_at_random_ends_as_one_that_is_not(tmp_path, num_kills, kwargs):
    kwargs = {"num_train_epochs": 3, **kwargs}
    finish(tmp_path / "whole", **kwargs)
    rng, step_s = random.Random(num_kills), seconds_a_step(tmp_path / "whole")
    for number in range(num_kills):
        step = number * 11 // num_kills  # of 12, so that no run is at its end before it is killed
        print(f"kill {number}:", kill_at_random(tmp_path / "killed", step, step_s, rng, **kwargs))
    finish(tmp_path / "killed", **kwargs)
    assert last_step(tmp_path / "killed") == 12
    assert differences(tmp_path / "whole", tmp_path / "killed", 12) == []
