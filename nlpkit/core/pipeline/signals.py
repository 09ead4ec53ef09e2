"""Signals that wait while something must not be interrupted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def held_signals() -> Iterator[set[Any]]:
    """Delay SIGINT, SIGTERM and SIGHUP until the end of the block; yield the mask of blocked signals from before.

    The mask stops signals for this thread and for processes that it forks. Python runs the handlers in the main thread
    whichever thread got the signal, so they are replaced, too.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield set()
        return
    held: list[int] = []
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {each: handler for each in _SIGNALS if callable(handler := signal.getsignal(each))}
    for each in before:
        signal.signal(each, lambda number, frame: held.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in held[:1]:
            signal.raise_signal(number)
