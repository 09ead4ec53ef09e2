"""Evaluation on scored pairs: one model under several poolings and whitenings in one run."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.manifest import find
from nlpkit.errors import ModelError
from nlpkit.tasks import default_model
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.encoder.embedder import Embedder, load
from nlpkit.tasks.embed.encoder.postprocess import Finish, read_map
from nlpkit.tasks.embed.metric import pair_scores
from nlpkit.tasks.embed.pairs import pair_cosines, sentences
from nlpkit.tasks.embed.whitening.fit import warnings
from nlpkit.tasks.embed.whitening.whitening import Moments, Whitening

ITSELF = "self"  # in place of a whitening's file: fit one on the sentences of each file, as published


@dataclass(slots=True)
class GoldFile:
    """The pairs of a file, its distinct sentences, and where the vectors of these are."""

    pairs: list[Pair]
    texts: list[str]
    places: list[int]

    @property
    def source(self) -> str:
        """Its name."""
        return self.pairs[0].line.source

    def cosines(self, vectors: NDArray[np.float32]) -> list[tuple[Pair, float]]:
        """(pair, cosine) from the finished vectors of its sentences."""
        found = pair_cosines(vectors, {text: place for place, text in enumerate(self.texts)}, self.pairs)
        return [(pair, float(cosine)) for pair, cosine in zip(self.pairs, found, strict=True)]


def compare(
    name: str | None,
    device: str,
    dtype: str,
    pairs: Sequence[Pair],
    poolings: Sequence[str],
    whitens: Sequence[str],
    dim: int | None = None,
    prompt: str | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[dict[str, Any]]:
    """For each pooling and each whitening `files` and `mean` (see `metric.pair_scores`) and what was compared.

    Each sentence is encoded once per pooling. A whitening was fitted for one pooling: beside other ones that are asked
    for it is left out, and a note says so.

    Raises:
        DataError: a file's scores are all the same.
        ModelError: no such model, or a whitening that fits none of the poolings.
    """
    folder = find(name or default_model("embed"))
    texts = sentences(pairs)
    files = _by_file(pairs, texts)
    misfits: list[tuple[str, str, ModelError]] = []  # pooling, whitening, why
    fitted: set[str] = set()
    for pooling in poolings:
        embedder = load(name, device, dtype, pooling, prompt=prompt)
        start = time.perf_counter()
        raw = [embedder.raw(texts[first : first + CHUNK_SIZE]) for first in range(0, len(texts), CHUNK_SIZE)]
        vectors, seconds = np.concatenate([found.vectors for found in raw]), time.perf_counter() - start
        unknown = {part * CHUNK_SIZE + place: u for part, found in enumerate(raw) for place, u in found.unknown.items()}
        for whiten in whitens:
            found: list[tuple[Pair, float]] = []
            try:
                for file in files:
                    finish = _finish(embedder, whiten, folder, dim, vectors[file.places], file.source, note)
                    odd = {own: unknown[place] for own, place in enumerate(file.places) if place in unknown}
                    found += file.cosines(finish(vectors[file.places], odd))
            except ModelError as error:
                misfits.append((pooling, whiten, error))
                continue
            fitted.add(whiten)
            yield {
                **pair_scores(found),
                "model": embedder.name,
                "pooling": embedder.pooling,
                "whitening": whiten,
                "dim": finish.dim(embedder.width),
                "pairs": len(pairs),
                "sentences": len(texts),
                "texts_per_second": round(len(texts) / seconds, 1),
            }
    for pooling, whiten, misfit in misfits:
        if whiten not in fitted:
            raise misfit
        note(f"--pooling {pooling} with --whiten {whiten} left out: {misfit}")


def _by_file(pairs: Sequence[Pair], texts: Sequence[str]) -> list[GoldFile]:
    places = {text: place for place, text in enumerate(texts)}
    members: dict[str, list[Pair]] = {}
    for pair in pairs:
        members.setdefault(pair.line.source, []).append(pair)
    return [GoldFile(found, own := sentences(found), [places[t] for t in own]) for found in members.values()]


def _finish(
    embedder: Embedder,
    whiten: str,
    folder: Path,
    dim: int | None,
    vectors: NDArray[np.float32],
    source: str,
    note: Callable[[str], None],
) -> Finish:
    """What `--whiten` says, fitted on the vectors themselves where it says so."""
    if whiten != ITSELF:
        return embedder.finished(read_map(whiten, folder), dim).finish
    moments = Moments(embedder.width)
    moments.add(vectors)
    fitted = Whitening(embedder.raw_identity, moments).checked()
    for warning in warnings(fitted):
        note(f"warning: --pooling {embedder.pooling} --whiten {whiten}, {source}: {warning}")
    return embedder.finished(fitted, dim).finish
