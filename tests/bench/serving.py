"""`nlpkit serve` under load, on the loopback interface; the clients are in this process.

    python tests/bench/serving.py WORK throughput [SECONDS]   # 1, 8 and 64 clients, against other services
    python tests/bench/serving.py WORK memory [REQUESTS]      # memory over many requests (100,000)
    python tests/bench/serving.py WORK overload [SECONDS]     # ten times as many requests as it can answer (60)
    python tests/bench/serving.py WORK hostile [REQUESTS]     # malformed requests (1,000), slow and half-closed clients

Each action replaces its part of `results/serving.json`. Requests have one text of CLUENER's training set, unless said
otherwise. "No batching" is the same service with `--batch-characters 1`. The plain service (`plain_service.py`) and
ours have the same BERT folder of sentence-transformers, each with its default settings.
"""

import asyncio
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from common import RESULTS, record, sentences
from embed_speed import make_bert
from http_load import Load, closed_loop, open_loop, post
from search_scale import features

CLIENTS = (1, 8, 64)
WARM_UP = 3  # seconds
SLOW = 50  # connections
OVERLOAD = 10  # times the capacity
TEXTS_OF_LARGE = 16  # texts of a request in the overload, so that the client is not the limit
WAIT = 5  # seconds of --timeout there
NLPKIT = [sys.executable, "-m", "nlpkit", "serve"]
PLAIN = [sys.executable, str(Path(__file__).with_name("plain_service.py"))]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(log: Path, command: list[str], *arguments: object, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A running service; it is stopped after the block and must exit without an error."""
    with log.open("wb") as stream:
        process = subprocess.Popen([*command, *map(str, arguments)], stderr=stream, stdout=stream)
    try:
        while True:
            assert process.poll() is None, log.read_text()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.2)
        yield process
        process.terminate()
        assert process.wait(120) in (0, -15, 143), log.read_text()[-500:]
    finally:
        process.kill()
        process.wait()


def ours(work: Path, *arguments: object) -> Any:
    """Our service, and its port."""
    port = free_port()
    return serving(work / "ours.log", NLPKIT, "--port", port, *arguments, port=port), port


def bert(work: Path) -> Path:
    """A sentence-transformers folder, as `embed_speed.py` makes it."""
    folder = work / "bert"
    if not folder.exists():
        make_bert(folder, sentences(10_000)[0])
    return folder


def measured(port: int, requests: list[bytes], seconds: float) -> dict[str, dict[str, float]]:
    """Each number of clients in turn."""
    asyncio.run(closed_loop(port, requests, 8, seconds=WARM_UP))
    rows = {}
    for clients in CLIENTS:
        load = asyncio.run(closed_loop(port, requests, clients, seconds=seconds))
        assert set(load.counts) == {200}, load.counts
        rows[str(clients)] = load.summary()
    return rows


def throughput(work: Path, seconds: float) -> dict[str, Any]:
    """Requests per second and latencies of the services."""
    texts, _ = sentences(10_000)
    folder = bert(work)
    embeddings = [post("/v1/embeddings", {"input": text, "model": str(folder)}) for text in texts]
    entities = [post("/v1/ner", {"text": text}) for text in texts]
    embed = ("--task", "embed", "--model", f"embed={folder}")
    cases: list[tuple[str, str, list[bytes], tuple[object, ...] | None]] = [
        ("/v1/embeddings", "nlpkit serve", embeddings, embed),
        ("/v1/embeddings", "the same in fp32", embeddings, (*embed, "--dtype", "fp32")),
        ("/v1/embeddings", "no batching", embeddings, (*embed, "--batch-characters", 1)),
        ("/v1/embeddings", "plain FastAPI + sentence-transformers", embeddings, None),
        ("/v1/ner", "nlpkit serve", entities, ("--task", "ner")),
        ("/v1/ner", "no batching", entities, ("--task", "ner", "--batch-characters", 1)),
    ]
    rows = []
    for path, name, requests, arguments in cases:
        if arguments is None:
            port = free_port()
            service = serving(work / "plain.log", PLAIN, folder, port, port=port)
        else:
            service, port = ours(work, *arguments)
        with service:
            rows.append({"path": path, "service": name, "clients": measured(port, requests, seconds)})
            print(json.dumps(rows[-1]))
    return {"seconds_each": seconds, "cpu_features": features(), "rows": rows}


def resident(process: int) -> int:
    """Resident memory in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", status)
    assert match
    return int(match[1]) // 1024


def memory(work: Path, count: int) -> dict[str, Any]:
    """Resident memory after each tenth of many requests, of three tasks in turn."""
    texts, _ = sentences(10_000)
    paths = ("/v1/ner", "/v1/embed", "/v1/classify")
    requests = [post(paths[number % 3], {"text": text}) for number, text in enumerate(texts)]
    tasks = ("--task", "ner", "--task", "embed", "--task", "classify", "--model", "embed=embed-static")
    service, port = ours(work, *tasks)
    samples, answered, start = [], 0, time.monotonic()
    with service as process:
        asyncio.run(closed_loop(port, requests, 32, seconds=WARM_UP))
        for _ in range(10):
            load = asyncio.run(closed_loop(port, requests, 32, count=count // 10))
            assert set(load.counts) == {200}, load.counts
            answered += load.counts[200]
            samples.append(resident(process.pid))
    grown = max(samples) - samples[0]
    return {
        "requests": answered, "tasks": ["ner", "embed-static", "classify"], "clients": 32,
        "seconds": round(time.monotonic() - start), "mebibytes_after_each_tenth": samples, "grown": grown,
    }  # fmt: skip


def overload(work: Path, seconds: float) -> dict[str, Any]:
    """Ten times as many requests as can be answered."""
    texts, _ = sentences(10_000)
    size = TEXTS_OF_LARGE
    requests = [post("/v1/ner", {"texts": texts[start : start + size]}) for start in range(0, len(texts), size)]
    service, port = ours(work, "--task", "ner", "--timeout", WAIT)
    with service as process:
        asyncio.run(closed_loop(port, requests, 8, seconds=WARM_UP))
        alone = asyncio.run(closed_loop(port, requests, 16, seconds=10))
        capacity = alone.counts[200] / alone.seconds
        load: Load = asyncio.run(open_loop(port, requests, OVERLOAD * capacity, seconds))
        largest = resident(process.pid)
        after = asyncio.run(closed_loop(port, requests, 1, count=20))
        assert set(after.counts) == {200}
    return {
        "capacity_per_second": round(capacity, 1), "texts_of_a_request": size, "seconds": seconds,
        "timeout_seconds": WAIT, "sent": sum(load.counts.values()),
        "statuses": {str(status): count for status, count in sorted(load.counts.items())},
        "accepted_per_second": round(load.counts[200] / load.seconds, 1),
        "p50_ms": load.milliseconds(50), "p99_ms": load.milliseconds(99), "refused_p99_ms": load.milliseconds(99, 429),
        "mebibytes": largest,
    }  # fmt: skip


def mutations(count: int, valid: list[bytes]) -> Iterator[bytes]:
    """Requests with damage in the body, with a new length, or anywhere, as it is."""
    chance = random.Random(0)
    odd = [
        b"", b"{", b"[]", b"null", b'{"text": 1}', b'{"texts": "a"}', b'{"text": "a", "texts": ["b"]}', b"\xff\xfe",
        b'{"text": "\\ud800"}', b'{"text": ' + b"[" * 20_000, b'{"text": "a", "threshold": 1e999}', b'{"text":NaN}',
        b'{"texts": [null]}', b'{"text": "a", "model": "/etc/passwd"}', b'{"input": "a", "dimensions": -1}',
    ]  # fmt: skip
    for _ in range(count):
        head, _, body = chance.choice(valid).partition(b"\r\n\r\n")
        if chance.random() < 0.2:
            body = chance.choice(odd)
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(body) + 1)
            body = chance.choice([body[:at], body[at:], body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]])
        request = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body
        if chance.random() < 0.3:
            at = chance.randrange(len(request))
            request = request[:at] + bytes([chance.randrange(256)]) + request[at + 1 :]
        yield request


def status_of(port: int, request: bytes, *, half: bool) -> str:
    """The status of the answer to raw bytes; `none` if the connection is closed without one."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection, suppress(OSError):
        connection.sendall(request)
        if half:
            connection.shutdown(socket.SHUT_WR)
        reply = connection.recv(64)
        return reply.split(b" ", 2)[1].decode() if reply else "none"
    return "none"


def hostile(work: Path, count: int) -> dict[str, Any]:
    """Malformed requests, while clients that send a byte a second keep connections, and one client is normal."""
    texts, _ = sentences(200)
    valid = [
        request for text in texts
        for request in (post("/v1/ner", {"text": text}), post("/v1/embed", {"texts": [text]}),
                        post("/v1/embeddings", {"input": [text], "model": "embed-static"}),
                        post("/predict", {"tasks": [{"data": {"text": text}}]}))
    ]  # fmt: skip
    service, port = ours(work, "--task", "ner", "--task", "embed", "--model", "embed=embed-static", "--body-timeout", 5)
    statuses: Counter[str] = Counter()
    with service:
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(SLOW)]
        for number, request in enumerate(mutations(count, valid)):
            if number % 20 == 0:
                for connection in slow:
                    with suppress(OSError):
                        connection.sendall(valid[0][number // 20 : number // 20 + 1])
            statuses[status_of(port, request, half=number % 3 == 0)] += 1
        load = asyncio.run(closed_loop(port, valid, 4, count=200))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
            metrics = response.read().decode()
        for connection in slow:
            connection.close()
    log = (work / "ours.log").read_text(encoding="utf-8", errors="replace")
    return {
        "requests": count, "slow_clients": SLOW, "half_closed": len(range(0, count, 3)),
        "statuses": dict(sorted(statuses.items())), "normal_requests_afterwards": load.counts[200],
        "status_5xx": len(re.findall(r'^nlpkit_requests_total\{.*status="5', metrics, re.MULTILINE)),
        "tracebacks": log.count("Traceback") + log.count("internal error"),
    }  # fmt: skip


def merge(part: str, value: Any) -> None:
    """Replace a part of the results."""
    path = RESULTS / "serving.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = {name: old[name] for name in ("throughput", "memory", "overload", "hostile") if name in old}
    record("serving", known | {part: value})


def main(work: Path, action: str, number: int = 0) -> None:
    """Run an action."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ["NLPKIT_LANG"] = "en"
    actions = {"throughput": (throughput, 15), "memory": (memory, 100_000), "overload": (overload, 60),
               "hostile": (hostile, 1000)}  # fmt: skip
    act, default = actions[action]
    merge(action, act(work, number or default))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:4]))
