"""Dynamic batching: one thread owns the models, and joins what has come while it was busy.

There is no waiting window. While a batch runs, the next one collects, up to a number of characters. A request of many
texts takes part in several batches, and others come between them, so that it does not delay them.

An answer does not depend on the batch: each model treats texts independently.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from nlpkit.core.pipeline.memory import is_out_of_memory
from nlpkit.errors import NlpkitError

DECAY = 0.8  # of older batches in the average of characters per second
MAX_EXPECTED = 0.5  # fraction of the timeout; the rest is a margin, as the expected duration is an estimate


class OverloadedError(NlpkitError):
    """The queue is full, or its expected duration is too long for the timeout of the request.

    Attributes:
        retry_after: seconds after which there is probably room.
    """

    def __init__(self, message: str, retry_after: float):
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(NlpkitError):
    """A request waited too long."""


class StoppedError(NlpkitError):
    """The service is shutting down."""


class Observer(Protocol):
    """Is told what the batcher does, for metrics."""

    def batch(self, key: Hashable, texts: int, characters: int, seconds: float) -> None:
        """Take note of a batch that is done."""


@dataclass(eq=False, slots=True)
class _Request:
    """Texts for one model, with the answers so far."""

    key: Hashable
    texts: Sequence[Any]
    costs: Sequence[int]
    deadline: float
    future: "Future[list[Any]]" = field(default_factory=Future)
    answers: list[Any] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Characters that are not processed."""
        return sum(self.costs[len(self.answers) :])


class Batcher:
    """The owner of the models.

    Args:
        run: (key, texts) → answers, in order; called in the thread of the batcher only.
        max_batch: characters in a batch; a longer text is a batch of its own.
        max_queue: characters that may wait.
        observer: is told of every batch.
    """

    def __init__(
        self,
        run: Callable[[Any, Sequence[Any]], Sequence[Any]],
        *,
        max_batch: int,
        max_queue: int,
        observer: Observer | None = None,
    ):
        self._run, self._max_batch, self._max_queue, self._observer = run, max_batch, max_queue, observer
        self._requests: deque[_Request] = deque()
        self._condition = threading.Condition()
        self._waiting = 0  # characters
        self._characters = self._seconds = 0.0  # of the last batches, older ones with less weight
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="nlpkit-models", daemon=True)

    @property
    def waiting(self) -> int:
        """The number of characters that wait."""
        return self._waiting

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Accept nothing more, finish what waits, and end the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(timeout)

    def submit(self, key: Hashable, texts: Sequence[Any], costs: Sequence[int], timeout: float) -> "Future[list[Any]]":
        """Return the future of the answers to texts.

        A cancelled future is not processed further.

        Args:
            key: of the model and its options; texts with the same key are processed together.
            texts: of the request.
            costs: characters of each text.
            timeout: seconds after which the future has `DeadlineError`, if it is not done.

        Raises:
            OverloadedError: the queue is full, or the expected time until the answer is more than half of the
                timeout. A request that finds the queue empty is accepted.
            StoppedError: `stop` was called.
        """
        request = _Request(key, texts, [max(1, cost) for cost in costs], time.monotonic() + timeout)
        if not texts:
            request.future.set_result([])
            return request.future
        with self._condition:
            if self._stopping:
                raise StoppedError("the service is shutting down")
            waiting = self._waiting + request.waiting
            if self._waiting and (waiting > self._max_queue or self._expected(waiting) > MAX_EXPECTED * timeout):
                after = max(1.0, self._expected(self._waiting))
                raise OverloadedError(f"too many requests are waiting; try again in {after:.0f} s", after)
            self._requests.append(request)
            self._waiting += request.waiting
            self._condition.notify()
        return request.future

    def _expected(self, characters: int) -> float:
        """Return the seconds that characters probably take; 0 before the first batch."""
        return characters * self._seconds / self._characters if self._characters else 0.0

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            if batch:
                self._process(batch)

    def _next(self) -> list[tuple[_Request, int]] | None:
        """Return the next batch: requests with their numbers of texts; empty if all are gone; None at the end."""
        with self._condition:
            while not self._requests:
                if self._stopping:
                    return None
                self._condition.wait()
            self._drop_gone()
            if not self._requests:
                return []
            key, left = self._requests[0].key, self._max_batch
            batch: list[tuple[_Request, int]] = []
            for request in [each for each in self._requests if each.key == key]:
                count = 0
                for cost in request.costs[len(request.answers) :]:
                    if cost > left and (batch or count):
                        break
                    left -= cost
                    count += 1
                if not count:
                    break
                batch.append((request, count))
                if left <= 0:
                    break
            return batch

    def _drop_gone(self) -> None:
        """Remove the requests whose clients have gone, or whose time is over."""
        now = time.monotonic()
        for request in list(self._requests):
            if request.future.cancelled():
                self._remove(request)
            elif now > request.deadline:
                self._remove(request)
                with suppress(InvalidStateError):
                    request.future.set_exception(DeadlineError("the request waited too long; see --timeout"))

    def _remove(self, request: _Request) -> None:
        self._requests.remove(request)
        self._waiting -= request.waiting

    def _process(self, batch: list[tuple[_Request, int]]) -> None:
        texts = [text for request, count in batch for text in request.texts[len(request.answers) :][:count]]
        costs = sum(sum(request.costs[len(request.answers) :][:count]) for request, count in batch)
        key, start = batch[0][0].key, time.monotonic()
        try:
            answers = iter(self._run_within_memory(key, texts))
        except Exception as error:
            self._fail(batch, error)
            return
        seconds = time.monotonic() - start
        with self._condition:
            self._characters = DECAY * self._characters + costs
            self._seconds = DECAY * self._seconds + seconds
            for request, count in batch:
                self._waiting -= sum(request.costs[len(request.answers) :][:count])
                request.answers += [next(answers) for _ in range(count)]
                self._requests.remove(request)
                if len(request.answers) < len(request.texts):
                    self._requests.append(request)  # behind the others
                else:
                    with suppress(InvalidStateError):  # cancelled
                        request.future.set_result(request.answers)
        if self._observer:
            self._observer.batch(key, len(texts), costs, seconds)

    def _run_within_memory(self, key: Hashable, texts: Sequence[Any]) -> list[Any]:
        try:
            return list(self._run(key, texts))
        except Exception as error:
            if len(texts) == 1 or not is_out_of_memory(error):
                raise
        middle = len(texts) // 2
        return [*self._run_within_memory(key, texts[:middle]), *self._run_within_memory(key, texts[middle:])]

    def _fail(self, batch: list[tuple[_Request, int]], error: Exception) -> None:
        """Fail the request of a batch of one; process the requests of others one by one, to find the bad one."""
        if len(batch) > 1:
            for each in batch:
                self._process([each])
            return
        with self._condition:
            request = batch[0][0]
            self._remove(request)
            with suppress(InvalidStateError):
                request.future.set_exception(error)
