"""Retrieval over an index folder: the texts with the highest cosine to a query, by exact search or by HNSW.

    index = Index.open(Path("idx"))
    index.search(index.embedder().encode(["今天天气"]), 10)      # [[Hit(row, score), …]], best first

Exact search is a matrix product with every vector, a block at a time, and a merge of the best. HNSW finds nearly all of
the best. Either way the vectors stay on disk and the score is the exact cosine.

Shapes: n vectors, d dimensions, q queries, b vectors in a block, k hits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from nlpkit.core.io.json_shapes import conform
from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.postprocess import incompatibilities, normalize
from nlpkit.tasks.embed.index.bm25 import Bm25
from nlpkit.tasks.embed.index.hnsw import open_hnsw
from nlpkit.tasks.embed.index.manifest import (
    HNSW,
    KIND,
    MAP,
    OFFSETS,
    RECORDS,
    VECTORS,
    IndexManifest,
    Method,
    StoredRecord,
    hnsw_file,
    read_manifest,
)
from nlpkit.tasks.embed.index.terms import ANALYZER
from nlpkit.tasks.embed.index.top_k import Hit, TopK

BLOCK = 8192  # vectors in one product
QUERIES = 256  # in one product
TILE = 16  # the sizes of a product are multiples of this, so that equal vectors get equal scores in any row
LENGTH_ERROR = 0.01  # by which the length of a stored vector may differ from 1, in half precision, too

Vectors = NDArray[np.float32]


def rounded_cosine(score: float) -> float:
    """Return a cosine as in the output; vectors in half precision may be longer than 1."""
    return round(max(-1.0, min(1.0, score)), 4)


@dataclass(frozen=True, slots=True)
class Index:
    """An open index; everything stays on disk.

    Attributes:
        folder: of the index.
        manifest: its content.
        vectors: [n, d] of unit length.
        offsets: [n + 1] beginning of each record in records.jsonl.
        records: the bytes of records.jsonl.
        bm25: the BM25 part; None in an index without it, or with terms by other rules than those of this version.
    """

    folder: Path
    manifest: IndexManifest
    vectors: NDArray[Any]
    offsets: NDArray[np.int64]
    records: NDArray[np.uint8]
    bm25: Bm25 | None = None
    _hnsw: list[Any] = field(default_factory=list, repr=False, compare=False)  # segments, once they were used

    @classmethod
    def open(cls, folder: Path) -> "Index":
        """Open an index that `build` finished.

        The sizes of all files are compared with the manifest, and the checksums of the smallest ones (see
        `core.io.artefacts`). What a search reads of the other files is checked then. `verify` checks everything.

        Raises:
            ModelError: there is none, or it is unfinished, broken, or of a newer nlpkit.
        """
        manifest = read_manifest(folder)
        files = KIND.reader(folder)
        files.check(manifest.files)
        dtype = np.dtype(manifest.precision).newbyteorder("<").str
        vectors = files.array(VECTORS, [dtype], (manifest.count, manifest.dim))
        offsets = files.array(OFFSETS, ["<i8"], (manifest.count + 1,))
        records = files.mapped(RECORDS)
        if offsets[0] or offsets[-1] != len(records):
            raise files.failure(OFFSETS, f"does not fit {RECORDS}")
        bm25 = None
        if manifest.bm25 is not None and manifest.bm25["analyzer"] == ANALYZER:
            bm25 = Bm25(files, manifest.bm25, manifest.count)
        return cls(folder, manifest, vectors, offsets, records, bm25)

    def embedder(
        self,
        model: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        prompt: str | None = None,
        runtime: str = "auto",
    ) -> Embedder:
        """Load the embedder for queries, with the options and the linear map that the index was built with.

        Args:
            model: name or folder of the model, if it has moved.
            device: as for `core.model.device.pick_device`.
            dtype: as for `core.model.device.pick_dtype`.
            prompt: for queries; when None that of the index, or else the model's prompt for queries.
            runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.

        Raises:
            ModelError: the model cannot be loaded, or its vectors cannot be compared with those of the index.
        """
        from nlpkit.tasks.embed.loading import load  # onnxruntime or torch, which BM25 does not need

        arguments = self.manifest.embedder
        whiten = None if self.manifest.identity["whitening"] is None else str(self.folder / MAP)
        prompt = arguments["prompt"] if prompt is None else prompt
        name = model or arguments["model"]
        embedder = load(
            name,
            device,
            dtype,
            arguments["pooling"],
            whiten,
            arguments["dim"],
            prompt=prompt,
            role="query",
            runtime=runtime,
        )
        changed = incompatibilities(embedder.provenance, {**self.manifest.identity})
        if changed:
            cure = "query with the model that made it, or build it again"
            raise ModelError(f"{self.folder}: an index of another {', '.join(changed)}; {cure}")
        return embedder

    def record(self, row: int) -> dict[str, Any]:
        """Return the record of a row: `text`, `line`, and `file` or `record` where the build stored them.

        Raises:
            ModelError: it is broken.
        """
        start, end = self.offsets[row : row + 2].tolist()
        try:
            if not 0 <= start < end <= len(self.records):
                raise ValueError("a line outside of the file")
            record = orjson.loads(self.records[start:end].tobytes())
            return {**conform(record, StoredRecord)}
        except ValueError as error:
            raise KIND.reader(self.folder).failure(RECORDS, f"broken in record {row} ({error})") from None

    def info(self) -> dict[str, Any]:
        """Return the output of `nlpkit search info`."""
        manifest = self.manifest
        return {
            "index": str(self.folder), "count": manifest.count, "dim": manifest.dim, "method": manifest.method,
            "precision": manifest.precision, "bytes": {name: entry.bytes for name, entry in manifest.files.items()},
            "encoder": manifest.identity, "bm25": manifest.bm25, "sources": manifest.sources,
            "version": manifest.version,
        }  # fmt: skip

    def verify(self) -> None:
        """Compare the checksums of all files, then check every vector and every record.

        Raises:
            ModelError: a file is damaged, or was never right; names it.
        """
        files = KIND.reader(self.folder)
        files.verify(self.manifest.files)
        for start in range(0, self.manifest.count, BLOCK):
            self._check_lengths(range(start, min(start + BLOCK, self.manifest.count)))
        for row in range(self.manifest.count):
            self.record(row)
        if self.manifest.method == "graph":
            self._checked_hnsw()
        if self.bm25 is not None:
            self.bm25.verify()

    def _check_lengths(self, rows: Sequence[int]) -> None:
        """Raise ModelError if a vector is not of unit length (a text without a token has zeros)."""
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(np.asarray(self.vectors[list(rows)], dtype=np.float32), axis=1)
        wrong = np.flatnonzero(~((np.abs(lengths - 1) <= LENGTH_ERROR) | (lengths == 0)))
        if len(wrong):
            problem = f"vector {rows[int(wrong[0])]} has the length {lengths[wrong[0]]:.4g}, not 1"
            raise KIND.reader(self.folder).failure(VECTORS, problem)

    def results(self, hits: Sequence[Hit]) -> list[dict[str, Any]]:
        """Return hits as records: {"text": …, "score": …, "line": …}, and `file` or `record` where stored."""
        self._check_lengths([hit.row for hit in hits])
        return [self.result(hit.row, {"score": rounded_cosine(hit.score)}) for hit in hits]

    def result(self, row: int, scores: dict[str, float]) -> dict[str, Any]:
        """Return the record of a row with scores behind its text."""
        record = self.record(row)
        return {"text": record.pop("text"), **scores, **record}

    def cosines(self, query: Vectors, rows: Sequence[int]) -> Vectors:
        """Return the cosines of a query [d] and the vectors of rows [c].

        Raises:
            ModelError: a vector is not of unit length.
        """
        self._check_lengths(rows)
        cosines: Vectors = np.asarray(self.vectors[list(rows)], dtype=np.float32) @ normalize(query[None])[0]
        return cosines

    def search(
        self,
        queries: Vectors,
        k: int,
        method: Method | None = None,
        *,
        block_size: int = BLOCK,
        batch_size: int = QUERIES,
    ) -> list[list[Hit]]:
        """Return the k best hits of each query, best first, and by row where scores are equal.

        Args:
            queries: [q, d], of any length; a vector of zeros has no hits.
            k: number of hits; all vectors if there are fewer.
            method: the index's own when None.
            block_size: vectors in one product of the exact search.
            batch_size: queries in one product.

        Raises:
            UsageError: the index has no HNSW.
            ModelError: usearch is not installed, or HNSW is broken.
        """
        hits: list[list[Hit]] = [[] for _ in queries]
        nonzero = np.flatnonzero(queries.any(axis=1))
        exactly = partial(self._search_exactly, block_size=block_size)
        find = self._search_hnsw if (method or self.manifest.method) == "graph" else exactly
        for start in range(0, len(nonzero), batch_size):
            indices = nonzero[start : start + batch_size]
            chunk_hits = find(normalize(queries[indices]), min(k, self.manifest.count))
            for index, query_hits in zip(indices.tolist(), chunk_hits, strict=True):
                hits[index] = query_hits
        return hits

    def _search_exactly(self, queries: Vectors, k: int, block_size: int) -> list[list[Hit]]:
        best = TopK(len(queries), k)
        padded = np.zeros((-(-len(queries) // TILE) * TILE, queries.shape[1]), dtype=np.float32)
        padded[: len(queries)] = queries
        for start, block in self._blocks(block_size):
            with np.errstate(over="ignore", invalid="ignore"):
                scores = (padded @ block.T)[: len(queries)]
            if not (scores.min() >= -1 - LENGTH_ERROR and scores.max() <= 1 + LENGTH_ERROR):  # or NaN
                self._check_lengths(range(start, min(start + block_size, self.manifest.count)))
            best.add(scores[:, : self.manifest.count - start], start)
        return best.hits()

    def _blocks(self, size: int) -> Iterator[tuple[int, Vectors]]:
        """Yield (first row, vectors [b, d]); the last block is padded with zeros."""
        for start in range(0, self.manifest.count, size):
            block = np.asarray(self.vectors[start : start + size], dtype=np.float32)
            missing = -len(block) % TILE
            yield start, np.pad(block, ((0, missing), (0, 0))) if missing else block

    def _search_hnsw(self, queries: Vectors, k: int) -> list[list[Hit]]:
        found: list[list[NDArray[Any]]] = [[] for _ in queries]  # rows, by query and segment
        for hnsw in self._open_hnsw():
            matches = hnsw.search(queries, k)
            counts = getattr(matches, "counts", [len(matches.keys)])  # a single query has no counts
            for rows, keys, number in zip(found, np.atleast_2d(matches.keys), counts, strict=True):
                rows.append(keys[:number])
        hits = []
        for query, rows in zip(queries, found, strict=True):
            candidates = np.sort(np.concatenate(rows)).astype(np.int64)
            if len(candidates) and not 0 <= candidates[0] <= candidates[-1] < self.manifest.count:
                raise KIND.reader(self.folder).failure(HNSW, "leads to rows that are not there")
            scores = np.asarray(self.vectors[candidates], dtype=np.float32) @ query
            order = np.argsort(-scores, kind="stable")[:k]
            hits.append([Hit(int(candidates[i]), float(scores[i])) for i in order])
        return hits

    def _open_hnsw(self) -> list[Any]:
        if not self._hnsw:
            self._hnsw.extend(self._checked_hnsw())
        return self._hnsw

    def _checked_hnsw(self) -> list[Any]:
        """Return the segments of HNSW, mapped.

        Their checksums are compared first, as usearch would crash on a damaged file: 0.2 s for a million vectors.
        """
        if not (self.folder / HNSW).exists():
            raise UsageError(f"{self.folder}: has no graph; build it with --method graph, or search exactly")
        names = [HNSW, *takewhile(lambda name: (self.folder / name).exists(), map(hnsw_file, count(1)))]
        files = KIND.reader(self.folder)
        files.check({name: entry for name, entry in self.manifest.files.items() if name in names}, names)
        segments = []
        for name in names:
            files.open(name).close()
            segments.append(open_hnsw(self.folder / name))
        rows = sum(map(len, segments))
        if rows != self.manifest.count or any(hnsw.ndim != self.manifest.dim for hnsw in segments):
            raise files.failure(HNSW, "is not that of its vectors")
        return segments
