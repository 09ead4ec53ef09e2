"""BM25 retrieval over the postings of an index (Robertson and Zaragoza, 2009, as in Lucene).

The score of a row is the sum over the query's terms, with repetitions, of

    idf · count / (count + k1 · (1 − b + b · length / mean length)),    idf = ln(1 + (n − df + ½) / (df + ½))

Rare terms come first. A term adds at most its idf, so when the k-th best score exceeds the sum of all idfs to come,
only rows that can still reach it are looked up (MaxScore, Turtle and Flood, 1995). The result is that of a full sum.

Shapes: n rows, t terms, p postings, q terms of a query, c candidate rows.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.artefacts import Reader
from nlpkit.tasks.embed.index.manifest import Bm25Settings
from nlpkit.tasks.embed.index.postings import COUNTS, LENGTHS, ROWS, STARTS, TERMS
from nlpkit.tasks.embed.index.terms import terms
from nlpkit.tasks.embed.index.top_k import Hit

LOOKUP = 16  # a binary search in the postings of a term takes as long as adding about so many of them
SLACK = 1e-4  # relative error that sums in single precision stay below
CHECKED = 1 << 22  # postings that `verify` reads at a time

Scores = NDArray[np.float32]


class _QueryTerm(NamedTuple):
    """A term of a query: its greatest contribution to a score, and its postings."""

    weight: float
    start: int
    end: int


class Bm25:
    """The BM25 part of an open index; the postings stay on disk.

    Args:
        files: of the index.
        settings: of its manifest.
        count: number of rows, n.

    Raises:
        DataError or ModelError: a file is missing or does not fit the others.
    """

    def __init__(self, files: Reader, settings: Bm25Settings, count: int):
        self._files, self.count = files, count
        self._terms = files.array(TERMS, ["<u8"], (settings["terms"],))
        self._starts = files.array(STARTS, ["<i8"], (settings["terms"] + 1,))
        self._rows = files.array(ROWS, ["<u4"], (settings["postings"],))
        self._counts = files.array(COUNTS, ["|u1"], (settings["postings"],))
        lengths = files.array(LENGTHS, ["<u4"], (count,))
        mean = max(1.0, float(lengths.mean()))
        k1, b = settings["k1"], settings["b"]
        self._norms: Scores = (k1 * (1 - b + b / mean * lengths)).astype(np.float32)  # [n]

    def search(self, query: str, k: int, min_fraction: float = 0.0) -> list[Hit]:
        """Return the k best rows with a term of the query, best first, and by row where scores are equal.

        Args:
            query: any text.
            k: number of hits; there may be fewer.
            min_fraction: of the best score, which the others must reach.

        Raises:
            DataError or ModelError: the postings are broken.
        """
        query_terms = self._query_terms(query)
        to_come = sum(term.weight for term in query_terms)
        scores = np.zeros(self.count, dtype=np.float32)
        threshold = 0.0  # at most the lowest score of a hit
        candidates: NDArray[np.uint32] | None = None
        for term in query_terms:
            needed = threshold - to_come * (1 + SLACK) - threshold * SLACK
            to_come -= term.weight
            if needed > 0:
                if candidates is None:
                    candidates = np.flatnonzero(scores >= needed).astype(np.uint32)
                else:
                    candidates = candidates[scores[candidates] >= needed]
                if len(candidates) * LOOKUP < term.end - term.start:
                    scores[candidates] += self._contributions(term, candidates)
                    continue
            rows, added = self._postings(term)
            updated = scores[rows] + added
            scores[rows] = updated
            threshold = max(threshold, min_fraction * float(updated.max()))
            updated = updated[updated > threshold]
            if len(updated) >= k:
                threshold = float(np.partition(updated, -k)[-k])
        reached = np.flatnonzero(scores >= threshold if threshold else scores)
        best = reached[np.argsort(-scores[reached], kind="stable")[:k]]
        best_scores = scores[best].tolist()
        hits = (Hit(row, score) for row, score in zip(best.tolist(), best_scores, strict=True))
        return [hit for hit in hits if hit.score >= min_fraction * best_scores[0]]

    def scores(self, query: str, rows: Sequence[int]) -> Scores:
        """Return the scores of rows [c], equal to those of `search`.

        Raises:
            DataError or ModelError: the postings are broken.
        """
        scores = np.zeros(len(rows), dtype=np.float32)
        candidates = np.array(rows, dtype=np.uint32)
        for term in self._query_terms(query):
            scores += self._contributions(term, candidates)
        return scores

    def _query_terms(self, query: str) -> list[_QueryTerm]:
        """Return the terms of a query that are in the index, rarest first."""
        repeated = Counter(terms(query))
        codes = np.array(sorted(repeated), dtype=np.uint64)
        places = np.searchsorted(self._terms, codes)
        found = []
        for code, place in zip(codes.tolist(), places.tolist(), strict=True):
            if place < len(self._terms) and self._terms[place] == code:
                start, end = self._starts[place : place + 2].tolist()
                if not 0 <= start < end <= len(self._rows):
                    raise self._files.failure(STARTS, f"broken at term {place}")
                idf = np.log1p((self.count - (end - start) + 0.5) / (end - start + 0.5))
                found.append(_QueryTerm(repeated[code] * float(idf), start, end))
        return sorted(found, key=lambda term: term.end - term.start)

    def _postings(self, term: _QueryTerm) -> tuple[NDArray[np.uint32], Scores]:
        """Return the rows of a term, and what it adds to their scores."""
        rows = self._rows[term.start : term.end]
        return rows, self._weighted(term, rows, self._counts[term.start : term.end])

    def _contributions(self, term: _QueryTerm, rows: NDArray[np.uint32]) -> Scores:
        """Return what a term adds to the scores of rows [c]."""
        postings = self._rows[term.start : term.end]
        places = np.minimum(np.searchsorted(postings, rows), len(postings) - 1)
        counts = self._counts[term.start : term.end][places]
        return np.where(postings[places] == rows, self._weighted(term, rows, counts), np.float32(0))

    def _weighted(self, term: _QueryTerm, rows: NDArray[np.uint32], counts: NDArray[np.uint8]) -> Scores:
        frequencies = counts.astype(np.float32)
        try:
            norms = self._norms[rows]
        except IndexError:
            raise self._files.failure(ROWS, "leads to rows that are not there") from None
        weighted: Scores = np.float32(term.weight) * (frequencies / (frequencies + norms))
        return weighted

    def verify(self) -> None:
        """Check the order of terms and of rows, and that no count is 0.

        Raises:
            DataError or ModelError: names the file that is broken.
        """
        if len(self._terms) and not (self._terms[1:] > self._terms[:-1]).all():
            raise self._files.failure(TERMS, "is not in ascending order")
        starts = self._starts
        if starts[0] or starts[-1] != len(self._rows) or not (starts[1:] > starts[:-1]).all():
            raise self._files.failure(STARTS, f"does not fit {ROWS}")
        for first in range(0, len(self._rows), CHECKED):
            rows = self._rows[first : first + CHECKED + 1].astype(np.int64)
            descents = np.flatnonzero(np.diff(rows) <= 0) + first + 1
            starts_there = starts[np.searchsorted(starts, descents)]
            if rows.max() >= self.count or (starts_there != descents).any():
                raise self._files.failure(ROWS, "is not in ascending order, or leads to rows that are not there")
            if not self._counts[first : first + CHECKED].all():
                raise self._files.failure(COUNTS, "has a count of 0")
