"""Streaming: a bounded window of records at a time, and batches under a token budget inside it."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

WINDOW = 2048  # records held at once
WEIGHT = 500_000  # characters held at once, where items weigh as many
AHEAD = 64  # records read before they are asked for
WAIT = 0.1  # seconds that a live pipe may stand still before a part-filled window goes on


class _End:
    """Closes the queue; carries the error that ended the reading, if one did."""

    def __init__(self, error: BaseException | None = None):
        self.error = error


class _Ahead(queue.Queue[T | _End]):
    """What is read ahead: at most `AHEAD` items, and no further one once they weigh `weight` together."""

    def __init__(self, weigh: Callable[[T], int], weight: int):
        super().__init__(AHEAD)
        self._weigh, self._most, self._total = weigh, weight, 0

    def _put(self, item: T | _End) -> None:
        super()._put(item)
        self._total += 0 if isinstance(item, _End) else self._weigh(item)

    def _get(self) -> T | _End:
        item: T | _End = super()._get()
        self._total -= 0 if isinstance(item, _End) else self._weigh(item)
        return item

    def _qsize(self) -> int:
        return AHEAD if self._total > self._most else super()._qsize()


def in_windows(
    items: Iterable[T],
    weigh: Callable[[T], int] = lambda item: 1,
    *,
    size: int = WINDOW,
    weight: int = WEIGHT,
    wait: float = WAIT,
) -> Iterator[list[T]]:
    """Lists of up to `size` items, in order, read ahead a little by a thread.

    A list is also full when its items together weigh `weight`, as is what is read ahead, so that long texts do not fill
    the memory; and it goes
    out part-filled when no further item has come for `wait` seconds, so a live pipe moves. An error in `items` is
    raised after everything before it has gone out.
    """
    waiting = _Ahead(weigh, weight)
    stopped = threading.Event()

    def put(item: T | _End) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=1.0)
                return

    def read() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    return
                put(item)
            put(_End())
        except BaseException as error:
            put(_End(error))

    threading.Thread(target=read, name="nlpkit-reader", daemon=True).start()
    try:
        while True:
            window, end = _collect(waiting, weigh, size, weight, wait)
            if window:
                yield window
            if end is not None:
                if end.error is not None:
                    raise end.error
                return
    finally:
        stopped.set()


def _collect(
    waiting: "queue.Queue[T | _End]", weigh: Callable[[T], int], size: int, weight: int, wait: float
) -> tuple[list[T], _End | None]:
    window: list[T] = []
    total = 0
    while len(window) < size and total < weight:
        try:
            item = waiting.get(timeout=wait if window else None)
        except queue.Empty:
            break
        if isinstance(item, _End):
            return window, item
        window.append(item)
        total += weigh(item)
    return window, None


def token_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices in batches of similar length, longest first, so that rows × longest row stays within the budget.

    A row longer than the budget is a batch of its own.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and (len(batches[-1]) + 1) * longest <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = lengths[index]
    return batches
