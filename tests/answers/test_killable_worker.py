"""The calls are built-ins: the worker is a new interpreter, in which this test module does not exist."""

import asyncio
import functools
import importlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from serl_trl.answers import killable_worker as bounded
from serl_trl.answers.killable_worker import BoundedWorker


@pytest.fixture(scope="module")
def worker():
    worker = BoundedWorker()
    yield worker
    worker.close()


@pytest.fixture
def warm(worker):
    assert worker.call(abs, -1, time_limit_s=5).value == 1
    return worker


def test_value_and_exceptions(warm):
    assert warm.call(divmod, 7, 2, time_limit_s=5).value == (3, 1)
    assert warm.call(divmod, 7, 0, time_limit_s=5) == (None, "error", "ZeroDivisionError")
    assert warm.call(exec, "f = lambda g: g(g)\nf(f)", time_limit_s=5) == (None, "error", "RecursionError")
    assert warm.call(sys.exit, 3, time_limit_s=5) == (None, "error", "SystemExit")
    assert warm.call(compile, "1", "", "eval", time_limit_s=5) == (None, "error", "TypeError")  # code: not picklable


@pytest.mark.parametrize("text", ["\ud800\0{}%s", "\x00", "é" * 2**21], ids=["surrogate", "null", "megabytes"])
def test_hostile_text_arrives_as_it_is(warm, text):
    assert warm.call(str, text, time_limit_s=5).value == text


@pytest.mark.parametrize(
    ("function", "argument"),
    [(time.sleep, 60), (exec, "while True: pass"), (exec, "n = 9; n**n**n**n")],  # the power never lets go of the GIL
    ids=["sleep", "loop", "power"],
)
def test_bound_holds_and_the_next_call_works(warm, function, argument):
    start = time.monotonic()
    assert warm.call(function, argument, time_limit_s=0.3).reason == "out_of_time"
    assert 0.3 <= time.monotonic() - start < 30  # however busy the machine is
    assert warm.call(abs, -2, time_limit_s=5).value == 2


def test_start_up_does_not_count():
    slow = BoundedWorker(initializer=functools.partial(time.sleep, 1.0))
    assert slow.call(time.sleep, 60, time_limit_s=0.2).reason == "out_of_time"
    assert slow.call(abs, -1, time_limit_s=0.9).value == 1  # after the kill, in less than the start takes


def test_a_call_that_fails_costs_the_others_nothing(warm):
    codes = ["1", "1/0", "__import__('time').sleep(60)", "2", "__import__('os')._exit(1)", "3"]
    outcomes = [warm.call(eval, code, time_limit_s=0.4 if "sleep" in code else 5) for code in codes]
    assert [outcome.value for outcome in outcomes] == [1, None, None, 2, None, 3]
    assert [outcome.reason for outcome in outcomes] == [None, "error", "out_of_time", None, "crashed", None]
    assert {outcome.reason for outcome in outcomes} - {None} < set(bounded.REASONS)


def test_memory_is_bounded():
    small = BoundedWorker(memory_limit_bytes=2**28)
    assert small.call(exec, "b'x' * 2**29", time_limit_s=5) == (None, "out_of_memory", "MemoryError")
    assert small.call(len, "abc", time_limit_s=5).value == 3
    assert small.call(bytes, 2**25, time_limit_s=5).reason == "out_of_memory"  # a value too large to send


@pytest.mark.parametrize(
    "code", ["open({!r}, 'w')", "__import__('os').system('touch {}')", "__import__('subprocess').run(['touch', {!r}])"]
)
def test_code_that_is_evaluated_all_the_same_touches_nothing(warm, tmp_path, code):
    target = tmp_path / "file"
    assert warm.call(eval, code.format(str(target)), time_limit_s=5) == (None, "error", "PermissionError")
    assert not target.exists()
    assert warm.call(eval, "open(__import__('os').devnull).read()", time_limit_s=5).value == ""
    assert warm.call(exec, "import colorsys", time_limit_s=5).reason is None


def test_crash(warm):
    assert warm.call(exec, "import os; os.abort()", time_limit_s=5).reason == "crashed"
    assert warm.call(abs, -2, time_limit_s=5).value == 2


def test_death_while_idle_is_no_failure_of_the_next_call(warm):
    os.kill(warm.call(os.getpid, time_limit_s=5).value, signal.SIGKILL)
    time.sleep(0.1)
    assert warm.call(abs, -2, time_limit_s=5).value == 2


def test_worker_is_light_silent_and_repeatable(capfd):
    worker = BoundedWorker(initializer=functools.partial(importlib.import_module, "serl_trl.answers.normalize"))
    modules = worker.call(eval, "set(__import__('sys').modules)", time_limit_s=5).value
    assert "serl_trl.answers.normalize" in modules
    assert not modules & {"torch", "transformers", "trl"}
    hashes = [worker.call(hash, "x", time_limit_s=5).value]
    worker.call(exec, "import os, sys; print('noise'); os.write(2, b'noise')", time_limit_s=5)
    worker.close()
    assert [worker.call(hash, "x", time_limit_s=5).value] == hashes
    assert capfd.readouterr() == ("", "")


def test_calls_within_the_worker_run_in_place(warm):
    code = "import os; from serl_trl.answers.killable_worker import BoundedWorker as W; "
    code += "assert W().call(os.getpid, time_limit_s=1).value == os.getpid()"
    assert warm.call(exec, code, time_limit_s=5) == (None, None, "")


def test_eight_threads_share_the_worker(warm):
    def calls(thread):
        return [warm.call(divmod, 100 * thread + i, i % 5, time_limit_s=5) for i in range(20)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(calls, range(8)))
    for thread, outcomes in enumerate(results):
        for i, outcome in enumerate(outcomes):
            assert outcome.value == (divmod(100 * thread + i, i % 5) if i % 5 else None)


def test_bound_holds_in_threads_which_wait_for_their_turn(warm):
    with ThreadPoolExecutor(3) as pool:
        slow = pool.submit(warm.call, time.sleep, 60, time_limit_s=1.0)
        quick = [pool.submit(warm.call, abs, -2, time_limit_s=0.9) for _ in range(2)]  # less than the slow one takes
        assert slow.result(30).reason == "out_of_time"
        assert [future.result(30).value for future in quick] == [2, 2]


def test_under_asyncio(warm):
    async def both():
        return warm.call(abs, -1, time_limit_s=5), await asyncio.to_thread(warm.call, abs, -2, time_limit_s=5)

    assert [outcome.value for outcome in asyncio.run(both())] == [1, 2]


def test_ctrl_c_comes_through_at_once(warm):
    start = time.monotonic()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        warm.call(time.sleep, 30, time_limit_s=30)
    assert time.monotonic() - start < 20
    assert warm.call(abs, -2, time_limit_s=5).value == 2  # and not the answer to the call before


@pytest.mark.parametrize("limit", [0, -1, 1e9, float("inf"), float("nan")])
def test_limit_must_be_a_positive_number(worker, limit):
    with pytest.raises(ValueError, match="positive"):
        worker.call(abs, -1, time_limit_s=limit)


def test_what_cannot_be_pickled_is_the_callers_mistake(worker):
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        worker.call(lambda: 1, time_limit_s=1)


def test_start_that_fails_is_warned_of_and_not_repeated(monkeypatch):
    broken = BoundedWorker(initializer=functools.partial(divmod, 1, 0))
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        assert broken.call(abs, -1, time_limit_s=5).reason == "crashed"
    with monkeypatch.context() as patched:
        started: list[tuple] = []
        patched.setattr(bounded, "launch", lambda *args: started.append(args))
        assert [broken.call(abs, -1, time_limit_s=5).reason for _ in range(9)] == ["crashed"] * 9
        assert started == []

    monkeypatch.setattr(bounded, "START_LIMIT_S", 0.2)
    with pytest.warns(RuntimeWarning, match="not ready"):
        assert BoundedWorker(functools.partial(time.sleep, 60)).call(abs, -1, time_limit_s=5).reason == "crashed"


def _outcomes_of_a_daemon(_):
    assert multiprocessing.current_process().daemon
    worker = BoundedWorker()
    return [worker.call(time.sleep, 60, time_limit_s=0.1).reason, worker.call(abs, -2, time_limit_s=5).value]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_in_a_daemonic_process():
    # A pool ends its processes by SIGTERM; this process may have a handler that only notes it, and they inherit that.
    as_usual: dict[str, Any] = {"initializer": signal.signal, "initargs": (signal.SIGTERM, signal.SIG_DFL)}
    with multiprocessing.get_context("fork").Pool(1, **as_usual) as pool:
        assert pool.map(_outcomes_of_a_daemon, range(1)) == [["out_of_time", 2]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_starts_its_own_worker(warm):
    ours = warm.call(os.getpid, time_limit_s=5).value
    thread = threading.Thread(target=warm.call, args=(time.sleep, 1), kwargs={"time_limit_s": 5})
    thread.start()
    time.sleep(0.2)  # the lock is held now, and would be for ever in the child
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(write, str(warm.call(os.getpid, time_limit_s=5).value).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        theirs = int(pipe.read())
    os.waitpid(child, 0)
    thread.join()
    assert theirs != ours == warm.call(os.getpid, time_limit_s=5).value


def test_is_running():
    worker = BoundedWorker()
    assert not worker.is_running
    worker.call(abs, -1, time_limit_s=5.0)
    assert worker.is_running
    worker.call(time.sleep, 5, time_limit_s=0.1)
    assert not worker.is_running  # killed, and not started before the next call
    worker.close()


def test_start_does_not_wait(tmp_path):
    """The process imports while the caller goes on; once it is there, the first call is answered at once."""
    waiting = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)"
    worker = BoundedWorker(initializer=functools.partial(exec, waiting))
    worker.start()
    worker.start()  # there is one
    assert not worker.is_running
    (tmp_path / "go").touch()
    process = worker._process
    assert worker.call(abs, -1, time_limit_s=5).value == 1
    assert worker.is_running
    worker.start()
    assert worker._process is process


def test_what_died_while_it_started_is_started_again():
    worker = BoundedWorker()
    worker.start()
    os.kill(worker._process.popen.pid, signal.SIGKILL)
    worker._process.popen.wait()
    assert worker.call(abs, -1, time_limit_s=5.0).value == 1


def test_a_start_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(bounded, "launch", lambda *args: 1 / 0)
    worker = BoundedWorker()
    with pytest.warns(RuntimeWarning, match="did not start"):
        worker.start()
    worker.start()  # not at once again
    assert worker.call(abs, -1, time_limit_s=5.0).reason == "crashed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_does_not_take_what_is_starting():
    worker = BoundedWorker()
    worker.start()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if worker._process is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert worker.call(abs, -1, time_limit_s=5.0).value == 1
