"""Building an index folder (see `index`): texts stream through an embedder to disk, and a killed build goes on.

vectors.npy        [n, d] of unit length, written as they come
records.jsonl      {"text":"今天天气不错","line":1}, with "file" of several files, "record" of JSON Lines
offsets.npy        [n + 1] where each of these lines begins
graph.usearch      the graph, where there is one
map.safetensors    the whitening or projection behind the encoder, where there is one
index.json         what it is (`IndexManifest`), written last

They are made in the folder's own folder `.building`, with `state.json` on how far it has come (`_State`), and moved
when all are there: an index stays as it was until another one is finished.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.lib import format as npy
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import Reader, file_entry
from nlpkit.core.io.folders import FolderKind, check_folder, making_folder
from nlpkit.core.io.input import describe_source
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.io.output import make_inside, open_inside, replacing_inside, write_error
from nlpkit.core.io.records import ErrorPolicy, Record, dump_line, read_records
from nlpkit.core.model.manifest import write_json
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedded, Embedder
from nlpkit.tasks.embed.encoder.postprocess import unit
from nlpkit.tasks.embed.index.index import (
    BUILDING,
    GRAPH,
    MANIFEST,
    MAP,
    OFFSETS,
    RECORDS,
    VECTORS,
    EmbedderArguments,
    Identity,
    IndexManifest,
    Method,
    Precision,
    Source,
    has_usearch,
    new_graph,
    open_graph,
    read_manifest,
    reader,
)
from nlpkit.tasks.embed.output import NpyWriter
from nlpkit.tasks.embed.unknown import is_blank

STATE = "state.json"
KIND = FolderKind("a search index", MANIFEST, {"identity": None, "embedder": None}, (BUILDING,))
FILES = (VECTORS, RECORDS, OFFSETS, GRAPH, MAP)
EXACT_UP_TO = 1_000_000  # texts, beyond which `auto` makes a graph
CHUNK, CHUNK_CHARACTERS = 4096, 500_000  # texts that are embedded together
GRAPH_CHUNK = 8192  # vectors that the graph takes in between two reports
SAVE_EVERY, SAVE_GRAPH_EVERY = 5.0, 300.0  # seconds
Advance = Callable[[int, int], None]
Stage = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What to build.

    Attributes:
        field: as for `core.io.records.read_records`.
        encoding: of the files.
        method: how it will be searched; auto is exactly up to `EXACT_UP_TO` texts, or where usearch is not installed.
        precision: of the vectors on disk.
        resume: go on with an unfinished index.
    """

    field: str | None = None
    encoding: str = "utf-8"
    method: Literal["auto", "exact", "graph"] = "auto"
    precision: Precision = "float32"
    resume: bool = False


class _Settings(TypedDict):
    identity: Identity
    sources: list[Source]
    field: str | None
    encoding: str
    method: Literal["auto", "exact", "graph"]
    precision: Precision


@dataclass(slots=True)
class _State:
    """How far a build has come: records read, rows written, and the bytes of records.jsonl that they take."""

    settings: _Settings
    read: Count = 0
    rows: Count = 0
    size: Count = 0
    complete: bool = False


def gather(
    paths: Sequence[str],
    embedder: Embedder,
    folder: Path,
    settings: BuildSettings = BuildSettings(),
    on_error: ErrorPolicy | None = None,
    advance: Advance = lambda records, size: None,
) -> None:
    """The first part of a build, and the longer one: vectors and records of the texts of files, blank ones left out.

    Args:
        paths: as for `core.io.records.read_records`.
        embedder: makes the vectors.
        folder: made if it is not there; an old index in it is replaced, and a folder with anything else refused.
        settings: see there.
        on_error: what to do with a bad line.
        advance: progress: (records, bytes) more.

    Raises:
        DataError: there is no text, or a file cannot be read.
        ModelError: an index by another model is to be resumed, or the graph has no usearch.
        UsageError: an index with other settings or of other files is to be resumed, or one of stdin.
        OutputError: the folder cannot be written, or the disk is full.
    """
    if settings.method == "graph":
        new_graph(embedder.dim)  # that usearch is missing should be known at once
    fixed: dict[str, Any] = {
        "identity": embedder.identity, "sources": [describe_source(path) for path in paths], "field": settings.field,
        "encoding": settings.encoding, "method": settings.method, "precision": settings.precision,
    }  # fmt: skip
    building = folder / BUILDING
    check_folder(folder, KIND)
    # A build that fails before it has come anywhere leaves nothing; what is empty cannot become an index.
    with _writing(folder), making_folder(folder, lambda: _has_rows(building)):
        if settings.resume and (folder / MANIFEST).exists() and not (building / STATE).exists():
            made = read_manifest(folder)
            found = {"identity": made.identity, "sources": made.sources, "precision": made.precision}
            if settings.method != "auto":
                found["method"] = made.method
            _check_same(folder, fixed, {**fixed, **found})
            return
        make_inside(building)
        state = _resumed(building, fixed) if settings.resume else _fresh(building, fixed)
        if not state.complete:
            if embedder.finish.map is not None:
                embedder.finish.map.save(building / MAP, inside=True)
            records = read_records(paths, settings.field, settings.encoding, on_error)
            _write(building, state, records, embedder, advance)


def complete(folder: Path, arguments: dict[str, Any], stage: Stage = lambda stage, done, total: None) -> IndexManifest:
    """The rest: the graph, where there is one, and the manifest.

    Args:
        folder: what `gather` was given.
        arguments: of `embedder.load`, to load it again for queries; a model's folder is kept as an absolute path.
        stage: progress of the graph: (name, done, total).

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    building = folder / BUILDING
    with _writing(folder):
        if not building.exists():  # it was finished before
            return read_manifest(folder)
        if (folder / MANIFEST).exists() and not (building / VECTORS).exists():  # all but the last step was done
            _clear(building)
            building.rmdir()
            return read_manifest(folder)
        if not (building / MANIFEST).exists():
            state = _read_state(building)
            settings, dim = state.settings, state.settings["identity"]["dim"]
            method: Method = "graph" if state.rows > EXACT_UP_TO and has_usearch() else "exact"
            if settings["method"] != "auto":
                method = settings["method"]
            if method == "graph":
                _write_graph(building, (state.rows, dim), settings["precision"], stage)
            made = IndexManifest(
                identity=settings["identity"], embedder=_located(arguments), count=state.rows, dim=dim, method=method,
                precision=settings["precision"], sources=settings["sources"],
                files={name: file_entry(building / name) for name in FILES if (building / name).exists()},
            )  # fmt: skip
            write_json(building / MANIFEST, asdict(made))
        return _install(building, folder)


def _install(building: Path, folder: Path) -> IndexManifest:
    """Puts the finished files in the place of the old ones; killed in between, it goes on the next time."""
    manifest = read_manifest(building)
    (folder / MANIFEST).unlink(missing_ok=True)
    if manifest.method != "graph":
        (folder / GRAPH).unlink(missing_ok=True)
    if manifest.identity["whitening"] is None:
        (folder / MAP).unlink(missing_ok=True)
    for name in FILES:
        if (building / name).exists():  # else it is there already, or there is none
            (building / name).replace(folder / name)
    (building / MANIFEST).replace(folder / MANIFEST)
    _clear(building)
    building.rmdir()
    return manifest


def _located(arguments: dict[str, Any]) -> EmbedderArguments:
    """All of the arguments, with a model's folder as it is found from anywhere."""
    arguments = {**dict.fromkeys(EmbedderArguments.__annotations__), "model": "", **arguments}
    path = Path(arguments["model"])
    found = {**arguments, "model": str(path.resolve())} if path.is_dir() and path.name else arguments
    return cast(EmbedderArguments, found)


def _clear(building: Path) -> None:
    """Removes what a build makes, and nothing else."""
    for name in (MANIFEST, STATE, *FILES):
        (building / name).unlink(missing_ok=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(error, str(folder)) from error


def _has_rows(building: Path) -> bool:
    """Whether a build that failed can be resumed."""
    try:
        return bool(_read_state(building).rows)
    except (FileNotFoundError, ModelError):
        return False


def _fresh(building: Path, fixed: dict[str, Any]) -> _State:
    _clear(building)
    return _State(cast(_Settings, fixed))


def _resumed(folder: Path, fixed: dict[str, Any]) -> _State:
    """The state that a killed build has left; a fresh one where it was killed before there was any."""
    try:
        state = _read_state(folder)
    except FileNotFoundError:
        return _fresh(folder, fixed)
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
    """Raises where a build is not the one that was begun in the folder."""
    cure = "give what it was begun with, or leave --resume out to begin anew"
    if any(source["size"] is None for source in ours["sources"]):
        raise UsageError("stdin cannot be read again, so --resume needs files")
    if ours["identity"] != theirs["identity"]:
        began, now = (side["identity"].get("model") for side in (theirs, ours))
        raise ModelError(f"{folder}: begun with another model or its options ({began}, now {now}); {cure}")
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise UsageError(f"{folder}: begun with other {name}; {cure}")


def _write(folder: Path, state: _State, records: Iterator[Record], embedder: Embedder, advance: Advance) -> None:
    """Vectors and records, from where the state is to the end of the files."""
    precision, many = state.settings["precision"], len(state.settings["sources"]) > 1
    with _opened(folder / VECTORS) as vectors, _opened(folder / RECORDS) as lines:
        writer = NpyWriter(vectors, precision, embedder.dim, state.rows)
        writer.header()
        _cut(vectors, vectors.tell() + state.rows * embedder.dim * np.dtype(precision).itemsize)
        _cut(lines, state.size)

        def save() -> None:
            vectors.flush()
            lines.flush()
            state.rows, state.size = writer.count, lines.tell()
            write_json(folder / STATE, asdict(state))

        saved = -SAVE_EVERY
        for chunk in _chunks(islice(records, state.read)):  # dealt with before
            advance(len(chunk), sum(record.line.size for record in chunk))
        for chunk in _chunks(records):
            texts = [record for record in chunk if not is_blank(record.text)]
            if texts:
                found = unit(embedder.encode([record.text for record in texts]))
                writer.write(texts, Embedded(found))
                lines.write(b"".join(dump_line(_kept(record, many=many)) for record in texts))
            state.read += len(chunk)
            advance(len(chunk), sum(record.line.size for record in chunk))
            if time.monotonic() - saved >= SAVE_EVERY:
                save()
                saved = time.monotonic()
        if not writer.count:
            raise DataError("no text in it", ", ".join(source["name"] for source in state.settings["sources"]))
        writer.header()
        save()
        _write_offsets(folder, writer.count)
        state.complete = True
        save()


def _kept(record: Record, *, many: bool) -> dict[str, Any]:
    """What records.jsonl has of a record."""
    kept: dict[str, Any] = {"text": record.text, "line": record.line.number}
    if many:
        kept["file"] = record.line.source
    if record.fields != {"text": record.text}:
        kept["record"] = record.fields
    return kept


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to be read and written, made if it is not there."""
    open_inside(path, "ab").close()
    with open_inside(path, "r+b") as stream:
        yield stream


def _cut(stream: IO[bytes], size: int) -> None:
    """Ends a file after so many bytes: what a killed build has written since it last saved its state is done again."""
    stream.truncate(size)
    stream.seek(size)


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.text)
        if len(chunk) == CHUNK or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _write_offsets(folder: Path, rows: int) -> None:
    """Where the lines of records.jsonl begin, and where the last one ends."""
    with (
        replacing_inside(folder / OFFSETS) as path,
        path.open("wb") as target,
        (folder / RECORDS).open("rb") as source,
    ):
        described = {"descr": "<i8", "fortran_order": False, "shape": (rows + 1,)}
        npy.write_array_header_1_0(target, described)
        target.write(np.zeros(1, dtype="<i8").tobytes())
        begin = 0
        while piece := source.read(1 << 24):
            ends = np.flatnonzero(np.frombuffer(piece, dtype=np.uint8) == ord("\n"))
            target.write((ends + (begin + 1)).astype("<i8").tobytes())
            begin += len(piece)


def _write_graph(folder: Path, shape: tuple[int, int], precision: Precision, stage: Stage) -> None:
    """Adds the vectors, in order, that the graph in the folder does not have yet."""
    path = folder / GRAPH
    vectors = reader(folder).array(VECTORS, [np.dtype(precision).newbyteorder("<").str], shape)
    graph = new_graph(shape[1])
    if path.exists():
        with suppress(ModelError):  # a broken one is made again
            graph = open_graph(path, mapped=False)
    saved = time.monotonic()
    for start in range(len(graph), len(vectors), GRAPH_CHUNK):
        block = np.asarray(vectors[start : start + GRAPH_CHUNK], dtype=np.float32)
        graph.add(np.arange(start, start + len(block)), block)
        done = start + len(block)
        stage("graph", done, len(vectors))
        if time.monotonic() - saved >= SAVE_GRAPH_EVERY or done == len(vectors):
            with replacing_inside(path) as temporary:
                graph.save(temporary)
            saved = time.monotonic()
