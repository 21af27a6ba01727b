"""Processes that are killed while they train, and go on; they must end as the ones that were left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import NUM_STEPS, differences

from serl_trl.checkpoints import SAVING, complete_checkpoints


ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
ONE = [sys.executable]
TWO = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "accelerate_configs/cpu.yaml"]


def start(run_dir, launcher=ONE, **settings):
    """Starts a run, or goes on with it."""
    choice = "resume" if complete_checkpoints(run_dir) else "anew"
    log = (run_dir.parent / f"{run_dir.name}.log").open("a")
    command = [*launcher, "tests/resumable_run.py", str(run_dir), choice, json.dumps(settings)]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)


def finish(run_dir, **kwargs):
    assert start(run_dir, **kwargs).wait(timeout=900) == 0, (run_dir.parent / f"{run_dir.name}.log").read_text()


def kill(process):
    """SIGKILL for a process and all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(process, happens):
    """Waits until something happens; `False` if the process ended before."""
    while process.poll() is None:
        if happens():
            return True
        time.sleep(0.001)
    return False


def kill_at_random(run_dir, rng, **kwargs):
    """Kills a run at work on a step not far ahead, or while it saves that step; says what it was doing."""
    begun, step = time.time(), last_step(run_dir) + rng.choice([0, 1, 1, 2])
    metrics, saving = run_dir / "metrics.jsonl", run_dir / SAVING / f"checkpoint-{step + 1}"
    process = start(run_dir, **kwargs)
    if rng.random() < 0.5:
        wait_for(process, saving.exists)
        time.sleep(rng.uniform(0, 0.1))
    else:  # the file is written anew as training begins
        wait_for(process, lambda: metrics.exists() and metrics.stat().st_mtime > begun and last_step(run_dir) >= step)
        time.sleep(rng.uniform(0, 1.5))
    kill(process)
    files = [path.name for path in run_dir.glob(f"{SAVING}/*/*")]
    return f"step {last_step(run_dir)} was saved, {len(files)} files of the next"


def last_step(run_dir):
    checkpoints = complete_checkpoints(run_dir)
    return int(checkpoints[-1].name.split("-")[1]) if checkpoints else 0


@pytest.mark.multiprocess
def test_a_run_that_is_killed_while_it_saves_goes_on(tmp_path):
    finish(tmp_path / "whole")
    process = start(tmp_path / "killed")
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
    [(10, {}), (5, {"launcher": TWO, "gradient_accumulation_steps": 1})],
    ids=["one process", "two processes"],
)
def test_a_run_that_is_killed_at_random_ends_as_one_that_is_not(tmp_path, num_kills, kwargs):
    kwargs = {"num_train_epochs": 3, **kwargs}
    finish(tmp_path / "whole", **kwargs)
    rng = random.Random(num_kills)
    for number in range(num_kills):
        print(f"kill {number}:", kill_at_random(tmp_path / "killed", rng, **kwargs))
    finish(tmp_path / "killed", **kwargs)
    assert last_step(tmp_path / "killed") == 12
    assert differences(tmp_path / "whole", tmp_path / "killed", 12) == []
