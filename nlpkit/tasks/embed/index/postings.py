"""Building the BM25 part of an index from its records, in bounded memory.

bm25-terms.npy     [t] the terms (see `terms`), ascending
bm25-starts.npy    [t + 1] beginning of each term's postings
bm25-rows.npy      [p] postings: rows with the term, ascending
bm25-counts.npy    [p] how often the term is in the row, at most 255
bm25-lengths.npy   [n] number of terms of each row, with repetitions

Postings are collected up to a number of terms, sorted by term and written as a run; then the runs are merged, a range
of terms at a time. The files depend only on the records. A killed build continues after its last complete run.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from nlpkit.core.io.artefacts import Reader, write_json_inside
from nlpkit.core.io.json_shapes import conform
from nlpkit.core.io.npy import NpyWriter
from nlpkit.core.io.output import open_inside, replacing_inside, sync
from nlpkit.core.io.progress import Progress, silent
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.index.manifest import K1, KIND, RECORDS, B, Bm25Settings, StoredRecord
from nlpkit.tasks.embed.index.terms import ANALYZER, terms

TERMS, STARTS, ROWS, COUNTS = "bm25-terms.npy", "bm25-starts.npy", "bm25-rows.npy", "bm25-counts.npy"
LENGTHS = "bm25-lengths.npy"
BM25_FILES = (LENGTHS, ROWS, COUNTS, STARTS, TERMS)  # in the order in which they are completed
RUNS, RUN_LENGTHS, RUN_STATE = "bm25-runs.tmp", "bm25-lengths.tmp", "bm25-runs.json"
TEMPORARY = (RUN_STATE, RUNS, RUN_LENGTHS)  # of a build that is not complete; without the first the others mean nothing
RUN_TERMS = 1 << 22  # terms in a run, with repetitions; sorting them takes about 40 bytes of memory for each
MAX_COUNT = 255
PROGRESS_EVERY = 4096  # rows

_LENGTH = np.dtype("<u4")
_POSTING = np.dtype([("term", "<u8"), ("row", "<u4"), ("count", "u1")])
Postings = NDArray[Any]  # of _POSTING


@dataclass(slots=True)
class _Runs:
    """The complete runs on disk.

    Attributes:
        sizes: number of postings of each.
        rows: number of rows of each.
    """

    sizes: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


def bm25_part(folder: Path, count: int, progress: Progress = silent, *, run_terms: int = RUN_TERMS) -> Bm25Settings:
    """Write the BM25 files of the records in a folder, unless they are complete, and return their description.

    Args:
        folder: of an index that is being built.
        count: number of records.
        progress: as for `write_bm25`.
        run_terms: as for `write_bm25`.

    Raises:
        ModelError: the records are broken.
        OutputError: the folder cannot be written, or the disk is full.
    """
    if not (folder / TERMS).exists():  # the last one
        write_bm25(folder, _texts(folder), count, progress, run_terms=run_terms)
    files = KIND.reader(folder)
    sizes = [len(files.array(name, [dtype], (None,))) for name, dtype in ((TERMS, "<u8"), (ROWS, "<u4"))]
    return Bm25Settings(analyzer=ANALYZER, k1=K1, b=B, terms=sizes[0], postings=sizes[1])


def _texts(folder: Path) -> Iterator[str]:
    """Yield the texts of records.jsonl."""
    with (folder / RECORDS).open("rb") as lines:
        for row, line in enumerate(lines):
            try:
                yield conform(orjson.loads(line), StoredRecord)["text"]
            except ValueError as error:
                raise KIND.reader(folder).failure(RECORDS, f"broken in record {row} ({error})") from None


def write_bm25(
    folder: Path, texts: Iterable[str], total: int, progress: Progress = silent, *, run_terms: int = RUN_TERMS
) -> None:
    """Write the BM25 files of texts; the last one replaces its old version when the others are complete.

    Args:
        folder: of the index.
        texts: in the order of the rows.
        total: number of texts, for the progress.
        progress: called with the number of texts that were read.
        run_terms: terms that are sorted together; the merge holds as many postings, or at most one for each text.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    runs = _complete_runs(folder, total)
    postings_end, lengths_end = sum(runs.sizes) * _POSTING.itemsize, sum(runs.rows) * _LENGTH.itemsize
    with _opened(folder / RUNS, postings_end) as postings, _opened(folder / RUN_LENGTHS, lengths_end) as lengths:
        _write_runs(folder, runs, (postings, lengths), texts, total, progress, run_terms)
        lengths.seek(0)
        with _npy(folder / LENGTHS, _LENGTH.str) as writer:
            for rows in runs.rows:
                writer.append(np.fromfile(lengths, _LENGTH, rows))
        window = max(run_terms // max(1, len(runs.sizes)), max(runs.rows) + 1)
        _write_merged(folder, _merged(postings, runs.sizes, window))
    for name in TEMPORARY:
        (folder / name).unlink(missing_ok=True)


def _complete_runs(folder: Path, total: int) -> _Runs:
    """Return the runs that an unfinished build has written; none if it has not saved any, or they are damaged."""
    try:
        runs = Reader(folder, ModelError, "").json(RUN_STATE, _Runs)
        whole = min((*runs.sizes, *runs.rows), default=0) >= 0 and sum(runs.rows) <= total
        whole &= (folder / RUNS).stat().st_size >= sum(runs.sizes) * _POSTING.itemsize
        whole &= (folder / RUN_LENGTHS).stat().st_size >= sum(runs.rows) * _LENGTH.itemsize
    except (OSError, ModelError):
        return _Runs()
    return runs if whole else _Runs()


def _write_runs(
    folder: Path,
    runs: _Runs,
    files: tuple[IO[bytes], IO[bytes]],
    texts: Iterable[str],
    total: int,
    progress: Progress,
    run_terms: int,
) -> None:
    """Write the postings and the lengths of the runs that are not complete yet."""
    first = row = sum(runs.rows)
    codes, lengths = array("Q"), array("q")

    def write_run() -> None:
        nonlocal codes, lengths
        postings = _sorted_postings(codes, lengths, row - len(lengths))
        for stream, values in zip(files, (postings, np.asarray(lengths, dtype=_LENGTH)), strict=True):
            stream.write(values.tobytes())
            stream.flush()
        for name in (RUNS, RUN_LENGTHS):
            sync(folder / name)
        runs.sizes.append(len(postings))
        runs.rows.append(len(lengths))
        write_json_inside(folder / RUN_STATE, asdict(runs), durable=True)
        codes, lengths = array("Q"), array("q")

    for row, text in enumerate(islice(texts, first, None), first + 1):
        found = terms(text)
        codes.extend(found)
        lengths.append(len(found))
        if row % PROGRESS_EVERY == 0 or row == total:
            progress("BM25", row, total)
        if len(codes) >= run_terms:
            write_run()
    if lengths or not runs.rows:
        write_run()


@contextmanager
def _opened(path: Path, size: int) -> Iterator[IO[bytes]]:
    """Truncate a file to a size, or create it, and open it for writing at its end."""
    open_inside(path, "ab").close()
    with open_inside(path, "r+b") as stream:
        stream.truncate(size)
        stream.seek(size)
        yield stream


def _sorted_postings(codes: "array[int]", lengths: "array[int]", first: int) -> Postings:
    """Return the postings, by term and row, of texts whose rows begin at `first`."""
    terms = np.asarray(codes, dtype=np.uint64)
    rows = np.repeat(np.arange(first, first + len(lengths), dtype=np.uint32), np.asarray(lengths))
    order = np.argsort(terms, kind="stable")
    terms, rows = terms[order], rows[order]
    starts = np.flatnonzero(_differs(terms) | _differs(rows))
    postings = np.empty(len(starts), dtype=_POSTING)
    postings["term"], postings["row"] = terms[starts], rows[starts]
    postings["count"] = np.minimum(np.diff(starts, append=len(terms)), MAX_COUNT)
    return postings


def _differs(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where values [m] differ from the one before; the first does."""
    differs = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=differs[1:])
    return differs


def _merged(runs: IO[bytes], sizes: Sequence[int], window: int) -> Iterator[Postings]:
    """Yield the postings of all runs, by term and row, never a term in two pieces.

    Args:
        runs: one after the other.
        sizes: number of postings of each.
        window: postings that are read of each run, more than a term has in any of them.
    """
    ends = np.cumsum(sizes).tolist()
    positions = [end - size for end, size in zip(ends, sizes, strict=True)]
    while any(position < end for position, end in zip(positions, ends, strict=True)):
        windows = []
        for position, end in zip(positions, ends, strict=True):
            runs.seek(position * _POSTING.itemsize)
            windows.append(np.fromfile(runs, _POSTING, min(window, end - position)))
        cut = [  # the last term of a window may go on behind it
            int(read["term"][-1])
            for read, position, end in zip(windows, positions, ends, strict=True)
            if position + len(read) < end
        ]
        if cut:
            limit = np.uint64(min(cut))
            windows = [read[: np.searchsorted(read["term"], limit)] for read in windows]
        positions = [position + len(read) for position, read in zip(positions, windows, strict=True)]
        joined = np.concatenate(windows)  # rows ascend from run to run, so a stable sort by term keeps them in order
        yield joined[np.argsort(joined["term"], kind="stable")]


def _write_merged(folder: Path, pieces: Iterable[Postings]) -> None:
    with ExitStack() as stack:
        # Left in the opposite order, so that the terms, without which there is no BM25, come last.
        terms_out = stack.enter_context(_npy(folder / TERMS, "<u8"))
        starts_out = stack.enter_context(_npy(folder / STARTS, "<i8"))
        counts_out = stack.enter_context(_npy(folder / COUNTS, "u1"))
        rows_out = stack.enter_context(_npy(folder / ROWS, "<u4"))
        for piece in pieces:
            starts = np.flatnonzero(_differs(piece["term"]))
            terms_out.append(piece["term"][starts])
            starts_out.append(starts + rows_out.length)
            rows_out.append(piece["row"])
            counts_out.append(piece["count"])
        starts_out.append(np.array([rows_out.length]))


@contextmanager
def _npy(path: Path, dtype: str) -> Iterator[NpyWriter]:
    """Open a new .npy file, which replaces the old one when it is complete."""
    with replacing_inside(path) as temporary, temporary.open("wb") as stream:
        writer = NpyWriter(stream, np.dtype(dtype))
        yield writer
        writer.write_header()
