"""Search in an index folder: the nearest texts by cosine, exactly, or by a graph where there are too many for that.

    index = Index.open(Path("idx"))
    index.search(embedder.encode(["今天天气"]), 10)      # [[Hit(row, score), …]], best first

Exactly means a matrix product with every vector, a block at a time, and a merge of the best: a million vectors of 256
in a fraction of a second for a hundred queries. The graph is HNSW (arXiv 1603.09320) by usearch, an extra; it finds
nearly all of the best. Either way the vectors stay on disk and the score is the exact cosine.

Shapes: n vectors, d dimensions, q queries, b vectors in a block, k hits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import FileEntry, Reader
from nlpkit.core.io.json_shapes import Count, Size, conform
from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder.postprocess import differences, unit
from nlpkit.version import __version__

MANIFEST, VECTORS, RECORDS, OFFSETS, GRAPH = (
    "index.json",
    "vectors.npy",
    "records.jsonl",
    "offsets.npy",
    "graph.usearch",
)
MAP = "map.safetensors"
BUILDING = ".building"  # the folder in it where one is being made, see `build`
FORMAT = 1
BLOCK = 8192  # vectors in one product
QUERIES = 256  # in one product
TILE = 16  # the rows of a product come in whole tiles, so that equal vectors get equal scores wherever they stand
LENGTH_ERROR = 0.01  # by which the length of a stored vector may differ from 1, halves included
CURE = "build the index again"
EXPANSION = 128  # candidates that the graph keeps in mind; more find more, slower

Method = Literal["exact", "graph"]
Precision = Literal["float32", "float16"]
Vectors = NDArray[np.float32]


class Hit(NamedTuple):
    """A row of the index, and the cosine to the query."""

    row: int
    score: float


class Identity(TypedDict):
    """See `Embedder.identity`."""

    model: str
    fingerprint: str
    pooling: str
    whitening: str | None
    dim: Size
    normalised: bool


class EmbedderArguments(TypedDict):
    """The arguments of `embedder.load`."""

    model: str
    pooling: str | None
    whiten: str | None
    dim: Size | None
    prompt: str | None


class Source(TypedDict):
    """A file of texts, and its bytes; nobody knows those of stdin."""

    name: str
    size: Count | None


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """What index.json holds; written last, so a folder without it is unfinished.

    Attributes:
        identity: of the embedder, see `Embedder`.
        embedder: the arguments that load it again.
        count: n.
        dim: d.
        method: how it is searched unless one says otherwise.
        precision: of the vectors on disk.
        sources: the files, in order.
        files: size and checksums of the files of the index.
        version: of the nlpkit that wrote it.
        format: of the folder.
    """

    identity: Identity
    embedder: EmbedderArguments
    count: Count
    dim: Size
    method: Method
    precision: Precision
    sources: list[Source] = field(default_factory=list)
    files: dict[str, FileEntry] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Index:
    """An open index; everything stays on disk.

    Attributes:
        folder: where it is.
        manifest: what it is.
        vectors: [n, d] of unit length.
        offsets: [n + 1] where each record begins in records.jsonl.
        records: the bytes of records.jsonl.
    """

    folder: Path
    manifest: IndexManifest
    vectors: NDArray[Any]
    offsets: NDArray[np.int64]
    records: NDArray[np.uint8]

    @classmethod
    def open(cls, folder: Path) -> "Index":
        """Open an index that `build` finished.

        The sizes of all files are compared with the manifest, and the checksums of the smallest ones (see
        `core.io.artefacts`); what a search reads of the others is checked then. `verify` checks everything.

        Raises:
            ModelError: there is none, it is unfinished, broken, or of a newer nlpkit.
        """
        manifest = read_manifest(folder)
        files = reader(folder)
        files.check(manifest.files)
        dtype = np.dtype(manifest.precision).newbyteorder("<").str
        vectors = files.array(VECTORS, [dtype], (manifest.count, manifest.dim))
        offsets = files.array(OFFSETS, ["<i8"], (manifest.count + 1,))
        records = files.mapped(RECORDS)
        if offsets[0] or offsets[-1] != len(records):
            raise files.failure(OFFSETS, f"does not fit {RECORDS}")
        return cls(folder, manifest, vectors, offsets, records)

    @property
    def whiten(self) -> str | None:
        """The file of the map behind its embedder, as `embedder.load` takes it; always the index's own."""
        return None if self.manifest.identity["whitening"] is None else str(self.folder / MAP)

    def check(self, identity: dict[str, Any]) -> None:
        """Raises ModelError, naming the model, where the vectors of an embedder cannot be compared with these."""
        changed = differences(identity, {**self.manifest.identity})
        if changed:
            cure = "query with the model that made it, or build it again"
            raise ModelError(f"{self.folder}: an index of another {', '.join(changed)}; {cure}")

    def record(self, row: int) -> dict[str, Any]:
        """Return the record of a row: `text`, `line`, and `file` or `record` where the build kept them.

        Raises:
            ModelError: it is broken.
        """
        start, end = self.offsets[row : row + 2].tolist()
        try:
            if not 0 <= start < end <= len(self.records):
                raise ValueError("a line outside of the file")
            found = orjson.loads(self.records[start:end].tobytes())
            return {**conform(found, _Record)}
        except ValueError as error:
            raise reader(self.folder).failure(RECORDS, f"broken in record {row} ({error})") from None

    def info(self) -> dict[str, Any]:
        """Return what `nlpkit search info` shows."""
        made = self.manifest
        return {
            "index": str(self.folder), "count": made.count, "dim": made.dim, "method": made.method,
            "precision": made.precision, "bytes": {name: entry.bytes for name, entry in made.files.items()},
            "encoder": made.identity, "sources": made.sources, "version": made.version,
        }  # fmt: skip

    def verify(self) -> None:
        """Compare the checksums of all files, then check every vector and every record.

        Raises:
            ModelError: a file is damaged, or was never right; names it.
        """
        files = reader(self.folder)
        files.verify(self.manifest.files)
        for start in range(0, self.manifest.count, BLOCK):
            self._check_lengths(range(start, min(start + BLOCK, self.manifest.count)))
        for row in range(self.manifest.count):
            self.record(row)
        if self.manifest.method == "graph":
            self._open_graph()

    def _check_lengths(self, rows: Sequence[int]) -> None:
        """Raise ModelError where a vector is not of unit length (a text without a token has zeros)."""
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(np.asarray(self.vectors[list(rows)], dtype=np.float32), axis=1)
        wrong = np.flatnonzero(~((np.abs(lengths - 1) <= LENGTH_ERROR) | (lengths == 0)))
        if len(wrong):
            problem = f"vector {rows[int(wrong[0])]} has the length {lengths[wrong[0]]:.4g}, not 1"
            raise reader(self.folder).failure(VECTORS, problem)

    def results(self, hits: Sequence[Hit]) -> list[dict[str, Any]]:
        """Hits as records: {"text": …, "score": …, "line": …} and what else there is."""
        found = []
        self._check_lengths([hit.row for hit in hits])
        for hit in hits:
            record = self.record(hit.row)
            score = round(max(-1.0, min(1.0, hit.score)), 4)  # halves may be a little longer than 1
            found.append({"text": record.pop("text"), "score": score, **record})
        return found

    def search(self, queries: Vectors, k: int, method: Method | None = None) -> list[list[Hit]]:
        """The k best rows for each query, best first, and by row where scores are equal; fewer when n is less than k.

        Args:
            queries: [q, d], of any length; one of zeros has no hits.
            k: hits for each.
            method: in place of the index's own.

        Raises:
            UsageError: it has no graph.
            ModelError: usearch is not installed, or the graph is broken.
        """
        hits: list[list[Hit]] = [[] for _ in queries]
        asked = np.flatnonzero(queries.any(axis=1))
        look = self._by_graph if (method or self.manifest.method) == "graph" else self._exactly
        for start in range(0, len(asked), QUERIES):
            some = asked[start : start + QUERIES]
            for place, found in zip(some.tolist(), look(unit(queries[some]), min(k, self.manifest.count)), strict=True):
                hits[place] = found
        return hits

    def _exactly(self, queries: Vectors, k: int) -> list[list[Hit]]:
        best = _Best(len(queries), k)
        padded = np.zeros((-(-len(queries) // TILE) * TILE, queries.shape[1]), dtype=np.float32)
        padded[: len(queries)] = queries
        for start, block in self._blocks():
            with np.errstate(over="ignore", invalid="ignore"):
                scores = (padded @ block.T)[: len(queries)]
            if not (scores.min() >= -1 - LENGTH_ERROR and scores.max() <= 1 + LENGTH_ERROR):  # nor NaN
                self._check_lengths(range(start, min(start + BLOCK, self.manifest.count)))
            best.add(scores[:, : self.manifest.count - start], start)
        return best.hits()

    def _blocks(self) -> Iterator[tuple[int, Vectors]]:
        """(first row, vectors [b, d]); the last block is filled up with zeros."""
        for start in range(0, self.manifest.count, BLOCK):
            block = np.asarray(self.vectors[start : start + BLOCK], dtype=np.float32)
            missing = -len(block) % TILE
            yield start, np.pad(block, ((0, missing), (0, 0))) if missing else block

    def _by_graph(self, queries: Vectors, k: int) -> list[list[Hit]]:
        graph = self._open_graph()
        found = graph.search(queries, k)
        hits = []
        counts = getattr(found, "counts", [len(found.keys)])  # one query alone has no counts
        for query, rows, count in zip(queries, np.atleast_2d(found.keys), counts, strict=True):
            kept = np.sort(rows[:count]).astype(np.int64)
            if len(kept) and not 0 <= kept[0] <= kept[-1] < self.manifest.count:
                raise reader(self.folder).failure(GRAPH, "leads to rows that are not there")
            scores = np.asarray(self.vectors[kept], dtype=np.float32) @ query
            order = np.argsort(-scores, kind="stable")
            hits.append([Hit(int(kept[i]), float(scores[i])) for i in order])
        return hits

    def _open_graph(self) -> Any:
        path = self.folder / GRAPH
        if not path.exists():
            raise UsageError(f"{self.folder}: has no graph; build it with --method graph, or search exactly")
        reader(self.folder).open(GRAPH).close()
        graph = open_graph(path)
        if (len(graph), graph.ndim) != (self.manifest.count, self.manifest.dim):
            raise reader(self.folder).failure(GRAPH, "is not that of its vectors")
        return graph


class _Record(TypedDict):
    text: str


class _Best:
    """The k best of each query among the blocks so far.

    Rows come in ascending order, so one that is not better than the worst of the best never takes its place: a tie goes
    to the first row. After a few blocks hardly any row is better, and a block costs one comparison per score.
    """

    def __init__(self, number: int, k: int):
        self.k = k
        self.scores = np.full((number, k), -np.inf, dtype=np.float32)  # [q, k] descending
        self.rows = np.full((number, k), -1, dtype=np.int64)

    def add(self, scores: Vectors, first: int) -> None:
        """Takes in scores [q, b] of rows that begin at `first`."""
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
        """For each query, best first."""
        return [
            [Hit(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
            for rows, scores in zip(self.rows.tolist(), self.scores.tolist(), strict=True)
        ]


def reader(folder: Path) -> Reader:
    """Return what reads the files of an index."""
    return Reader(folder, ModelError, CURE)


def read_manifest(folder: Path) -> IndexManifest:
    """The manifest of an index.

    Raises:
        ModelError: there is none, or it is broken or of a newer nlpkit.
    """
    try:
        manifest = reader(folder).json(MANIFEST, IndexManifest)
    except FileNotFoundError:
        unfinished = (folder / RECORDS).exists() or (folder / BUILDING).exists()
        cure = "is unfinished: go on with search build --resume" if unfinished else "make one: nlpkit search build"
        raise ModelError(f"{folder}: no finished index there; {cure}") from None
    if manifest.format > FORMAT:
        raise ModelError(f"{folder}: made by nlpkit {manifest.version[:20]}, newer than this one; upgrade nlpkit")
    return manifest


def new_graph(dim: int) -> Any:
    """An empty graph of vectors of unit length; raises ModelError without usearch."""
    return _usearch().Index(ndim=dim, metric="ip", dtype="f16", expansion_search=EXPANSION)


def open_graph(path: Path, *, mapped: bool = True) -> Any:
    """A graph of a file, mapped to be searched or read to be added to; raises ModelError where that cannot be."""
    usearch = _usearch()
    try:
        graph = usearch.Index.restore(path, view=mapped)
    except Exception as error:  # it has no errors of its own
        raise ModelError(f"{path}: broken ({error}); build the index again") from None
    if graph is None:
        raise ModelError(f"{path}: broken; build the index again")
    graph.expansion_search = EXPANSION
    return graph


def _usearch() -> Any:
    try:
        import usearch.index
    except ImportError:
        raise ModelError("a search graph needs usearch; install it with: pip install 'nlpkit[search]'") from None
    return usearch.index


def has_usearch() -> bool:
    """Whether it is installed."""
    return find_spec("usearch") is not None
