"""Processes that are killed while they train, and go on; they must end as the ones that were left alone."""

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


def start(launcher, run_dir):
    choice = "resume" if complete_checkpoints(run_dir) else "anew"
    log = (run_dir.parent / f"{run_dir.name}.log").open("a")
    command = [*launcher, "tests/resumable_run.py", str(run_dir), choice]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True)


def finish(launcher, run_dir):
    assert start(launcher, run_dir).wait(timeout=600) == 0, (run_dir.parent / f"{run_dir.name}.log").read_text()
    assert complete_checkpoints(run_dir)[-1].name == f"checkpoint-{NUM_STEPS}"


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


def kill_at_random(launcher, run_dir, rng):
    """Kills a run while it saves a checkpoint, or some time after it has begun to train; says what it was doing."""
    changed = time.time()
    process = start(launcher, run_dir)
    files = ["metrics.jsonl", "instructions/*", f"{SAVING}/*"]
    is_at_work = wait_for(
        process, lambda: any(p.stat().st_mtime > changed for pattern in files for p in _files(run_dir, pattern))
    )
    if is_at_work and rng.random() < 0.5:
        wait_for(process, lambda: (run_dir / SAVING).exists())
        time.sleep(rng.uniform(0, 0.08))
    else:
        time.sleep(rng.uniform(0, 3.0))
    kill(process)
    saving = [str(path.relative_to(run_dir)) for path in run_dir.glob(f"{SAVING}/*/*")]
    return f"after {[path.name for path in complete_checkpoints(run_dir)][-1:]}, {len(saving)} files of another one"


def _files(run_dir, pattern):
    try:
        return [path for path in run_dir.glob(pattern) if path.exists()]
    except FileNotFoundError:  # gone while we looked
        return []


@pytest.mark.multiprocess
def test_a_run_that_is_killed_while_it_saves_goes_on(tmp_path):
    finish(ONE, tmp_path / "whole")
    process = start(ONE, tmp_path / "killed")
    second = tmp_path / "killed" / SAVING / "checkpoint-3"
    assert wait_for(process, second.exists)
    kill(process)
    assert complete_checkpoints(tmp_path / "killed")[-1].name in ("checkpoint-2", "checkpoint-3")
    finish(ONE, tmp_path / "killed")
    assert differences(tmp_path / "whole", tmp_path / "killed") == []


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize(("launcher", "num_kills"), [(ONE, 10), (TWO, 4)], ids=["one process", "two processes"])
def test_a_run_that_is_killed_at_random_ends_as_one_that_is_not(tmp_path, launcher, num_kills):
    finish(launcher, tmp_path / "whole")
    rng = random.Random(num_kills)
    for number in range(num_kills):
        print(f"kill {number}:", kill_at_random(launcher, tmp_path / "killed", rng))
    finish(launcher, tmp_path / "killed")
    assert differences(tmp_path / "whole", tmp_path / "killed") == []
