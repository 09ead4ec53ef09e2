"""Reciprocal rank fusion of rankings (Cormack, Clarke and Büttcher, 2009)."""

from collections import defaultdict
from collections.abc import Sequence

from nlpkit.tasks.embed.index.top_k import Hit

SMOOTHING = 60  # the paper's k: with a greater one the first ranks count less


def fuse(rankings: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
    """Return the k best rows of rankings, best first.

    The score is the sum of 1 / (60 + rank) over the rankings that have the row, divided by its maximum: 1 for a row
    that is the first of all. Equal scores are in the order of the first ranking, then of the next one.
    """
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, hit in enumerate(ranking, 1):
            scores[hit.row] += (SMOOTHING + 1) / (SMOOTHING + rank) / len(rankings)
    # The sort is stable, and the dictionary has the rows of the first ranking first.
    return [Hit(row, score) for row, score in sorted(scores.items(), key=lambda item: -item[1])[:k]]
