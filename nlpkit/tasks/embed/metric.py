"""Spearman's rank correlation of cosines with gold scores, ×100 as in the literature, for each file."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nlpkit.errors import DataError
from nlpkit.tasks.embed.data import Pair


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return ranks from 1; equal values share their mean rank."""
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    result: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return result


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Return Pearson's correlation of the ranks; 0 if one side is constant."""
    x, y = (values - values.mean() for values in (ranks(first), ranks(second)))
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale else 0.0


def pair_scores(pairs: Iterable[tuple[Pair, float]]) -> dict[str, dict[str, float] | float]:
    """Return `files`, Spearman ×100 of each file, and `mean`, of the files.

    Raises:
        DataError: all gold scores of a file are the same, so that nothing can correlate with them.
    """
    by_file: dict[str, list[tuple[float, float]]] = {}
    for pair, cosine in pairs:
        by_file.setdefault(pair.line.source, []).append((pair.score, cosine))
    files: dict[str, float] = {}
    for source, values in by_file.items():
        gold, cosines = zip(*values, strict=True)
        if len(set(gold)) < 2:
            raise DataError(
                f"all {len(gold)} scores are {gold[0]:g}; a rank correlation needs scores that differ", source
            )
        files[source] = 100 * spearman(gold, cosines)
    return {"files": files, "mean": sum(files.values()) / max(1, len(files))}
