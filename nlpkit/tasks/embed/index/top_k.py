"""The best scores of exact search, updated block by block."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Hit(NamedTuple):
    """A row of the index, and its cosine to the query."""

    row: int
    score: float


class TopK:
    """The k best rows of each query in the blocks so far.

    Rows come in ascending order and replace only a lower score, so the first row wins a tie. After a few blocks hardly
    any row replaces another, and a block costs one comparison per score.

    Args:
        number: number of queries, q.
        k: number of rows to keep for each.
    """

    def __init__(self, number: int, k: int):
        self.k = k
        self.scores = np.full((number, k), -np.inf, dtype=np.float32)  # [q, k] descending
        self.rows = np.full((number, k), -1, dtype=np.int64)

    def add(self, scores: NDArray[np.float32], first: int) -> None:
        """Update with scores [q, b] of a block of rows that begins at row `first`."""
        if not first:  # nothing to compare with yet
            worst = np.partition(scores, -self.k, axis=1)[:, -self.k] if self.k < scores.shape[1] else self.scores[:, 0]
            queries, columns = np.nonzero(scores >= worst[:, None])
        else:
            queries, columns = np.nonzero(scores > self.scores[:, -1:])
        bounds = np.flatnonzero(np.diff(queries, prepend=-1, append=-1))
        for start, end in pairwise(bounds.tolist()):
            query, new = queries[start], columns[start:end]
            joined = np.concatenate([self.scores[query], scores[query, new]])
            rows = np.concatenate([self.rows[query], new + first])
            order = np.argsort(-joined, kind="stable")[: self.k]
            self.scores[query], self.rows[query] = joined[order], rows[order]

    def hits(self) -> list[list[Hit]]:
        """Return the hits of each query, best first."""
        return [
            [Hit(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
            for rows, scores in zip(self.rows.tolist(), self.scores.tolist(), strict=True)
        ]
