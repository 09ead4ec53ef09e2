"""Several processes that share the weights, and give their results in order."""

import gc
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from nlpkit.core.pipeline.signals import held_signals
from nlpkit.errors import NlpkitError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items per worker that are under way
_function: Callable[[Any], Any]  # of a worker


class WorkerError(NlpkitError):
    """A worker process has ended, such as by a lack of memory."""


class Workers(Generic[Item, Result]):
    """A pool of processes.

    The processes are forked, so they share the memory of what `function` holds, such as the weights of a model, until
    one of them writes to it. Call it before any thread is started: a fork copies the calling thread only.

    Args:
        function: applied to items, which are pickled, as are results.
        count: number of processes.

    Raises:
        UsageError: the system has no fork.
    """

    def __init__(self, function: Callable[[Item], Result], count: int):
        if "fork" not in multiprocessing.get_all_start_methods():
            raise UsageError("--workers: this system cannot fork processes; leave it out")
        global _function
        _function = function
        self._count = count
        try:
            with held_signals() as mask, frozen_objects():  # a new process inherits both
                self._pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _begin, (mask,))
                for future in [self._pool.submit(_nothing) for _ in range(count)]:
                    future.result()  # starts all processes
        except BrokenProcessPool:
            raise _ended() from None
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> "Workers[Item, Result]":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._pool.shutdown()
        else:
            self._stop()

    def _stop(self) -> None:
        """End the processes, whatever they do, and the threads of the pool, which could complain at exit."""
        for process in list((self._pool._processes or {}).values()):
            process.terminate()
        # A process may end in the middle of a result; without another writer the pool does not wait for the rest.
        results: Any = self._pool._result_queue
        results._writer.close()
        self._pool.shutdown(cancel_futures=True)

    def map(self, items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Yield items with their results, in order, each as soon as it is there; a thread reads a few items ahead.

        Raises:
            WorkerError: a process has ended.
        """
        under_way: queue.Queue[tuple[Item, Future[Result]] | _End] = queue.Queue(_AHEAD * self._count)
        stopped = threading.Event()

        def put(value: tuple[Item, Future[Result]] | _End) -> None:
            while not stopped.is_set():
                with suppress(queue.Full):
                    under_way.put(value, timeout=1.0)
                    return

        def feed() -> None:
            try:
                for item in items:
                    if stopped.is_set():
                        return
                    put((item, self._pool.submit(_run, item)))
                put(_End())
            except BaseException as error:
                put(_End(error))

        threading.Thread(target=feed, name="nlpkit-feeder", daemon=True).start()
        try:
            while not isinstance(taken := under_way.get(), _End):
                item, future = taken
                yield item, future.result()
            if taken.error is not None:
                raise taken.error
        except BrokenProcessPool:
            raise _ended() from None
        finally:
            stopped.set()


class _End:
    """The end of the items, with the error that ended them, if any."""

    def __init__(self, error: BaseException | None = None):
        self.error = error


@contextmanager
def frozen_objects() -> Iterator[None]:
    """Hide the objects that exist now from the garbage collector; a process forked in the block must not leave it.

    A forked process has no threads but one, and waits forever if it frees an object that stops its threads, such as an
    ONNX Runtime session. Memory is shared longer, too, as the collector writes to the objects that it visits.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _ended() -> WorkerError:
    cure = "continue with --resume, and with fewer --workers"
    return WorkerError(f"a worker process was ended, perhaps for lack of memory; {cure}")


def _begin(mask: set[int | signal.Signals]) -> None:
    """Leave signals to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def _nothing() -> None: ...


def _run(item: Any) -> Any:
    return _function(item)
