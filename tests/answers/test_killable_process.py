"""How a worker ends, seen from outside: a script in a session of its own, in which nothing may be left over."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import serl_trl
from serl_trl.answers.killable_process import Outcome, is_worker, reply


pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs sessions and SIGKILL")

SCRIPT = """
import multiprocessing, os, sys, threading, time  # and no guard for __main__
print("run", flush=True)
from serl_trl.answers.killable_worker import BoundedWorker
assert "loky" not in sys.modules and not multiprocessing.active_children()
worker = BoundedWorker()
"""
WARM = "assert worker.call(abs, -2, time_limit_s=5).value == 2\n"
BUSY = """
power = threading.Thread(target=worker.call, args=(pow, 9, 9**9), kwargs={"time_limit_s": 1.0}, daemon=True)
power.start()
time.sleep(0.2)
"""
LONG = BUSY.replace("1.0", "60.0")
READY = 'print("ready", time.monotonic(), flush=True)\n'


def _start(tmp_path, *lines):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT + "".join(lines))
    environment = {**os.environ, "PYTHONPATH": str(Path(serl_trl.__file__).parents[1])}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, script], env=environment, start_new_session=True, **pipes)


def _session(sid):
    """Processes of a session that are alive."""
    alive = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getsid(process.pid) == sid and process.info["status"] != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except ProcessLookupError:
            continue
    return alive


def _left_after(sid, limit_s):
    deadline = time.monotonic() + limit_s
    while (left := _session(sid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.mark.parametrize(
    ("lines", "returncode"),
    [((WARM, READY), 0), ((WARM, LONG, READY, "1/0\n"), 1), ((WARM, READY, "os._exit(7)\n"), 7)],
    ids=["normal", "exception while busy", "os._exit"],
)
def test_exit_is_quick_clean_and_leaves_nothing(tmp_path, lines, returncode):
    script = _start(tmp_path, *lines)
    out, err = script.communicate(timeout=120)
    ready_s = float(out.split()[-1])
    assert time.monotonic() - ready_s < 30  # of the 60 s that the call may take
    assert script.returncode == returncode
    assert out.count("run") == 1  # the worker did not execute the script again
    assert err.count("\n") == 0 or (
        err.startswith("Traceback") and err.endswith("ZeroDivisionError: division by zero\n")
    )
    assert "tracker" not in err
    assert err.count("Traceback") == (returncode == 1)
    assert _left_after(script.pid, 30) == []


@pytest.mark.parametrize("busy", ["", BUSY], ids=["idle", "busy in C"])
def test_worker_does_not_outlive_a_parent_that_is_killed(tmp_path, busy):
    fork = "if os.fork() == 0:\n    time.sleep(60)\n"  # a copy of the parent, with its pipes, that lives on
    script = _start(tmp_path, WARM, busy, fork, READY, "time.sleep(60)\n")
    assert [script.stdout.readline()[:3] for _ in range(2)] == ["run", "rea"]
    alive = _session(script.pid)
    copies = [process for process in alive if str(tmp_path) in " ".join(process.cmdline())]
    workers = [process for process in alive if "popen_loky" in " ".join(process.cmdline())]
    assert len(copies) == 2
    assert len(workers) == 1
    script.kill()
    script.wait()
    assert not psutil.wait_procs(workers, timeout=30)[1]
    for process in copies:
        if process.pid != script.pid:
            process.kill()
    assert _left_after(script.pid, 30) == []
    assert script.communicate() == ("", "")


@pytest.mark.parametrize("delay_s", [0.2, None], ids=["starting up", "in a call"])
def test_ctrl_c_prints_the_parents_traceback_only(tmp_path, delay_s):
    first = READY if delay_s else WARM + READY
    script = _start(tmp_path, first, "worker.call(time.sleep, 60, time_limit_s=60)\n")
    assert [script.stdout.readline()[:3] for _ in range(2)] == ["run", "rea"]
    time.sleep(delay_s or 0.2)
    os.killpg(script.pid, signal.SIGINT)
    out, err = script.communicate(timeout=30)
    assert out == ""
    assert err.count("Traceback") == 1
    assert err.endswith("KeyboardInterrupt\n")
    assert _left_after(script.pid, 30) == []


def test_reply_never_raises():
    assert not is_worker()
    assert pickle.loads(reply(pickle.dumps((abs, (-1,))))) == Outcome(1)
    assert pickle.loads(reply(b"no pickle")).reason == "error"
    assert pickle.loads(reply(pickle.dumps((iter, (1,))))) == (None, "error", "TypeError")
