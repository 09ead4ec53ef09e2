"""An index of a million texts: time, memory and size of its parts, and milliseconds of a query by each method.

    python tests/bench/search_scale.py [TEXTS] [FOLDER]

The texts are lines of ../shared/data/corpus. Their vectors are made up, around 1,000 centres, so that no model is
measured; those of queries, too. The queries are questions about CMRC passages, one at a time. FOLDER keeps the index,
and an unfinished build in it goes on.
"""

import json
import lzma
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, record

from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.index.build import BuildSettings, embed_texts, finalize
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.retrieval import QueryMethod, retrieve

DIM, CENTRES, HITS, QUERIES, QUERIES_EXACT = 384, 1000, 10, 300, 20


class MadeUp(Embedder):
    """Gives vectors around centres, whatever the texts are."""

    name = fingerprint = pooling = "made-up"
    width = DIM

    def __init__(self, seed: int):
        self.postprocessor = Postprocessor(normalize=True)
        self.centres = np.random.default_rng(0).standard_normal((CENTRES, DIM), dtype=np.float32)
        self.random = np.random.default_rng(seed)

    def raw(self, texts: Sequence[str]) -> Embeddings:
        noise = self.random.standard_normal((len(texts), DIM), dtype=np.float32)
        return Embeddings(self.centres[self.random.integers(CENTRES, size=len(texts))] + noise)


def lines() -> Iterator[str]:
    """The lines of the corpus."""
    files = (lzma.open(path, "rt", encoding="utf-8") for path in sorted((DATA / "corpus").glob("*.txt.xz")))
    return chain.from_iterable(files)


def peak() -> int:
    """The most memory that the process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class Stages:
    """Seconds of wall clock and CPU, and the peak of memory, of each stage of a build."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self.begin("texts")

    def begin(self, name: str) -> None:
        self.name, self.start, self.cpu = name, time.perf_counter(), time.process_time()

    def end(self) -> None:
        seconds, cpu = time.perf_counter() - self.start, time.process_time() - self.cpu
        self.found[self.name] = {"seconds": round(seconds), "cpu_seconds": round(cpu), "peak_mebibytes": peak()}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self.name:
            self.end()
            self.begin(stage)


def build(folder: Path, texts: Path) -> dict[str, dict[str, float]]:
    stages = Stages()
    embed_texts([str(texts)], MadeUp(1), folder, BuildSettings(method="graph", resume=True))
    finalize(folder, {}, stages)
    stages.end()
    return stages.found


def milliseconds(work: Callable[[int], Any], count: int) -> dict[str, float]:
    """Of calls with the numbers 0 to count, after one that is not counted."""
    work(0)
    taken = []
    for number in range(count):
        start = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - start))
    return {name: round(float(np.percentile(taken, at)), 1) for name, at in (("median", 50), ("p95", 95))} | {
        "mean": round(float(np.mean(taken)), 1)
    }


def main(count: int = 1_000_000, kept: str | None = None) -> None:
    path = DATA / "retrieval" / "cmrc_trial_questions.jsonl"
    questions = [json.loads(line)["text"] for line in path.open(encoding="utf-8")][:QUERIES]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(kept or temporary) / "idx"
        texts = folder.parent / "texts.txt"
        if not texts.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with texts.open("w", encoding="utf-8") as stream:
                stream.writelines(islice(lines(), count))
        stages = build(folder, texts)
        start = time.perf_counter()
        index = Index.open(folder)
        opening = time.perf_counter() - start
        vectors = MadeUp(2).encode(questions)

        def asked(method: QueryMethod) -> Callable[[int], Any]:
            return lambda number: retrieve(index, [questions[number]], vectors[number, None], HITS, method)

        counts: dict[QueryMethod, int] = {"hybrid": QUERIES, "bm25": QUERIES, "vector": QUERIES, "exact": QUERIES_EXACT}
        times = {method: milliseconds(asked(method), number) for method, number in counts.items()}
        sizes = {name: round(entry.bytes / 1e6, 1) for name, entry in index.manifest.files.items()}
        record(
            "search_scale" if count == 1_000_000 else f"search_scale_{count}",
            {
                "texts": index.manifest.count,
                "bytes_of_texts": texts.stat().st_size,
                "dim": DIM,
                "hits": HITS,
                "queries": QUERIES,
                "build": stages,
                "megabytes": sizes,
                "bm25": index.manifest.bm25,
                "opening_seconds": round(opening, 3),
                "milliseconds_of_a_query": times,
                "cpu_features": features(),
            },
        )


def features() -> list[str]:
    """Those of the CPU that matter for matrix products."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return []
    return sorted(flags & {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_bf16", "amx_int8"})


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000, *sys.argv[2:3])
