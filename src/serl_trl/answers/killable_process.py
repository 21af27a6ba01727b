"""The process behind [`~serl_trl.answers.killable_worker.BoundedWorker`]: how it starts, what it may use, and all the ways it ends.

It is a Loky process, a new interpreter by fork and exec: it never imports the user's `__main__`, and inherits neither
threads nor CUDA, so nothing changes once CUDA is initialised. Of Loky's own pool nothing is used: it cannot kill one
call, its workers outlive a parent that is killed, and its semaphores are reported as leaked then.

How it ends: by the parent's SIGKILL (a call over its limit, close, exit); at the end of the pipe; within a second of
the parent's death if a forked copy of the parent holds the pipe open; by its own watchdog, when the parent was killed
in the middle of a call.

Most of the 229 lines of code of the two files are not the bound itself, which a process and a kill would give. They are
what tests of their own ask for: a start that is slow or fails, forks, daemonic processes, Ctrl-C, no process left over.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import pickle
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, Pipe
from typing import Any, NamedTuple, Protocol


NAME = "serl_trl bounded worker"
PARENT_POLL_S = 1.0  # how often an idle worker checks that its parent lives
GRACE_S = 1.0  # a worker that is this much over the limit has lost its parent, and kills itself
MAY_DO = {"os.listdir", "os.scandir", "os.putenv", "os.unsetenv"}  # what a late import does
MAX_VALUE_BYTES = 2**24  # a value that is larger is not sent: the caller's memory is bounded too


class Outcome(NamedTuple):
    """What became of a call: its `value`, or the `reason` why there is none.

    The reason is `"out_of_time"`, `"out_of_memory"`, `"crashed"` or `"error"` (an exception). `detail` is for the log:
    the name of the exception's type, but never its message, which may quote hostile text.
    """

    value: Any = None
    reason: str | None = None
    detail: str = ""


class Popen(Protocol):
    """What is asked of Loky's handle of a process."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code; `None` while it runs."""

    def wait(self) -> int | None:
        """Its exit code, once it has ended."""


class WorkerProcess(NamedTuple):
    popen: Popen
    connection: Connection
    kill: Callable[[], Any]  # a finalizer: runs once, by hand, when the owner is collected, or at exit


def is_worker() -> bool:
    """Whether this is a worker, in which calls are bounded already."""
    return multiprocessing.current_process().name == NAME


def reply(task: bytes) -> bytes:
    """The pickled [`Outcome`] of a pickled `(function, arguments)`; never an exception.

    Example:

    >>> pickle.loads(reply(pickle.dumps((divmod, (7, 0)))))
    Outcome(value=None, reason='error', detail='ZeroDivisionError')
    """
    try:
        function, arguments = pickle.loads(task)
        outcome = pickle.dumps(Outcome(function(*arguments)))
        if len(outcome) > MAX_VALUE_BYTES:
            raise MemoryError
        return outcome
    except BaseException as error:  # SystemExit is no more than an error in here
        reason = "out_of_memory" if isinstance(error, MemoryError) else "error"
        return pickle.dumps(Outcome(reason=reason, detail=type(error).__name__))


def launch(owner: object, initializer: bytes, memory_limit_bytes: int) -> WorkerProcess:
    """A new worker, still starting up: it sends the reply to its initializer when it is ready.

    Loky's `_Popen` is called here, not `Process.start`, which refuses in daemonic processes (the workers of a
    DataLoader or a `multiprocessing.Pool`), because these end without ending their children: ours notices. And
    `start` would list it among the `active_children`, which others join or terminate.

    Args:
        owner (`object`):
            The worker is killed when this is collected.
        initializer (`bytes`):
            A pickled `(function, arguments)`.
        memory_limit_bytes (`int`):
            Address space on top of what is in use after the initializer.

    Returns:
        [`WorkerProcess`]

    Raises:
        `OSError` or `RuntimeError`: if no process can be started.
    """
    from loky.backend import get_context  # here: importing this module starts nothing and costs little
    from loky.backend.resource_tracker import ensure_running

    # Loky would start both trackers itself, but that unblocks SIGINT.
    resource_tracker.ensure_running()
    ensure_running()
    ours, theirs = Pipe()
    with theirs, _sigint_blocked():
        process = get_context("loky").Process(
            target=_serve,
            name=NAME,
            args=(theirs, os.getpid(), initializer, memory_limit_bytes),
            # SymPy's order of terms can follow hashes: fixed, so that a run can be repeated. No modules from the cwd.
            env={"PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"},
        )
        popen = process._Popen(process)
    return WorkerProcess(popen, ours, weakref.finalize(owner, _kill, popen, ours, os.getpid()))


def _kill(popen: Popen, connection: Connection, owner_pid: int) -> None:
    """Ends the worker, even one busy in C, and reaps it. A forked copy of its owner only lets go of the pipe."""
    connection.close()
    if os.getpid() == owner_pid:
        if popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(popen.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        popen.wait()


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Blocks SIGINT in this thread for a moment: a child that starts meanwhile is deaf to it from the first."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _serve(connection: Connection, parent_pid: int, initializer: bytes, memory_limit_bytes: int) -> None:
    """The worker's life: initialise, then answer until the parent is gone."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then kills this process
        devnull = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(devnull, fd)
        ready = reply(initializer)
        _limit_resources(memory_limit_bytes)
        sys.addaudithook(_refuse)
        connection.send_bytes(ready)
        while True:
            while not connection.poll(PARENT_POLL_S):
                if os.getppid() != parent_pid:
                    return
            time_limit_s, task = pickle.loads(connection.recv_bytes())
            # A thread in C, which needs no GIL and ends the process wherever it is.
            faulthandler.dump_traceback_later(time_limit_s + GRACE_S, exit=True, file=devnull)
            outcome = reply(task)
            faulthandler.cancel_dump_traceback_later()
            connection.send_bytes(outcome)
    finally:
        os._exit(0)  # at once, whatever happened: the parent reads the end of the pipe


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: a pure function writes no file, starts no process and opens no connection.

    It stays because the text is hostile, and Math-Verify has a path that evaluates text, one setting away from ours. It
    is a second line only: Python code that means to can get round it.
    """
    if event == "open":
        _, mode, flags = arguments
        is_refused = bool(set(mode or "") & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    else:
        is_refused = event.startswith(("os.", "shutil.", "socket.", "subprocess.")) and event not in MAY_DO
    if is_refused:
        raise PermissionError(event)


def _limit_resources(memory_limit_bytes: int) -> None:
    """Caps the address space at `memory_limit_bytes` above what is in use, and forbids core dumps and file contents."""
    if sys.platform != "linux":  # macOS ignores RLIMIT_AS and Windows has none: there only the time is bounded
        return
    import resource

    with open("/proc/self/statm") as statm:
        used_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    caps = {resource.RLIMIT_AS: used_bytes + memory_limit_bytes, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    for kind, cap in caps.items():
        hard = resource.getrlimit(kind)[1]
        cap = cap if hard == resource.RLIM_INFINITY else min(cap, hard)
        resource.setrlimit(kind, (cap, cap))
