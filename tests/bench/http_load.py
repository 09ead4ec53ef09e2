"""A client that sends many HTTP requests over keep-alive connections and notes how long each takes."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import orjson


@dataclass
class Load:
    """What came back.

    Attributes:
        seconds: from the first request to the last response.
        latencies: seconds of each request, by status; 0 is a connection that was lost.
    """

    seconds: float = 0.0
    latencies: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        """Take note of a response."""
        self.latencies.setdefault(status, []).append(seconds)

    @property
    def counts(self) -> Counter[int]:
        """The number of responses, by status."""
        return Counter({status: len(values) for status, values in self.latencies.items()})

    def milliseconds(self, percentile: float, status: int = 200) -> float:
        """A percentile of the latencies."""
        return round(1000 * float(np.percentile(self.latencies.get(status, [0.0]), percentile)), 1)

    def summary(self) -> dict[str, float]:
        """Requests per second and percentiles of those with status 200."""
        return {
            "requests": self.counts[200], "per_second": round(self.counts[200] / self.seconds, 1),
            "p50_ms": self.milliseconds(50), "p99_ms": self.milliseconds(99),
        }  # fmt: skip


def post(path: str, body: object) -> bytes:
    """A request, as bytes."""
    content = orjson.dumps(body)
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    return "\r\n".join([*head, f"Content-Length: {len(content)}", "", ""]).encode() + content


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send a request; return the status of its response, whose body is read to the end."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ", 2)[1])


async def closed_loop(port: int, requests: Iterable[bytes], clients: int, seconds: float = 0, count: int = 0) -> Load:
    """Clients that each send their next request when the last one is answered, for some time or some requests."""
    load, source = Load(), itertools.cycle(requests)
    left = itertools.count(count - 1, -1)
    start = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (time.perf_counter() - start < seconds) if seconds else (next(left) >= 0):
                begin = time.perf_counter()
                load.add(await ask(reader, writer, next(source)), time.perf_counter() - begin)
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    load.seconds = time.perf_counter() - start
    return load


async def open_loop(port: int, requests: Iterable[bytes], per_second: float, seconds: float) -> Load:
    """Requests at a fixed rate, each on a connection of its own, whether or not the others are answered."""
    load, source = Load(), itertools.cycle(requests)
    tasks: set[asyncio.Task[None]] = set()

    async def one(request: bytes) -> None:
        begin, status = time.perf_counter(), 0
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                status = await ask(reader, writer, request)
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        load.add(status, time.perf_counter() - begin)

    start = time.perf_counter()
    for number in range(int(per_second * seconds)):
        delay = start + number / per_second - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        task = asyncio.create_task(one(next(source)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - start
    return load
