"""A place to draw random numbers without anybody noticing: seeded inside, every generator restored on the way out."""

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """
    Seeds Python, NumPy and PyTorch (CPU and the current device) for a block and restores their states afterwards.

    Measuring a model, or writing instructions with it, must not change what training draws next.

    Args:
        seed (`int`): Seed used inside the block; its lowest 32 bits count.

    Example:

    ```python
    >>> import torch
    >>> before = torch.get_rng_state()
    >>> with isolated_random_state(7):
    ...     noise = torch.rand(3)
    >>> torch.equal(before, torch.get_rng_state())
    True

    ```
    """
    import numpy as np  # late: a command that only reads files starts without these
    import torch
    from transformers import set_seed

    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = [torch.accelerator.current_device_index()] if torch.accelerator.is_available() else []
    with torch.random.fork_rng(devices):
        set_seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
