"""Building an index folder (see `index`): texts stream through an embedder to disk, and a killed build can be resumed.

vectors.npy        [n, d] of unit length, in the order of the texts
records.jsonl      {"text":"今天天气不错","line":1}, with "file" for several files, "record" for JSON Lines
offsets.npy        [n + 1] beginning of each of these lines
bm25-*.npy         the postings of BM25, see `postings`
graph*.usearch     HNSW, if there is any: a file for each million of texts
map.safetensors    the whitening or projection of the embedder, if there is one
index.json         the manifest (`IndexManifest`), written last

The files are written to the folder `.building` inside the index, with the progress (`_State`) in `state.json`. They are
moved when all are complete, so an old index stays valid until the new one is finished.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import Reader, file_entries, write_json_inside
from nlpkit.core.io.folders import check_folder, making_folder
from nlpkit.core.io.input import describe_source
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.io.npy import NpyWriter
from nlpkit.core.io.output import make_inside, open_inside, replacing_inside, reported
from nlpkit.core.io.progress import Advance, Progress, silent
from nlpkit.core.io.records import ErrorPolicy, Record, dump_line, read_records
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.postprocess import normalize
from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.index.hnsw import SEGMENT, has_usearch, new_hnsw, write_hnsw
from nlpkit.tasks.embed.index.manifest import (
    BUILDING,
    HNSW_FILES,
    KIND,
    MANIFEST,
    MAP,
    OFFSETS,
    RECORDS,
    VECTORS,
    EmbedderArguments,
    IndexManifest,
    Method,
    Precision,
    Provenance,
    Source,
    read_manifest,
)
from nlpkit.tasks.embed.index.postings import BM25_FILES, RUN_TERMS, TEMPORARY, bm25_part

STATE = "state.json"
FILES = (VECTORS, RECORDS, OFFSETS, *BM25_FILES, MAP)  # beside those of HNSW
MAX_EXACT = 100_000  # texts; `auto` takes HNSW for more
CHUNK, CHUNK_CHARACTERS = 4096, 500_000  # texts that are embedded together
HNSW_CHUNK = 8192  # vectors that are added to HNSW at a time
SAVE_EVERY, SAVE_HNSW_EVERY = 5.0, 300.0  # seconds


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Options of a build.

    Attributes:
        field: as for `core.io.records.read_records`.
        encoding: of the files.
        method: default search method; auto is exact up to `MAX_EXACT` texts or without usearch, else graph (HNSW).
        precision: of the vectors on disk.
        resume: continue an unfinished build.
        input_format: as `format` of `core.io.records.read_records`.
    """

    field: str | None = None
    encoding: str = "utf-8"
    method: Literal["auto", "exact", "graph"] = "auto"
    precision: Precision = "float32"
    resume: bool = False
    input_format: str | None = None


class _Settings(TypedDict):
    identity: Provenance
    sources: list[Source]
    field: str | None
    encoding: str
    input_format: str | None
    method: Literal["auto", "exact", "graph"]
    precision: Precision


@dataclass(slots=True)
class _State:
    """Progress of a build: records read, rows written, and their size in bytes in records.jsonl."""

    settings: _Settings
    read: Count = 0
    rows: Count = 0
    size: Count = 0
    complete: bool = False


def embed_texts(
    paths: Sequence[str],
    embedder: Embedder,
    folder: Path,
    settings: BuildSettings = BuildSettings(),
    on_error: ErrorPolicy | None = None,
    advance: Advance = silent,
    *,
    chunk_size: int = CHUNK,
    save_every: float = SAVE_EVERY,
) -> None:
    """Write the vectors and records of the texts of files, except blank ones: the first and longer step of a build.

    Args:
        paths: as for `core.io.records.read_records`.
        embedder: gives the vectors.
        folder: created if it does not exist; an index in it is replaced, any other content is refused.
        settings: of the build.
        on_error: what to do with a bad line.
        advance: called after each chunk.
        chunk_size: texts that are embedded together.
        save_every: seconds between two savings of the progress.

    Raises:
        DataError: there is no text, or a file cannot be read.
        ModelError: the build to resume has another model, or usearch is missing.
        UsageError: the build to resume has other options or files, or reads stdin.
        OutputError: the folder cannot be written, or the disk is full.
    """
    if settings.method == "graph":
        new_hnsw(embedder.dim)  # reports at once that usearch is missing
    fixed: dict[str, Any] = {
        "identity": embedder.provenance, "sources": [describe_source(path) for path in paths], "field": settings.field,
        "encoding": settings.encoding, "input_format": settings.input_format, "method": settings.method,
        "precision": settings.precision,
    }  # fmt: skip
    building = folder / BUILDING
    check_folder(folder, KIND)
    # A build that fails before its first row leaves nothing behind.
    with reported(folder), making_folder(folder, lambda: _can_resume(building)):
        if settings.resume and (folder / MANIFEST).exists() and not (building / STATE).exists():
            manifest = read_manifest(folder)
            finished = {"identity": manifest.identity, "sources": manifest.sources, "precision": manifest.precision}
            if settings.method != "auto":
                finished["method"] = manifest.method
            _check_same(folder, fixed, {**fixed, **finished})
            return
        make_inside(building)
        state = _resumed_state(building, fixed) if settings.resume else _new_state(building, fixed)
        if not state.complete:
            if embedder.postprocessor.map is not None:
                embedder.postprocessor.map.save(building / MAP, inside=True)
            records = read_records(paths, settings.field, settings.encoding, on_error, format=settings.input_format)
            _write_vectors(building, state, records, embedder, advance, chunk_size, save_every)


def finalize(
    folder: Path,
    arguments: dict[str, Any],
    progress: Progress = silent,
    *,
    max_exact: int = MAX_EXACT,
    chunk_size: int = HNSW_CHUNK,
    save_every: float = SAVE_HNSW_EVERY,
    run_terms: int = RUN_TERMS,
    segment_size: int = SEGMENT,
) -> IndexManifest:
    """Write BM25, HNSW if the index has it, and the manifest, and put the index in place: the second step of a build.

    Args:
        folder: as for `embed_texts`.
        arguments: of `loading.load`, to load the embedder for queries; a model's folder is stored as an absolute path.
        progress: called with the number of texts that are in BM25, and of vectors that are in HNSW.
        max_exact: number of texts up to which `auto` is exact.
        chunk_size: vectors that are added to HNSW at a time.
        save_every: seconds between two savings of HNSW.
        run_terms: as for `postings.bm25_part`.
        segment_size: as for `hnsw.write_hnsw`.

    Raises:
        ModelError: a file of the unfinished build is damaged.
        OutputError: the folder cannot be written, or the disk is full.
    """
    building = folder / BUILDING
    with reported(folder):
        if not building.exists():  # already finished
            return read_manifest(folder)
        if (folder / MANIFEST).exists() and not (building / VECTORS).exists():  # killed before its last step
            _clear(building)
            building.rmdir()
            return read_manifest(folder)
        if not (building / MANIFEST).exists():
            state = _read_state(building)
            settings, dim = state.settings, state.settings["identity"]["dim"]
            method: Method = "graph" if state.rows > max_exact and has_usearch() else "exact"
            if settings["method"] != "auto":
                method = settings["method"]
            bm25 = bm25_part(building, state.rows, progress, run_terms=run_terms)
            if method == "graph":
                shape, precision = (state.rows, dim), settings["precision"]
                write_hnsw(building, shape, precision, progress, chunk_size, save_every, segment_size)
            manifest = IndexManifest(
                identity=settings["identity"], embedder=_with_absolute_path(arguments), count=state.rows, dim=dim,
                method=method, precision=settings["precision"], sources=settings["sources"],
                files=file_entries(building, _names(building)), bm25=bm25,
            )  # fmt: skip
            KIND.write(building, manifest)
        return _install(building, folder)


def _install(building: Path, folder: Path) -> IndexManifest:
    """Move the finished files to their places; a call that was killed is continued by the next one."""
    manifest = read_manifest(building)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in _names(folder):  # of an older index
        if name not in manifest.files:
            (folder / name).unlink()
    for name in _names(building):  # without those that were moved before
        (building / name).replace(folder / name)
    (building / MANIFEST).replace(folder / MANIFEST)
    _clear(building)
    building.rmdir()
    return manifest


def _names(folder: Path) -> list[str]:
    """Return the names of the files of an index that a folder has."""
    hnsw = sorted(path.name for path in folder.glob(HNSW_FILES))
    return [*(name for name in FILES if (folder / name).exists()), *hnsw]


def _with_absolute_path(arguments: dict[str, Any]) -> EmbedderArguments:
    """Return all arguments of the embedder, with an absolute path for a model's folder."""
    arguments = {**dict.fromkeys(EmbedderArguments.__annotations__), "model": "", **arguments}
    path = Path(arguments["model"])
    if path.is_dir() and path.name:
        arguments["model"] = str(path.resolve())
    return cast(EmbedderArguments, arguments)


def _clear(building: Path) -> None:
    """Remove the files of a build, also temporary ones that a kill has left, and nothing else."""
    for name in (MANIFEST, STATE, *TEMPORARY, *FILES, HNSW_FILES):
        for path in (building / name, *building.glob(f".{name}.*")):
            path.unlink(missing_ok=True)


def _can_resume(building: Path) -> bool:
    """Return whether a failed build has rows."""
    try:
        return bool(_read_state(building).rows)
    except (FileNotFoundError, ModelError):
        return False


def _new_state(building: Path, fixed: dict[str, Any]) -> _State:
    _clear(building)
    return _State(cast(_Settings, fixed))


def _resumed_state(folder: Path, fixed: dict[str, Any]) -> _State:
    """Return the state of a killed build; a new one if it was killed before it had any."""
    try:
        state = _read_state(folder)
    except FileNotFoundError:
        return _new_state(folder, fixed)
    _check_same(folder, fixed, {**state.settings})
    vectors = state.rows * state.settings["identity"]["dim"] * np.dtype(state.settings["precision"]).itemsize
    for name, size in ((VECTORS, vectors), (RECORDS, state.size)):
        path = folder / name
        if size and not state.complete and (not path.is_file() or path.stat().st_size < size):
            raise ModelError(f"{path}: is shorter than {STATE} says; build the index again, without --resume")
    return state


def _read_state(folder: Path) -> _State:
    return Reader(folder, ModelError, "build the index again, without --resume").json(STATE, _State)


def _check_same(folder: Path, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raise if the build in the folder has other settings."""
    cure = "give what it was begun with, or leave --resume out to begin anew"
    if any(source["size"] is None for source in ours["sources"]):
        raise UsageError("stdin cannot be read again, so --resume needs files")
    if ours["identity"] != theirs["identity"]:
        old, new = (side["identity"].get("model") for side in (theirs, ours))
        raise ModelError(f"{folder}: begun with another model or its options ({old}, now {new}); {cure}")
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise UsageError(f"{folder}: begun with other {name}; {cure}")


def _write_vectors(
    folder: Path,
    state: _State,
    records: Iterator[Record],
    embedder: Embedder,
    advance: Advance,
    chunk_size: int,
    save_every: float,
) -> None:
    """Write vectors and records, from the state to the end of the files."""
    precision, many = state.settings["precision"], len(state.settings["sources"]) > 1
    with _opened(folder / VECTORS) as vectors, _opened(folder / RECORDS) as lines:
        writer = NpyWriter(vectors, np.dtype(precision), embedder.dim, length=state.rows)
        _truncate(vectors, vectors.tell() + state.rows * embedder.dim * np.dtype(precision).itemsize)
        _truncate(lines, state.size)

        def save() -> None:
            vectors.flush()
            lines.flush()
            state.rows, state.size = writer.length, lines.tell()
            write_json_inside(folder / STATE, asdict(state))

        saved = -save_every
        for chunk in _chunks(islice(records, state.read), chunk_size):  # written before
            advance(len(chunk), sum(record.line.size for record in chunk))
        for chunk in _chunks(records, chunk_size):
            texts = [record for record in chunk if not is_blank(record.text)]
            if texts:
                writer.append(normalize(embedder.encode([record.text for record in texts])))
                lines.write(b"".join(dump_line(_stored_record(record, many=many)) for record in texts))
            state.read += len(chunk)
            advance(len(chunk), sum(record.line.size for record in chunk))
            if time.monotonic() - saved >= save_every:
                save()
                saved = time.monotonic()
        if not writer.length:
            raise DataError("no text in it", ", ".join(source["name"] for source in state.settings["sources"]))
        writer.write_header()
        save()
        _write_offsets(folder)
        state.complete = True
        save()


def _stored_record(record: Record, *, many: bool) -> dict[str, Any]:
    """Return a record as in records.jsonl."""
    stored: dict[str, Any] = {"text": record.text, "line": record.line.number}
    if many:
        stored["file"] = record.line.source
    if record.fields != {"text": record.text}:
        stored["record"] = record.fields
    return stored


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading and writing; create it if it does not exist."""
    open_inside(path, "ab").close()
    with open_inside(path, "r+b") as stream:
        yield stream


def _truncate(stream: IO[bytes], size: int) -> None:
    """Truncate a file to a size, to redo what a killed build wrote after its last saved state."""
    stream.truncate(size)
    stream.seek(size)


def _chunks(records: Iterable[Record], chunk_size: int) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.text)
        if len(chunk) == chunk_size or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _write_offsets(folder: Path) -> None:
    """Write the beginning of each line of records.jsonl, and the end of the last one."""
    with (
        replacing_inside(folder / OFFSETS) as path,
        path.open("wb") as target,
        (folder / RECORDS).open("rb") as source,
    ):
        writer = NpyWriter(target, np.dtype("<i8"))
        writer.append(np.zeros(1))
        begin = 0
        while piece := source.read(1 << 24):
            ends = np.flatnonzero(np.frombuffer(piece, dtype=np.uint8) == ord("\n"))
            writer.append(ends + (begin + 1))
            begin += len(piece)
        writer.write_header()
