import signal
import threading

import pytest

from serl_trl.checkpoints.signals import Interrupts


def test_a_signal_waits_until_it_is_obeyed():
    interrupts, before = Interrupts(), signal.getsignal(signal.SIGINT)
    with interrupts.noted():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        interrupts.raise_if_received()


def test_a_second_ctrl_c_does_not_wait():
    with Interrupts().noted():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_scheduler_that_repeats_itself_waits():
    interrupts = Interrupts()
    with interrupts.noted():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        interrupts.raise_if_received()
    assert caught.value.code == 143


def test_without_a_signal_nothing_happens():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    interrupts = Interrupts()
    with interrupts.noted():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    interrupts.raise_if_received()  # would raise
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_other_threads_change_nothing():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def enter():
        with Interrupts().noted():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
