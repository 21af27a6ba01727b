import datetime
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
import pytest


# what tests share, for the scripts that they start as well; pytest itself has it from pyproject.toml
SHARED = [str(Path(__file__).parent / name) for name in ("cases", "helpers")]
os.environ["PYTHONPATH"] = os.pathsep.join([*SHARED, *filter(None, [os.environ.get("PYTHONPATH")])])


hypothesis.settings.register_profile("default", deadline=None)  # the machines that run this are noisy
hypothesis.settings.load_profile("default")

collect_ignore = ["scripts"]  # run by tests in processes of their own

# Rooms whose tests train or start processes, the longest first: what is left for the end is short, so that all workers
# end together. Files not named here come after them.
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


def pytest_addoption(parser):
    parser.addoption(
        "--slow-part",
        metavar="K/N",
        help="of the tests that are left after -m, only the K-th of N parts, file by file; `today` for K goes by the date",
    )


def part_of(text, today=None):
    """
    K and N of `K/N`.

    >>> part_of("3/4"), part_of("today/4", datetime.date(2026, 1, 6))
    ((3, 4), (3, 4))
    """
    number, _, of = text.partition("/")
    try:
        num_parts = int(of)
        part = (today or datetime.date.today()).toordinal() % num_parts + 1 if number == "today" else int(number)
    except (ValueError, ZeroDivisionError):
        part, num_parts = 0, 0
    if not 1 <= part <= num_parts:
        raise pytest.UsageError(f"--slow-part {text} is no K/N with K from 1 to N, or `today` for K.")
    return part, num_parts


def room(item):
    path = item.nodeid.partition("::")[0]
    return next((i for i, name in enumerate(LONGEST_FIRST) if path.startswith(name)), len(LONGEST_FIRST))


@pytest.hookimpl(trylast=True)  # after -m and -k have chosen
def pytest_collection_modifyitems(config, items):
    items.sort(key=room)
    if config.getoption("--slow-part"):
        part, num_parts = part_of(config.getoption("--slow-part"))
        kept = [item for i, item in enumerate(items) if i % num_parts == part - 1]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_collection_finish():
    """What is there now stays: the collections of garbage that trainers ask for need not go through it again."""
    gc.collect()
    gc.freeze()
