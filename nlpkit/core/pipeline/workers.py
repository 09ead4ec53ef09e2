"""Several processes that share the weights, and give their results in order."""

import gc
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from nlpkit.core.pipeline.signals import held_signals
from nlpkit.errors import NlpkitError, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items per worker that are under way


class WorkerError(NlpkitError):
    """A worker process has ended, such as by a lack of memory."""


class RemoteError(Exception):
    """The traceback of an error in a worker process, as the cause of that error; tracebacks cannot be pickled."""

    def __str__(self) -> str:
        return f"in a worker process:\n{self.args[0]}"


class Workers(Generic[Item, Result]):
    """A pool of processes.

    The processes are forked, so they share the memory of what `function` holds, such as the weights of a model, until
    one of them writes to it. Call it before any thread is started: a fork copies the calling thread only.

    Each process has its own pipe, and a thread of the parent that reads it. If a process is killed while it sends a
    result, its pipe is closed, and the others are not blocked.

    Args:
        function: applied to items, which are pickled, as are results.
        count: number of processes.

    Raises:
        UsageError: the system has no fork.
    """

    def __init__(self, function: Callable[[Item], Result], count: int):
        if "fork" not in multiprocessing.get_all_start_methods():
            raise UsageError("--workers: this system cannot fork processes; leave it out")
        context = multiprocessing.get_context("fork")
        self._count = count
        self._requests: queue.SimpleQueue[tuple[Item, Future[Result]] | None] = queue.SimpleQueue()
        self._processes: list[Any] = []
        self._threads: list[threading.Thread] = []
        connections: list[Connection[Any, Any]] = []
        try:
            with held_signals() as mask, frozen_objects():  # a new process inherits both
                for _ in range(count):
                    here, there = context.Pipe()
                    connections.append(here)
                    arguments = (function, there, list(connections), mask)
                    process = context.Process(target=_work, args=arguments, daemon=True)
                    process.start()
                    self._processes.append(process)
                    there.close()
        except BaseException:
            self._stop()
            raise
        for connection in connections:
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def __enter__(self) -> "Workers[Item, Result]":
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._join()
        else:
            self._stop()

    def _stop(self) -> None:
        """End the processes, whatever they do."""
        for process in self._processes:
            process.terminate()
        self._join()

    def _join(self) -> None:
        for _ in self._threads:
            self._requests.put(None)
        for each in [*self._threads, *self._processes]:
            each.join()

    def _serve(self, connection: "Connection[Any, Any]") -> None:
        """Send requests to a process, one at a time, and set their results, until the last request or its end."""
        with connection:  # the process ends when the connection is closed
            while (request := self._requests.get()) is not None:
                item, future = request
                try:
                    connection.send(item)
                    result, error, place = connection.recv()
                except (EOFError, OSError):
                    future.set_exception(_ended())
                    return
                except Exception as unpickled:
                    result, error, place = None, unpickled, traceback.format_exc()
                if error is None:
                    future.set_result(result)
                else:
                    error.__cause__ = RemoteError(place)
                    future.set_exception(error)

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
                    request: tuple[Item, Future[Result]] = item, Future()
                    self._requests.put(request)
                    put(request)
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


def _work(
    function: Callable[[Any], Any],
    connection: "Connection[Any, Any]",
    inherited: "list[Connection[Any, Any]]",
    mask: set[int | signal.Signals],
) -> None:
    """Receive items and send (result, error or None, its traceback) until the parent closes the connection.

    Args:
        function: applied to the items.
        connection: to the parent.
        inherited: the parent's ends of the connections to this process and to those before it.
        mask: of blocked signals, to be restored.
    """
    for other in inherited:
        other.close()
    _begin(mask)
    with suppress(EOFError, OSError):
        while True:
            item = connection.recv()
            answer: tuple[Any, Exception | None, str]
            try:
                answer = function(item), None, ""
            except Exception as error:
                answer = None, error, traceback.format_exc()
            try:
                connection.send(answer)
            except OSError:
                return
            except Exception as error:  # it cannot be pickled
                connection.send((None, error, traceback.format_exc()))


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
