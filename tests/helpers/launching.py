"""
Scripts of tests/scripts in processes of their own: one, two as accelerate starts them, and two by accelerate itself.

Two processes are started here as accelerate's launcher and torchrun start them, with the variables that these set, but
with PyTorch and TRL imported already (warm_python.py). A slow test of test_distributed.py holds one run against that of
the launcher.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from torch.distributed import TCPStore

from warm_python import NOWHERE, WarmPython


ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", "--config_file"]
LAUNCH += ["accelerate_configs/cpu.yaml"]
TIMEOUT_S = 600
OF_ACCELERATE = {
    "ACCELERATE_MIXED_PRECISION": "no",
    "ACCELERATE_DYNAMO_BACKEND": "NO",
    "ACCELERATE_DYNAMO_MODE": "default",
    "ACCELERATE_DYNAMO_USE_FULLGRAPH": "False",
    "ACCELERATE_DYNAMO_USE_DYNAMIC": "False",
    "ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION": "False",
}
OF_TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "TORCHELASTIC_MAX_RESTARTS": "0",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "MASTER_ADDR": "127.0.0.1",
    "GROUP_RANK": "0",
    "GROUP_WORLD_SIZE": "1",
}


def environment(**more):
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | more


def in_one(*arguments):
    """`python ARGUMENTS` in a process; its exit code."""
    return WarmPython(arguments, cwd=ROOT, env=environment()).wait(TIMEOUT_S)


def in_two(*arguments, stdout=NOWHERE, stderr=NOWHERE):
    """`python ARGUMENTS` in two processes; their exit codes. Neither is ended because the other has failed."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun's agent has one
    sizes = dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE"), "2")
    processes = []
    for rank in ("0", "1"):
        ranks = dict.fromkeys(("RANK", "LOCAL_RANK", "ROLE_RANK"), rank)
        variables = environment(**OF_ACCELERATE, **OF_TORCHRUN, **sizes, **ranks, MASTER_PORT=str(store.port))
        processes.append(WarmPython(arguments, cwd=ROOT, env=variables, stdout=stdout, stderr=stderr))
    try:
        return [process.wait(TIMEOUT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()


def by_accelerate(script, *arguments, launch=LAUNCH):
    """By accelerate's own launcher, with new interpreters."""
    command = [*launch, f"tests/scripts/{script}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment(), timeout=TIMEOUT_S, check=False)


def records(folder):
    """What each process of a run saw."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("rank*.json"))]
