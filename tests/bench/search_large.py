"""An index of ten million texts by the command, which is killed several times and continues with --resume.

    python tests/bench/search_large.py WORK [TEXTS] [KILLS]

The texts are clauses of ../shared/data/corpus, then whole lines of it; the model is `embed-static`. WORK keeps the
texts, the index and what its build took. Memory is that of the process alone (anonymous pages) and with the mapped
files, sampled twice a second. Then `search info --check` reads all of the index, and questions about CMRC passages are
asked one at a time.
"""

import json
import lzma
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from common import DATA, record
from search_scale import features, milliseconds

from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.retrieval import QueryMethod, retrieve

NLPKIT = [sys.executable, "-m", "nlpkit"]
QUERIES, EXACT, HITS = 100, 30, 10


def lines() -> Iterator[str]:
    """The lines of the corpus."""
    for path in sorted((DATA / "corpus").glob("*.txt.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as stream:
            yield from (line.strip() for line in stream)


def clauses() -> Iterator[str]:
    """The clauses of the corpus."""
    for line in lines():
        yield from (clause.strip() for clause in re.findall(r"[^。！？；，]{4,}", line))


def write_texts(path: Path, count: int) -> None:
    """Write `count` texts, one a line."""
    with path.open("w", encoding="utf-8") as stream:
        texts = (text for text in chain(clauses(), lines()) if text)
        stream.writelines(text + "\n" for text in islice(texts, count))


def memory(process: int) -> tuple[int, int]:
    """Anonymous and resident memory in MiB; 0 if the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0, 0
    values = dict(re.findall(r"^(RssAnon|VmRSS):\s+(\d+)", status, re.MULTILINE))
    return int(values.get("RssAnon", 0)) // 1024, int(values.get("VmRSS", 0)) // 1024


def build(texts: Path, folder: Path, kills: int, log: Path) -> dict[str, Any]:
    """Build the index; kill the command `kills` times, at random points of the first 20 minutes after a start."""
    chance = random.Random(kills)
    done = anonymous = resident = 0
    begin = time.monotonic()
    while True:
        limit = chance.uniform(60, 1200) if done < kills else float("inf")
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [*NLPKIT, "search", "build", str(texts), "-o", str(folder), "-m", "embed-static", "--resume"],
                stdout=stream, stderr=stream, env={**os.environ, "NLPKIT_LANG": "en"},
            )  # fmt: skip
        start = time.monotonic()
        while process.poll() is None and time.monotonic() - start < limit:
            own, whole = memory(process.pid)
            anonymous, resident = max(anonymous, own), max(resident, whole)
            time.sleep(0.5)
        if process.poll() is not None:
            assert process.returncode == 0, log.read_text()[-500:]
            return {
                "kills": done, "seconds": round(time.monotonic() - begin),
                "mebibytes_of_the_process_at_most": anonymous, "mebibytes_with_mapped_files_at_most": resident,
            }  # fmt: skip
        process.send_signal(signal.SIGKILL)
        process.wait()
        done += 1


def main(work: Path, count: int = 10_000_000, kills: int = 3) -> None:
    """Build, check and ask."""
    work.mkdir(parents=True, exist_ok=True)
    texts, folder = work / f"texts-{count}.txt", work / f"idx-{count}"
    if not texts.exists():
        write_texts(texts, count)
    kept = work / f"build-{count}.json"
    if not kept.exists():
        kept.write_text(json.dumps(build(texts, folder, kills, work / "build.log")))
    built = json.loads(kept.read_text())
    start = time.monotonic()
    subprocess.run([*NLPKIT, "search", "info", str(folder), "--check"], check=True, stdout=subprocess.DEVNULL)
    checked = time.monotonic() - start
    start = time.perf_counter()
    index = Index.open(folder)
    opening = time.perf_counter() - start
    path = DATA / "retrieval" / "cmrc_trial_questions.jsonl"
    questions = [json.loads(line)["text"] for line in path.open(encoding="utf-8")][:QUERIES]
    vectors = index.embedder(None, "cpu", "auto", None, "auto").encode(questions)

    def ask(number: int, method: QueryMethod) -> list[Any]:
        return retrieve(index, [questions[number]], vectors[number, None], HITS, method)[0]

    counts: dict[QueryMethod, int] = {"hybrid": QUERIES, "bm25": QUERIES, "vector": QUERIES, "exact": EXACT}
    times = {
        method: milliseconds(lambda number, method=method: ask(number, method), number)  # type: ignore[misc]
        for method, number in counts.items()
    }
    found = 0
    for number in range(EXACT):
        least = ask(number, "exact")[-1]["score"] - 1e-6  # by the cosine, as many texts are equal
        found += sum(hit["score"] >= least for hit in ask(number, "vector"))
    record(
        "search_large",
        {
            "texts": index.manifest.count, "bytes_of_texts": texts.stat().st_size, "dim": index.manifest.dim,
            "build": built, "check_seconds": round(checked), "opening_seconds": round(opening, 3),
            "megabytes": {name: round(entry.bytes / 1e6, 1) for name, entry in index.manifest.files.items()},
            "milliseconds_of_a_query": times, "recall_of_hnsw_at_10": found / (EXACT * HITS),
            "cpu_features": features(),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
