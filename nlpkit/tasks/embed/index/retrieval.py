"""Retrieval of texts by BM25, by vectors, or by both (hybrid), as `nlpkit search query` does it.

Hybrid retrieval fuses the two rankings by reciprocal rank (`fusion`). Ranks do not show how much better a text is than
the next one, so texts whose BM25 score is less than half of the best one are left out of its ranking: without that, a
text with all words of the query is overtaken by others that are in the middle of both rankings.
"""

from collections.abc import Sequence
from typing import Any, Literal

from nlpkit.errors import UsageError
from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.index.bm25 import Bm25
from nlpkit.tasks.embed.index.fusion import fuse
from nlpkit.tasks.embed.index.index import Index, Vectors, rounded_cosine
from nlpkit.tasks.embed.index.manifest import Method
from nlpkit.tasks.embed.index.top_k import Hit

QueryMethod = Literal["hybrid", "bm25", "vector", "exact", "graph"]  # vector: exact or graph, as the index says

DEPTH = 100  # texts of each ranking that are fused
MIN_FRACTION = 0.5  # of the best BM25 score

Results = list[dict[str, Any]]


def pick_method(index: Index, method: QueryMethod | None) -> QueryMethod:
    """Return the method to use: by default hybrid, or vector for an index without BM25.

    Raises:
        UsageError: the index has no BM25.
    """
    if method is None:
        return "vector" if index.bm25 is None else "hybrid"
    if method in ("hybrid", "bm25"):
        _bm25(index)
    return method


def retrieve(
    index: Index, queries: Sequence[str], vectors: Vectors | None, k: int, method: QueryMethod
) -> list[Results]:
    """Return the k best texts for each query as records with their scores, best first; none for a blank query.

    Args:
        index: to search.
        queries: q texts.
        vectors: [q, d] of the queries; bm25 needs none.
        k: number of results.
        method: of `pick_method`.

    Raises:
        UsageError: the index has no BM25, or no HNSW.
        ModelError: a file of the index is broken.
    """
    if method == "bm25":
        hits = [_bm25(index).search(query, k) for query in queries]
        return [[index.result(hit.row, {"score": round(hit.score, 4)}) for hit in found] for found in hits]
    if vectors is None:
        raise ValueError(f"{method} needs vectors")
    if method == "hybrid":
        rankings = index.search(vectors, max(k, DEPTH))
        return [
            _hybrid(index, query, vector, ranking, k) if not is_blank(query) else []
            for query, vector, ranking in zip(queries, vectors, rankings, strict=True)
        ]
    chosen: Method | None = None if method == "vector" else method
    found = index.search(vectors, k, chosen)
    return [index.results(hits) if not is_blank(query) else [] for query, hits in zip(queries, found, strict=True)]


def _hybrid(index: Index, query: str, vector: Vectors, ranking: Sequence[Hit], k: int) -> Results:
    bm25 = _bm25(index)
    fused = fuse([bm25.search(query, max(k, DEPTH), MIN_FRACTION), ranking], k)
    rows = [hit.row for hit in fused]
    columns = zip(fused, index.cosines(vector, rows).tolist(), bm25.scores(query, rows).tolist(), strict=True)
    return [
        index.result(hit.row, {"score": round(hit.score, 4), "cosine": rounded_cosine(cosine), "bm25": round(score, 4)})
        for hit, cosine, score in columns
    ]


def _bm25(index: Index) -> Bm25:
    if index.bm25 is None:
        raise UsageError(
            f"{index.folder}: has no BM25 of this version of nlpkit; build it again, or pass --method vector"
        )
    return index.bm25
