"""Cosines of sentence pairs: every sentence is embedded once, in however many pairs it is."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.records import ErrorPolicy, read_records
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.encoder.postprocess import normalize

Vectors = NDArray[np.float32]


def sentences(pairs: Iterable[Pair]) -> list[str]:
    """Return the distinct sentences in order of appearance."""
    return list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))


def cosines(encode: Callable[[Sequence[str]], Vectors], pairs: Sequence[Pair]) -> NDArray[np.float32]:
    """Return the cosine of each pair, [n]."""
    texts = sentences(pairs)
    return pair_cosines(encode(texts), {text: place for place, text in enumerate(texts)}, pairs)


def pair_cosines(vectors: Vectors, places: dict[str, int], pairs: Sequence[Pair]) -> NDArray[np.float32]:
    """Return the cosine of each pair, [n], from the vectors [m, d] of distinct sentences and their indices."""
    vectors = normalize(vectors)
    first = vectors[[places[pair.first] for pair in pairs]]
    second = vectors[[places[pair.second] for pair in pairs]]
    result: NDArray[np.float32] = np.einsum("nd,nd->n", first, second)
    return result


def side_by_side(
    first: str, second: str, encoding: str = "utf-8", field: str | None = None, on_error: ErrorPolicy | None = None
) -> Iterator[Pair]:
    """Yield line n of one file with line n of another, or record n in the same field, without a score.

    Raises:
        DataError: one file has more lines than the other.
    """
    sides = (read_records([path], field, encoding, on_error) for path in (first, second))
    for ours, theirs in zip_longest(*sides):
        if ours is None or theirs is None:
            longer, shorter = (ours, second) if theirs is None else (theirs, first)
            raise longer.line.error(f"goes on where {shorter} has ended; the files need equally many lines")
        yield Pair(ours.text, theirs.text, math.nan, ours.line)
