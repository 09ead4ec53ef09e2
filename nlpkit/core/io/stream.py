"""Streaming: chunks of records, read ahead in a bounded buffer."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

CHUNK_SIZE = 2048  # records held at once
CHUNK_WEIGHT = 500_000  # characters held at once, where items weigh as many
READ_AHEAD = 64  # maximum number of records read ahead
WAIT = 0.1  # seconds without a new record after which an incomplete chunk is yielded


class _End:
    """The end of the queue, with the error that ended the reading, if any."""

    def __init__(self, error: BaseException | None = None):
        self.error = error


class _ReadAhead(queue.Queue[T | _End]):
    """A queue of at most `READ_AHEAD` items; it is also full when their total weight exceeds `max_weight`."""

    def __init__(self, weigh: Callable[[T], int], max_weight: int):
        super().__init__(READ_AHEAD)
        self._weigh, self._max_weight, self._total = weigh, max_weight, 0

    def _put(self, item: T | _End) -> None:
        super()._put(item)
        self._total += 0 if isinstance(item, _End) else self._weigh(item)

    def _get(self) -> T | _End:
        item: T | _End = super()._get()
        self._total -= 0 if isinstance(item, _End) else self._weigh(item)
        return item

    def _qsize(self) -> int:
        return READ_AHEAD if self._total > self._max_weight else super()._qsize()


def in_chunks(
    items: Iterable[T],
    weigh: Callable[[T], int] = lambda item: 1,
    *,
    size: int = CHUNK_SIZE,
    weight: int = CHUNK_WEIGHT,
    wait: float | None = WAIT,
) -> Iterator[list[T]]:
    """Yield lists of up to `size` items in order; a thread reads a few items ahead.

    An error in `items` is raised after all items before it were yielded, except an incomplete chunk where `wait` is
    None: without it, chunks depend on the items alone, and not on where an error has ended them.

    Args:
        items: read by the thread.
        weigh: returns the weight of an item.
        size: maximum number of items in a chunk.
        weight: total weight at which a chunk is complete, and no further items are read ahead; bounds the memory that
            long texts take.
        wait: seconds without a new item after which an incomplete chunk is yielded, for live pipes; None never yields
            one before the end.
    """
    waiting = _ReadAhead(weigh, weight)
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
            chunk, end = _collect(waiting, weigh, size, weight, wait)
            failed = end is not None and end.error is not None
            if chunk and not (failed and wait is None):
                yield chunk
            if end is not None:
                if end.error is not None:
                    raise end.error
                return
    finally:
        stopped.set()


def _collect(
    waiting: "queue.Queue[T | _End]", weigh: Callable[[T], int], size: int, weight: int, wait: float | None
) -> tuple[list[T], _End | None]:
    chunk: list[T] = []
    total = 0
    while len(chunk) < size and total < weight:
        try:
            item = waiting.get(timeout=wait if chunk else None)
        except queue.Empty:
            break
        if isinstance(item, _End):
            return chunk, item
        chunk.append(item)
        total += weigh(item)
    return chunk, None
