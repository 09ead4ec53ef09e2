"""Evaluation on scored pairs: one model with several poolings and whitenings in one run."""

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
from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.linear_map import Moments, Whitening
from nlpkit.tasks.embed.encoder.postprocess import read_map
from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.metric import pair_scores
from nlpkit.tasks.embed.pairs import pair_cosines, sentences
from nlpkit.tasks.embed.whitening.fit import rank_warnings

FIT_HERE = "self"  # in place of a whitening's file: fit one on the sentences of each file, as published


@dataclass(slots=True)
class GoldFile:
    """A file of scored pairs.

    Attributes:
        pairs: of the file.
        texts: its distinct sentences.
        indices: of the vectors of these sentences.
    """

    pairs: list[Pair]
    texts: list[str]
    indices: list[int]

    @property
    def source(self) -> str:
        """Name of the file."""
        return self.pairs[0].line.source

    def cosines(self, vectors: NDArray[np.float32]) -> list[tuple[Pair, float]]:
        """Return (pair, cosine) from the final vectors of the sentences."""
        cosines = pair_cosines(vectors, {text: index for index, text in enumerate(self.texts)}, self.pairs)
        return [(pair, float(cosine)) for pair, cosine in zip(self.pairs, cosines, strict=True)]


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
    *,
    runtime: str = "auto",
) -> Iterator[dict[str, Any]]:
    """Yield `files` and `mean` (see `metric.pair_scores`), and what was compared, for each pooling and whitening.

    Each sentence is encoded once per pooling. A whitening is fitted for one pooling: combinations with other poolings
    are left out with a note.

    Args:
        name: of the model; the default model when None.
        device: as for `core.model.device.pick_device`.
        dtype: as for `core.model.device.pick_dtype`.
        pairs: scored pairs, of any number of files.
        poolings: to compare.
        whitens: to compare: files, `stored`, `none`, or `self` to fit one on the sentences of each file.
        dim: dimensions to keep; the model's or the whitening's own when None.
        prompt: text put before every input.
        note: called with a message for the user.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.

    Raises:
        DataError: all scores of a file are the same.
        ModelError: there is no such model, or a whitening fits none of the poolings.
    """
    folder = find(name or default_model("embed"))
    texts = sentences(pairs)
    files = _by_file(pairs, texts)
    misfits: list[tuple[str, str, ModelError]] = []  # pooling, whitening, reason
    fitting: set[str] = set()
    for pooling in poolings:
        embedder = load(name, device, dtype, pooling, prompt=prompt, runtime=runtime)
        start = time.perf_counter()
        chunks = [embedder.raw(texts[first : first + CHUNK_SIZE]) for first in range(0, len(texts), CHUNK_SIZE)]
        vectors, seconds = np.concatenate([chunk.vectors for chunk in chunks]), time.perf_counter() - start
        unknown = {n * CHUNK_SIZE + index: u for n, chunk in enumerate(chunks) for index, u in chunk.unknown.items()}
        for whiten in whitens:
            scored: list[tuple[Pair, float]] = []
            try:
                for file in files:
                    own_unknown = {own: unknown[i] for own, i in enumerate(file.indices) if i in unknown}
                    raw = Embeddings(vectors[file.indices], unknown=own_unknown)
                    final = _with_whitening(embedder, whiten, folder, dim, raw.vectors, file, note)
                    scored += file.cosines(final.postprocess(raw, file.texts).vectors)
            except ModelError as error:
                misfits.append((pooling, whiten, error))
                continue
            fitting.add(whiten)
            yield {
                **pair_scores(scored),
                "model": embedder.name,
                "pooling": embedder.pooling,
                "whitening": whiten,
                "dim": final.dim,
                "pairs": len(pairs),
                "sentences": len(texts),
                "texts_per_second": round(len(texts) / seconds, 1),
            }
    for pooling, whiten, misfit in misfits:
        if whiten not in fitting:
            raise misfit
        note(f"--pooling {pooling} with --whiten {whiten} left out: {misfit}")


def _by_file(pairs: Sequence[Pair], texts: Sequence[str]) -> list[GoldFile]:
    indices = {text: index for index, text in enumerate(texts)}
    files: dict[str, list[Pair]] = {}
    for pair in pairs:
        files.setdefault(pair.line.source, []).append(pair)
    return [GoldFile(own, texts := sentences(own), [indices[text] for text in texts]) for own in files.values()]


def _with_whitening(
    embedder: Embedder,
    whiten: str,
    folder: Path,
    dim: int | None,
    vectors: NDArray[np.float32],
    file: GoldFile,
    note: Callable[[str], None],
) -> Embedder:
    """Return the embedder with the whitening of `--whiten`; `self` fits one on the raw vectors of the file."""
    if whiten != FIT_HERE:
        return embedder.with_postprocessing(read_map(whiten, folder), dim)
    moments = Moments(embedder.width)
    moments.add(vectors[[index for index, text in enumerate(file.texts) if not is_blank(text)]])
    fitted = Whitening(embedder.raw_provenance, moments).validated()
    for warning in rank_warnings(fitted):
        note(f"warning: --pooling {embedder.pooling} --whiten {whiten}, {file.source}: {warning}")
    return embedder.with_postprocessing(fitted, dim)
