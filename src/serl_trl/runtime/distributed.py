"""Errors of one process of several: all of them end with it, and none waits for one that has given up."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar


Result = TypeVar("Result")

# PyTorch and accelerate are imported inside the functions: a command that only reads files starts without them.

STORE_TIMEOUT = timedelta(seconds=30)

_blocks = count()  # every process enters the same blocks, so that an error is looked for under that of its own
_LOST_CONNECTION = ("gloo", "NCCL", "onnection closed", "onnection reset")  # what errors of a broken group speak of


def run_on_all_ranks(act: Callable[[], Result]) -> Result:
    """
    Runs something on every process, and waits until all have done it.

    Args:
        act (`Callable[[], Result]`): What each process does on its own; it must not communicate.

    Returns:
        What `act` returned on this process.

    Raises:
        Exception: On the process where `act` failed, its own error.
        RuntimeError: On the others, with the error of the first process where it failed.

    Example:

    ```python
    >>> run_on_all_ranks(lambda: 1 + 1)
    2

    ```
    """
    from accelerate.utils import gather_object

    error = None
    try:
        result = act()
    except Exception as caught:
        error = caught
    messages = gather_object([_message(error) if error else None])
    if error is not None:
        raise error
    if any(messages):
        raise RuntimeError(next(message for message in messages if message))
    return result


@contextmanager
def shared_failure() -> Iterator[None]:
    """
    Lets every process know with which error another has left the block.

    A process that waits for one that is gone sees no more than a lost connection. Here the error is left in the store of
    the process group, which outlives its processes where a launcher holds it, and taken from there.

    Raises:
        RuntimeError: In the place of a lost connection: the error of the process that was the first to fail.
    """
    import torch.distributed as dist

    if not dist.is_initialized() or dist.get_world_size() == 1:
        yield
        return
    store, key = _store_of_launcher(), f"serl_trl/failure/{next(_blocks)}"
    try:
        yield
    except Exception as error:
        cause = None
        try:
            if store is None:
                pass
            elif not _is_lost_connection(error):
                store.set(key, _message(error))
            elif store.check([key]):
                cause = store.get(key).decode()
        except dist.DistError:
            raise error from None  # the store has gone with the process that held it
        if cause is not None:
            raise RuntimeError(cause) from error
        raise


def _store_of_launcher() -> Any:
    """
    A client (`torch.distributed.TCPStore`) of the store by which the launcher has brought the processes together.

    `None` where there is none.
    """
    import torch.distributed as dist

    host, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
    if not host or not port:
        return None
    try:
        return dist.TCPStore(host, int(port), is_master=False, timeout=STORE_TIMEOUT)
    except dist.DistError:
        return None


def _message(error: Exception) -> str:
    from accelerate import PartialState

    return f"Process {PartialState().process_index} failed with {type(error).__name__}: {error}"


def _is_lost_connection(error: Exception) -> bool:
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in _LOST_CONNECTION)
    )


Row = TypeVar("Row")


def share_of(rows: Sequence[Row], num_processes: int, rank: int) -> tuple[list[Row], int]:
    """
    A process's run of the rows, as long as any other's, and the number of rows that had to be repeated for that.

    Example:

    ```python
    >>> share_of(["a", "b", "c"], num_processes=2, rank=1)
    (['c', 'a'], 1)

    ```
    """
    size = -(-len(rows) // num_processes)
    num_padding = size * num_processes - len(rows)
    padded = [*rows, *(rows[i % len(rows)] for i in range(num_padding))]
    return padded[rank * size : (rank + 1) * size], num_padding
