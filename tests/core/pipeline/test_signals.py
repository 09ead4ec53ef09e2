"""Signals that wait while something must not be interrupted."""

import os
import signal
import threading

import pytest

from nlpkit.core.pipeline.signals import held_signals


@pytest.fixture
def handled():
    """The numbers of signals that were handled, in order."""
    numbers = []
    before = {each: signal.signal(each, lambda number, frame: numbers.append(number)) for each in
              (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}  # fmt: skip
    yield numbers
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_handled_after_the_block(handled, number):
    with held_signals():
        os.kill(os.getpid(), number)
        assert handled == []
    assert handled == [number]
    os.kill(os.getpid(), number)
    assert handled == [number, number]


def test_a_signal_that_another_thread_gets_waits_too(handled):
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    with held_signals():
        signal.pthread_kill(thread.ident, signal.SIGTERM)
        waiting.set()
        thread.join()
        assert handled == []
    assert handled == [signal.SIGTERM]


def test_an_error_in_the_block_does_not_leave_signals_held(handled):
    with pytest.raises(ValueError, match="broken"), held_signals():
        raise ValueError("broken")
    os.kill(os.getpid(), signal.SIGINT)
    assert handled == [signal.SIGINT]


def test_without_the_main_thread_nothing_is_replaced(handled):
    masks = []

    def hold():
        with held_signals() as mask:
            masks.append(mask)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert masks == [set()]
