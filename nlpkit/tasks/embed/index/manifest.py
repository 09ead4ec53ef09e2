"""Files of an index folder, and its manifest."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import FileEntry
from nlpkit.core.io.folders import FolderKind
from nlpkit.core.io.json_shapes import Count, Size, Within
from nlpkit.errors import ModelError
from nlpkit.version import __version__

MANIFEST, VECTORS, RECORDS, OFFSETS = "index.json", "vectors.npy", "records.jsonl", "offsets.npy"
HNSW, MAP = "graph.usearch", "map.safetensors"
HNSW_FILES = "graph*.usearch"  # pattern of the names of `hnsw_file`
BUILDING = ".building"  # folder inside the index in which it is built, see `build`
FORMAT = 1
K1, B = 1.2, 0.75  # constants of BM25, as in Lucene

Method = Literal["exact", "graph"]  # graph is HNSW
Precision = Literal["float32", "float16"]


class Provenance(TypedDict):
    """The provenance of the vectors; see `Embedder.provenance`."""

    model: str
    fingerprint: str
    pooling: str
    whitening: str | None
    dim: Size
    normalised: bool


class EmbedderArguments(TypedDict):
    """Arguments of `loading.load`."""

    model: str
    pooling: str | None
    whiten: str | None
    dim: Size | None
    prompt: str | None


class Source(TypedDict):
    """A file of texts, and its size in bytes; None for stdin."""

    name: str
    size: Count | None


class StoredRecord(TypedDict):
    """A record of records.jsonl, which may have more fields."""

    text: str


class Bm25Settings(TypedDict):
    """The BM25 part: version of the rules for terms, constants of the formula, and sizes of the files."""

    analyzer: Count
    k1: Annotated[float, Within(0)]
    b: Annotated[float, Within(0, 1)]
    terms: Count
    postings: Count


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """The content of index.json; written last, so a folder without it is unfinished.

    Attributes:
        identity: provenance of the vectors.
        embedder: arguments that load the embedder for queries.
        count: number of vectors.
        dim: their dimension.
        method: default search method.
        precision: of the vectors on disk.
        sources: files of the texts, in order.
        files: size and checksums of the files of the index.
        bm25: of the BM25 part; None in an index of an older nlpkit, which has none.
        version: of nlpkit.
        format: version of the folder's format.
    """

    identity: Provenance
    embedder: EmbedderArguments
    count: Count
    dim: Size
    method: Method
    precision: Precision
    sources: list[Source] = field(default_factory=list)
    files: dict[str, FileEntry] = field(default_factory=dict)
    bm25: Bm25Settings | None = None
    version: str = __version__
    format: int = FORMAT


KIND = FolderKind(
    "a search index", MANIFEST, IndexManifest, {"identity": None, "embedder": None}, (BUILDING,),
    ModelError, "build the index again", (1, FORMAT),
)  # fmt: skip


def hnsw_file(segment: int) -> str:
    """Return the name of the file of a segment of HNSW, numbered from 0."""
    return HNSW if segment == 0 else f"graph-{segment}.usearch"


def read_manifest(folder: Path) -> IndexManifest:
    """Read the manifest of an index.

    Raises:
        ModelError: there is none, or it is broken or of a newer nlpkit.
    """
    try:
        return KIND.read(folder)
    except FileNotFoundError:
        unfinished = (folder / RECORDS).exists() or (folder / BUILDING).exists()
        cure = "is unfinished: go on with search build --resume" if unfinished else "make one: nlpkit search build"
        raise ModelError(f"{folder}: no finished index there; {cure}") from None
