"""Exact search in an index on disk against numpy over the same vectors in memory; and the graph's recall and speed.

python tests/bench/search_speed.py [VECTORS] [OF_THEM_IN_THE_GRAPH]
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import record, timed

from nlpkit.core.io.progress import silent
from nlpkit.tasks.embed.index.build import HNSW_CHUNK, SAVE_HNSW_EVERY
from nlpkit.tasks.embed.index.hnsw import write_hnsw
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.manifest import VECTORS, IndexManifest

DIM, QUERIES, HITS = 256, 256, 10


def clustered(count: int, seed: int) -> np.ndarray[Any, Any]:
    """Unit vectors around 1000 centres: like texts, unlike pure noise, they have neighbours."""
    centres = np.random.default_rng(0).standard_normal((1000, DIM), dtype=np.float32)
    random = np.random.default_rng(seed)
    vectors = centres[random.integers(1000, size=count)]
    vectors += random.standard_normal((count, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def plain(vectors: np.ndarray[Any, Any], queries: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The rows that numpy finds, with all the scores in memory."""
    scores = queries @ vectors.T
    best = np.argpartition(-scores, HITS, axis=1)[:, :HITS]
    order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
    return np.take_along_axis(best, order, 1)


def opened(folder: Path, vectors: np.ndarray[Any, Any]) -> Index:
    """An index of vectors without texts."""
    np.save(folder / VECTORS, vectors)
    manifest = IndexManifest({}, {}, len(vectors), DIM, "exact", "float32")
    mapped = np.load(folder / VECTORS, mmap_mode="r")
    return Index(folder, manifest, mapped, np.zeros(len(vectors) + 1, np.int64), np.zeros(0, np.uint8))


def best_of_three(work: Callable[[], Any]) -> float:
    """Seconds; the first call also warms the cache."""
    return min(timed(work) for _ in range(3))


def main(count: int = 1_000_000, in_graph: int = 100_000) -> None:
    """Runs both sides in one process."""
    vectors, queries = clustered(count, 1), clustered(QUERIES, 2)
    with tempfile.TemporaryDirectory() as temporary:
        index = opened(Path(temporary), vectors)
        ours = best_of_three(lambda: index.search(queries, HITS))
        alone = best_of_three(lambda: index.search(queries[:1], HITS))
        theirs = best_of_three(lambda: plain(vectors, queries))
        found = [[hit.row for hit in hits] for hit_list in [index.search(queries, HITS)] for hits in hit_list]
        same = float(np.mean(np.array(found) == plain(vectors, queries)))
    with tempfile.TemporaryDirectory() as temporary:
        index = opened(Path(temporary), vectors[:in_graph])
        build = timed(lambda: write_hnsw(index.folder, (in_graph, DIM), "float32", silent, HNSW_CHUNK, SAVE_HNSW_EVERY))
        graph = best_of_three(lambda: index.search(queries, HITS, "graph"))
        exact = best_of_three(lambda: index.search(queries, HITS, "exact"))
        pairs = zip(index.search(queries, HITS, "graph"), index.search(queries, HITS), strict=True)
        recall = np.mean([len({hit.row for hit in a} & {hit.row for hit in b}) / HITS for a, b in pairs])
    record(
        "search_speed",
        {
            "vectors": count,
            "dim": DIM,
            "queries": QUERIES,
            "hits": HITS,
            "queries_per_second": {"nlpkit, exact, on disk": round(QUERIES / ours), "numpy": round(QUERIES / theirs)},
            "ratio": round(theirs / ours, 2),
            "same_rows": same,
            "seconds_of_one_query": round(alone, 4),
            "graph": {
                "vectors": in_graph,
                "build_vectors_per_second": round(in_graph / build),
                "queries_per_second": {"graph": round(QUERIES / graph), "exact": round(QUERIES / exact)},
                "recall": round(float(recall), 4),
            },
        },
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
