"""
Python processes that begin with PyTorch, TRL and this package imported: forked from one that has imported them.

An import takes seven seconds of a core; what most tests of processes look at takes less. Such a process has its own
files, environment, exit code and end by a signal, as a new interpreter has. What is read as libraries are imported (the
endpoint of a Hub, thread pools, the seed of hashes) is that of the process that it comes from: tests of that start an
interpreter.
"""

import atexit
import itertools
import multiprocessing
import os
import runpy
import subprocess
import sys
import threading
from multiprocessing.context import ForkServerProcess
from pathlib import Path


IMPORTED = [
    "serl_trl.cli.train",
    "serl_trl.cli.evaluate",
    "serl_trl.cli.write_instructions",
    "peft",
    "trl.trainer.grpo_trainer",
    "transformers.models.llama.modeling_llama",
]
NOWHERE = Path(os.devnull)
_NUMBERS = itertools.count()


class WarmPython:
    """
    `python ARGUMENTS` in a session of its own, with what a test asks of `subprocess.Popen`.

    Args:
        arguments (`Sequence[str | Path]`): A script or `-m` and a module, and what it is given.
        cwd (`str | Path`): Its working directory.
        env (`Mapping[str, str]`): All of its environment.
        stdout, stderr (`Path`): Files that its output is appended to.
    """

    def __init__(self, arguments, *, cwd, env, stdout=NOWHERE, stderr=NOWHERE):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        words = [str(word) for word in arguments]
        self._process: ForkServerProcess = context.Process(
            target=_run, args=(words, str(cwd), dict(env), str(stdout), str(stderr))
        )
        number = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"  # of the server, which starts with the first process
        try:
            self._process.start()
        finally:
            if number is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = number
        self.pid = self._process.pid

    def poll(self):
        """Its exit code; `None` while it runs."""
        return self._process.exitcode

    def wait(self, timeout=None):
        """Its exit code; after so many seconds it is killed, and that is an error."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode

    def kill(self):
        """Ends it at once, if it is still there."""
        self._process.kill()
        self._process.join()


def run(arguments, folder, *, cwd, env, timeout=600):
    """As `subprocess.run` with captured output; a folder is needed for the files that the output passes through."""
    number = next(_NUMBERS)
    files = [folder / f"warm_python_{number}.{name}" for name in ("out", "err")]
    process = WarmPython(arguments, cwd=cwd, env=env, stdout=files[0], stderr=files[1])
    code = process.wait(timeout)
    texts = [file.read_text(encoding="utf-8") for file in files]
    for file in files:
        file.unlink()
    return subprocess.CompletedProcess(arguments, code, *texts)


def _run(words, cwd, env, stdout, stderr):
    """In the new process."""
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    import torch

    torch.set_num_threads(int(env.get("OMP_NUM_THREADS", "1")))
    try:
        _run_main(words, cwd)
    except Exception:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
    finally:  # as an interpreter ends, and a process of multiprocessing does not
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()


def _run_main(words, cwd):
    if words[0] == "-m":
        sys.path.insert(0, cwd)
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(words[0]).parent))
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
