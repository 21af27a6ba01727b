"""Calls bounded in time and memory: a function runs in a worker process that is killed when it takes too long.

A clock inside the process, a signal or a tracer, does not stop C code such as the power `9**9**9**9`, and the signal
needs the main thread. SIGKILL from outside stops anything, whichever thread waits for it.
"""

import os
import pickle
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from .killable_process import Outcome, WorkerProcess, is_worker, launch, reply


REASONS = ("out_of_time", "out_of_memory", "crashed", "error")
_FATAL = REASONS[:3]  # the worker is gone, or what memory is left may be too little for the next call
START_LIMIT_S = 60.0  # an interpreter and SymPy take 1 to 2 s; from a busy network drive ten times that


def _initialize(initializer: Callable[[], object] | None) -> None:
    """Calls `initializer` and drops what it returns, a module perhaps, which could not be sent."""
    if initializer is not None:
        initializer()


def _loaded(outcome: bytes) -> Outcome:
    try:
        return pickle.loads(outcome)
    except Exception as error:  # a value that only the worker understands
        return Outcome(reason="error", detail=type(error).__name__)


class BoundedWorker:
    """Runs picklable functions in one worker process, each call under a wall-clock bound.

    The process starts at [`start`] or the first call, and again at the first one after a kill; its start-up counts against no bound.
    Threads take turns, and the bound of a call begins when its turn does; under asyncio, call from a thread. A forked
    copy of the owner starts a worker of its own. Within the worker calls run in place: they are bounded already. If
    the worker cannot be started, a `RuntimeWarning` says so, and for the next `START_LIMIT_S` calls report `"crashed"`
    without another attempt.

    Args:
        initializer (`Callable[[], object]`, *optional*):
            Called once in each new worker, without a bound of memory: imports what the calls will need. The module of
            the function, if not imported there, counts against the first call.
        memory_limit_bytes (`int`, *optional*, defaults to 2 GiB):
            Address space on top of what the worker has after the initializer. Linux only.

    Example:

    >>> worker = BoundedWorker()
    >>> worker.call(pow, 2, 10, time_limit_s=5.0)
    Outcome(value=1024, reason=None, detail='')
    >>> worker.call(pow, 9, 9**9, time_limit_s=0.1).reason
    'out_of_time'
    """

    def __init__(self, initializer: Callable[[], object] | None = None, memory_limit_bytes: int = 2 * 2**30):
        self._initializer = pickle.dumps((_initialize, (initializer,)))
        self._memory_limit_bytes = memory_limit_bytes
        self._process: WorkerProcess | None = None
        self._is_ready = False  # whether the process has said that it is
        self._lock = threading.Lock()
        self._next_start_s = 0.0
        _WORKERS.add(self)

    def call(self, function: Callable[..., Any], *arguments: object, time_limit_s: float) -> Outcome:
        """`function(*arguments)`, computed in the worker.

        Args:
            function (`Callable`):
                Importable by name in a new interpreter: not a lambda, nor a function of `__main__`.
            *arguments:
                Picklable and small.
            time_limit_s (`float`):
                Positive; the worker is killed when it is over. Waiting for other threads and start-up do not count.

        Returns:
            [`Outcome`]: the value, or the reason why there is none. An exception in `function` is the reason `"error"`.

        Raises:
            `ValueError`: if `time_limit_s` is not positive, or more than a day.
            `pickle.PicklingError`, `AttributeError` or `TypeError`: if `function` or an argument cannot be pickled.
        """
        if not 0 < time_limit_s <= 86_400:
            raise ValueError(f"time_limit_s is {time_limit_s}, but must be positive and at most a day, 86400.")
        task = pickle.dumps((function, arguments))
        if is_worker():
            return _loaded(reply(task))
        with self._lock:
            try:
                outcome = self._outcome(task, time_limit_s)
            except BaseException:  # Ctrl-C: the worker is in the midst of a call
                self._stop()
                raise
            if outcome.reason in _FATAL:
                self._stop()
            return outcome

    @property
    def is_running(self) -> bool:
        """Whether there is a process that is ready, so that the next call need not wait for one."""
        return self._process is not None and self._is_ready and self._process.popen.poll() is None

    def start(self) -> None:
        """Has the process started without waiting until it is ready; does nothing within a worker, or if there is one.

        The process imports what it needs while the caller goes on, so that the first call need not wait for it.
        """
        if is_worker() or not self._lock.acquire(blocking=False):
            return  # a lock that is held: a call is running, which has the process started
        try:
            if self._process is None and time.monotonic() >= self._next_start_s:
                self._launch()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ends the worker, after the call that is running; a later call starts another. At exit it ends by itself."""
        with self._lock:
            self._stop()

    def _outcome(self, task: bytes, time_limit_s: float) -> Outcome:
        connection = self._connection()
        if connection is None:
            return Outcome(reason="crashed", detail="not started")
        try:
            connection.send_bytes(pickle.dumps((time_limit_s, task)))
            if not connection.poll(time_limit_s):
                return Outcome(reason="out_of_time")
            return _loaded(connection.recv_bytes())
        except (EOFError, OSError):
            return Outcome(reason="crashed")

    def _connection(self) -> Connection | None:
        """The pipe to a worker that is ready, started if need be, or None if there is none to be had."""
        if self._process is not None and self.is_running:
            return self._process.connection
        if self._process is not None and self._process.popen.poll() is not None:
            self._stop()  # it died idle
        if self._process is None and time.monotonic() < self._next_start_s:
            return None
        if self._process is None:
            self._launch()
        return self._ready()

    def _launch(self) -> None:
        try:
            self._process = launch(self, self._initializer, self._memory_limit_bytes)
        except Exception as error:  # no process to be had, say: the run goes on without verdicts
            self._give_up(repr(error))

    def _ready(self) -> Connection | None:
        """The pipe to the process that was launched, once it says that it is ready."""
        if self._process is None:
            return None
        connection = self._process.connection
        try:
            if connection.poll(START_LIMIT_S):
                outcome = _loaded(connection.recv_bytes())
                if outcome.reason is None:
                    self._is_ready = True
                    return connection
                problem = f"its initializer raised {outcome.detail}"
            else:
                problem = f"it was not ready after {START_LIMIT_S:g} s"
        except Exception as error:
            problem = repr(error)
        self._give_up(problem)
        return None

    def _give_up(self, problem: str) -> None:
        self._stop()
        self._next_start_s = time.monotonic() + START_LIMIT_S
        warnings.warn(f"The worker for bounded calls did not start: {problem}.", RuntimeWarning, stacklevel=2)

    def _stop(self) -> None:
        self._is_ready = False
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _forget(self) -> None:
        """After a fork, in the child: the worker is the parent's, and a lock that is held stays held for ever."""
        self._lock = threading.Lock()
        self._stop()


_WORKERS: weakref.WeakSet[BoundedWorker] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for worker in list(_WORKERS):
        worker._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
