"""Metrics for Prometheus. Labels are tasks, status codes and reasons: never texts, models or paths."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = tuple(2**power for power in range(12))
_CHARACTERS = tuple(2**power for power in range(4, 18))


class Metrics:
    """What the service counts; a `batcher.Observer`.

    Args:
        waiting: returns the number of characters in the queue.
    """

    def __init__(self, waiting: Callable[[], int]):
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "nlpkit_requests", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self._latency = Histogram(
            "nlpkit_request_seconds", "Seconds of a request.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self._batch_texts = Histogram(
            "nlpkit_batch_texts", "Texts in a batch.", ("task",), buckets=_TEXTS, registry=self.registry
        )
        self._batch_characters = Histogram(
            "nlpkit_batch_characters", "Characters in a batch.", ("task",), buckets=_CHARACTERS, registry=self.registry
        )
        self._batch_seconds = Histogram(
            "nlpkit_batch_seconds", "Seconds of a batch.", ("task",), buckets=_SECONDS, registry=self.registry
        )
        self._refused = Counter(
            "nlpkit_refused", "Requests that were refused, by reason.", ("reason",), registry=self.registry
        )
        gauge = Gauge("nlpkit_queue_characters", "Characters that wait.", registry=self.registry)
        gauge.set_function(waiting)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def refuse(self, reason: str) -> None:
        """Count a request that was refused."""
        self._refused.labels(reason).inc()

    def batch(self, key: Any, texts: int, characters: int, seconds: float) -> None:
        """Count a batch; see `batcher.Observer`."""
        self._batch_texts.labels(key.task).observe(texts)
        self._batch_characters.labels(key.task).observe(characters)
        self._batch_seconds.labels(key.task).observe(seconds)

    def text(self) -> bytes:
        """Return the metrics in the format of Prometheus."""
        return generate_latest(self.registry)
