import gc
import os
import signal
from pathlib import Path


os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
if "PYTEST_XDIST_WORKER" in os.environ:  # one core a worker: with more threads than cores all of them are slow
    os.environ["OMP_NUM_THREADS"] = "1"  # the controller's is inherited; commands leave it as it is
else:
    os.environ.setdefault("OMP_NUM_THREADS", "2")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell leaves it to what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


import hypothesis


# what tests share, for the scripts that they start as well; pytest itself has it from pyproject.toml
SHARED = [str(Path(__file__).parent / name) for name in ("cases", "helpers")]
os.environ["PYTHONPATH"] = os.pathsep.join([*SHARED, *filter(None, [os.environ.get("PYTHONPATH")])])


hypothesis.settings.register_profile("default", deadline=None)  # the machines that run this are noisy
hypothesis.settings.load_profile("default")

collect_ignore = ["scripts"]  # run by tests in processes of their own

# Rooms whose tests train or start processes. `--no-loadscope-reorder` of pytest-xdist hands files out in this order: what
# is left for the end is short, and all workers end together.
LONGEST_FIRST = (
    "tests/experiments",
    "tests/examples",
    "tests/trainer",
    "tests/checkpoints",
    "tests/cli",
    "tests/monitoring",
    "tests/rollouts",
    "tests/evaluation",
    "tests/prompts",
)


def room(item):
    path = item.nodeid.partition("::")[0]
    return next((i for i, name in enumerate(LONGEST_FIRST) if path.startswith(name)), len(LONGEST_FIRST))


def pytest_collection_modifyitems(items):
    items.sort(key=room)


def pytest_collection_finish():
    """What is there now stays: the collections of garbage that trainers ask for need not go through it again."""
    gc.collect()
    gc.freeze()
