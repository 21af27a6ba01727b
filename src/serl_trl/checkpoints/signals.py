"""Ctrl-C and the signals of schedulers, noted while a step runs and obeyed when the run can be saved."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """
    Notes SIGINT and SIGTERM for as long as [`~Interrupts.noted`] is entered; a second Ctrl-C takes effect at once.

    Signals reach the main thread only: anywhere else nothing changes.

    Example:

    ```python
    >>> interrupts = Interrupts()
    >>> with interrupts.noted():
    ...     signal.raise_signal(signal.SIGTERM)
    >>> interrupts.received == signal.SIGTERM
    True

    ```
    """

    def __init__(self) -> None:
        self.received: int | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Puts this object's handlers in the place of those that are there."""
        self.received = None
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def raise_if_received(self) -> None:
        """
        Ends the program as the signal would have done, if there was one.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SystemExit: After SIGTERM, with the status that a shell gives it.
        """
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        if self.received is not None:
            raise SystemExit(128 + self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.received = number
        name = signal.Signals(number).name
        note = f"\n{name}: the run is saved after this step, then ends; Ctrl-C again ends it now.\n"
        os.write(2, note.encode())  # print may be in the middle of something
