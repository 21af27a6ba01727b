import os
import signal
import sys
from pathlib import Path


os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
if "PYTEST_XDIST_WORKER" in os.environ:  # one core a worker: with more threads than cores all of them are slow
    os.environ["OMP_NUM_THREADS"] = "1"  # the controller's is inherited
    os.sched_getaffinity = lambda pid: {0}  # by which recipes choose their threads
else:
    os.environ.setdefault("OMP_NUM_THREADS", "2")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell leaves it to what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent / "cases"))  # the importlib mode of pytest leaves sys.path alone
sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))  # recipes import what lies beside them
sys.path.insert(0, str(Path(__file__).parents[1] / "recipes" / "experiments"))
sys.path.insert(0, str(Path(__file__).parent))

import hypothesis


hypothesis.settings.register_profile("default", deadline=None)  # the machines that run this are noisy
hypothesis.settings.load_profile("default")

collect_ignore = [  # run by tests in processes of their own
    "distributed_failures.py",
    "distributed_guard.py",
    "distributed_refill.py",
    "distributed_resume.py",
    "distributed_rollout.py",
    "distributed_sharded.py",
    "distributed_votes.py",
    "hub_client.py",
    "resumable_run.py",
    "tracked_run.py",
    "vllm_run.py",
]
