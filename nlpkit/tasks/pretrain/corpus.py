"""A corpus as units on disk: tokenised once, then read through a memory map.

    tokens.bin       the lines in order, each closed by [SEP]: little-endian uint16, the id in the low 15 bits,
                     the top bit set on the first unit of a word (jieba without HMM)
    held_back.bin    likewise, the lines kept out of training
    manifest.json    what is in them (`CorpusManifest`); written last, so a folder without it is unfinished

    我们用PyTorch   我* 们 用* py* ##torch [SEP]*      (* begins a word)

Two busy cores tokenise 7,400 lines (320,000 characters) a second: 362 MB in 6.5 minutes, nearly all of it jieba's.
"""

import errno
import hashlib
import multiprocessing
import os
import shutil
import signal
import threading
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit import __version__
from nlpkit.core.io.artefacts import FileEntry, Reader, described
from nlpkit.core.io.folders import FolderKind, check_folder
from nlpkit.core.io.input import STDIN, describe_source
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.io.output import open_inside
from nlpkit.core.io.records import Line, OnError, hinted, read_lines
from nlpkit.core.model.manifest import write_json
from nlpkit.core.text.segmentation import cut_words
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import DataError, ModelError, NlpkitError, OutputError, UsageError

TOKENS, HELD_BACK, MANIFEST = "tokens.bin", "held_back.bin", "manifest.json"
KIND = FolderKind("a tokenised corpus", MANIFEST, {"vocabulary": None, "tokens": None}, (TOKENS,))
FORMAT = 1
UNIT = np.dtype("<u2")
WORD_START, ID_BITS = 0x8000, 0x7FFF
CHUNK = 1000  # lines that go to a worker together
AHEAD = 4  # chunks per worker that are read before the first of them is written

Units = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class CorpusManifest:
    """What manifest.json holds.

    Attributes:
        vocabulary: SHA-256 of its vocab.txt.
        tokenizer: `kind`, `lowercase` and `normalize`; see `CharTokenizer`.
        sources: `name` and `size` of the files, in order.
        characters: of all lines, as read.
        lines: of training; like the following counts, only lines that have a unit.
        tokens: units of training, each line's [SEP] included.
        held_back_lines: kept out of training.
        held_back_tokens: likewise.
        rare: units of either that are characters outside the vocabulary.
        files: size and checksums of both.
        version: of the nlpkit that wrote it.
        format: of the folder.
    """

    vocabulary: str
    tokenizer: dict[str, Any]
    sources: list[dict[str, Any]]
    characters: Count
    lines: Count
    tokens: Count
    held_back_lines: Count
    held_back_tokens: Count
    rare: Count
    files: dict[str, FileEntry] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Corpus:
    """An open corpus; the units stay on disk.

    Attributes:
        folder: where it is.
        manifest: what it is.
        tokens: units [n] of training.
        held_back: units [n] kept out of training.
    """

    folder: Path
    manifest: CorpusManifest
    tokens: Units
    held_back: Units


def build_corpus(
    paths: Sequence[str],
    tokenizer: CharTokenizer,
    folder: Path,
    *,
    held_back: int = 2000,
    processes: int | None = None,
    encoding: str = "utf-8",
    on_error: OnError | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Corpus:
    """Tokenises text files into a folder; one that already holds just this corpus is opened at once.

    Args:
        paths: text files, compressed or not; read twice: to count (and find bad lines early), then to tokenise.
        tokenizer: whose ids are kept.
        folder: made if it is not there.
        held_back: about how many lines are kept out of training, at most a tenth and at least one. Which ones hangs on
            their text alone, so a line that stands in the corpus twice is never on both sides.
        processes: workers; None for one a core, 1 for none beside this process.
        encoding: of the files.
        on_error: what to do with a line that cannot be read.
        progress: told the lines done and their total.

    Raises:
        DataError: a file cannot be read, there is too little text, or the folder holds the corpus of other files.
        ModelError: the folder holds a corpus of another vocabulary, or the vocabulary has 32,768 tokens or more.
        OutputError: too little disk, or the folder cannot be written.
    """
    if tokenizer.vocab_size > ID_BITS:
        raise ModelError(f"the vocabulary has {tokenizer.vocab_size:,} tokens; {ID_BITS:,} is the most")
    sources = [_source(path) for path in paths]
    check_folder(folder, KIND)
    if (folder / MANIFEST).exists():
        corpus = open_corpus(folder, tokenizer)
        if corpus.manifest.sources != sources:
            names = ", ".join(source["name"] for source in corpus.manifest.sources)
            cure = "delete it or name another folder"
            raise DataError(f"holds the corpus of other files ({names}); {cure}", str(folder))
        return corpus
    on_error = on_error or OnError()
    survey = _survey(hinted(read_lines(paths, encoding, on_error), on_error, None), held_back)
    if survey.lines < 2:
        raise DataError("too little text to train on; two lines are the least", ", ".join(paths) or None)
    _make_room(folder, survey)
    again = OnError("skip", max_line=on_error.max_line)  # bad lines were dealt with in the survey
    lines = read_lines(paths, encoding, again)
    try:
        counts = _write(folder, lines, tokenizer, survey, processes or os.cpu_count() or 1, progress)
        counts |= {"sources": sources, "characters": survey.characters}
        manifest = CorpusManifest(vocabulary=_hash(tokenizer), tokenizer=tokenizer.settings, **counts)
        manifest = replace(manifest, files={name: described(folder / name) for name in (TOKENS, HELD_BACK)})
        write_json(folder / MANIFEST, asdict(manifest))
    except BaseException as error:
        for name in (TOKENS, HELD_BACK):
            (folder / name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            cure = "; free some space" if error.errno == errno.ENOSPC else ""
            raise OutputError(f"{folder}: cannot be written ({error.strerror or error}){cure}") from error
        raise
    return open_corpus(folder, tokenizer)


def open_corpus(folder: Path, tokenizer: CharTokenizer) -> Corpus:
    """A corpus that `build_corpus` finished.

    Raises:
        DataError: there is none, or it is broken.
        ModelError: it was made with another vocabulary.
    """
    path, files = folder / MANIFEST, Reader(folder, DataError, "delete the folder to build it again")
    try:
        manifest = files.json(MANIFEST, CorpusManifest)
    except FileNotFoundError:
        raise DataError("holds no finished tokenised corpus; build it first", str(folder)) from None
    if manifest.format != FORMAT:
        raise DataError(f"of nlpkit {manifest.version}; delete the folder to build it again", str(path))
    if (manifest.vocabulary, manifest.tokenizer) != (_hash(tokenizer), tokenizer.settings):
        raise ModelError(f"{folder}: was made with another vocabulary; delete it or name another folder")
    files.check(manifest.files)
    tokens = _mapped(files, TOKENS, manifest.tokens)
    return Corpus(folder, manifest, tokens, _mapped(files, HELD_BACK, manifest.held_back_tokens))


def cut(texts: Sequence[str], tokenizer: CharTokenizer) -> Units:
    """The units [n] of some lines, as they stand in tokens.bin; a line without a unit leaves nothing."""
    ids: list[int] = []
    starts: list[int] = []  # of the units in all the lines together
    lengths: list[int] = []  # of the words, likewise
    base = 0
    for text in texts:
        encoding = tokenizer.encode(text)
        if not len(encoding):
            continue
        ids += encoding.ids
        starts += [base + start for start in encoding.starts]
        lengths += map(len, cut_words(text))
        base += len(text)
        ids.append(tokenizer.sep_id)
        starts.append(base)
        lengths.append(1)
        base += 1
    units = np.array(ids, dtype=UNIT)
    word_of = np.repeat(np.arange(len(lengths)), lengths)  # of each character
    begins = np.diff(word_of[np.array(starts, dtype=np.intp)], prepend=-1) > 0
    begins &= ~_continuing(tokenizer)[units]  # jieba knows words inside of ASCII words
    units[begins] |= WORD_START
    return units


@dataclass(frozen=True, slots=True)
class _Survey:
    """What a first reading finds: lines that are not blank, their characters, and the checksum to hold back up to."""

    lines: int
    characters: int
    held_back_up_to: int

    def holds_back(self, text: str) -> bool:
        return _checksum(text) <= self.held_back_up_to


def _survey(lines: Iterable[Line], held_back: int) -> _Survey:
    number = characters = 0
    smallest = 2**32  # its line is held back in any case
    for line in lines:
        if line.text and not line.text.isspace():
            number += 1
            characters += len(line.text)
            smallest = min(smallest, _checksum(line.text))
    share = min(0.1, held_back / max(1, number))
    return _Survey(number, characters, max(smallest, int(share * 2**32)))


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode())


def _make_room(folder: Path, survey: _Survey) -> None:
    """Makes the folder, if the disk has room for the corpus: at most a unit a character and a [SEP] a line."""
    needed = UNIT.itemsize * (survey.characters + survey.lines)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{folder}: the corpus needs {_megabytes(needed)}, {_megabytes(free)} are free; free some space"
        )


def _write(
    folder: Path,
    lines: Iterable[Line],
    tokenizer: CharTokenizer,
    survey: _Survey,
    processes: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Writes both files of units; gives the counts of the manifest."""
    done = rare = 0
    counts = dict.fromkeys(("lines", "tokens", "held_back_lines", "held_back_tokens"), 0)
    with (
        closing(_cut_all(_chunks(lines, survey), tokenizer, processes)) as cutting,
        open_inside(folder / TOKENS, "wb") as tokens,
        open_inside(folder / HELD_BACK, "wb") as held_back,
    ):
        for number, parts in cutting:
            for units, file, prefix in zip(parts, (tokens, held_back), ("", "held_back_"), strict=True):
                file.write(units.data)
                ids = units & ID_BITS
                counts[prefix + "tokens"] += len(ids)
                counts[prefix + "lines"] += int(np.count_nonzero(ids == tokenizer.sep_id))
                rare += int(np.isin(ids, tokenizer.rare_ids).sum())
            done += number
            progress(done, survey.lines)
    if not (counts["tokens"] and counts["held_back_tokens"]):
        raise DataError("too little text to train on; the lines are all alike, or have no characters")
    return counts | {"rare": rare}


Chunk = tuple[list[str], list[str]]  # training lines, lines held back


def _chunks(lines: Iterable[Line], survey: _Survey) -> Iterator[Chunk]:
    texts = (line.text for line in lines if line.text and not line.text.isspace())
    while chunk := list(islice(texts, CHUNK)):
        held_back = [survey.holds_back(text) for text in chunk]
        yield (
            [text for text, held in zip(chunk, held_back, strict=True) if not held],
            [text for text, held in zip(chunk, held_back, strict=True) if held],
        )


def _cut_all(
    chunks: Iterable[Chunk], tokenizer: CharTokenizer, processes: int
) -> Generator[tuple[int, tuple[Units, Units]], None, None]:
    """The number of lines and the units of each chunk, in order."""
    if processes == 1:
        _hold(tokenizer)
        yield from map(_cut_chunk, chunks)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    waiting: deque[Future[tuple[int, tuple[Units, Units]]]] = deque()
    pool = ProcessPoolExecutor(processes, context, _start_worker, (tokenizer,))
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_cut_chunk, chunk))
            if len(waiting) > AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise NlpkitError("a worker process was killed, perhaps for its memory; use fewer") from None
    finally:
        pool.shutdown(cancel_futures=True)


_held: list[CharTokenizer] = []  # a worker's own: it keeps what it has looked up from chunk to chunk


def _hold(tokenizer: CharTokenizer) -> None:
    _held[:] = [tokenizer]


def _start_worker(tokenizer: CharTokenizer) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _hold(tokenizer)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _cut_chunk(chunk: Chunk) -> tuple[int, tuple[Units, Units]]:
    training, held_back = chunk
    return len(training) + len(held_back), (cut(training, _held[0]), cut(held_back, _held[0]))


@cache
def _continuing(tokenizer: CharTokenizer) -> NDArray[np.bool_]:
    """Which ids [v] go on an ASCII word."""
    return np.array([len(token) > 2 and token.startswith("##") for token in tokenizer.tokens])


def _source(path: str) -> dict[str, Any]:
    if path == STDIN:
        raise UsageError("a corpus is read twice, so it cannot come from stdin; name files")
    return describe_source(path)


def _hash(tokenizer: CharTokenizer) -> str:
    return hashlib.sha256("".join(token + "\n" for token in tokenizer.tokens).encode()).hexdigest()


def _mapped(files: Reader, name: str, length: int) -> Units:
    found = files.mapped(name)
    if len(found) != length * UNIT.itemsize:
        raise files.failure(name, f"has {len(found) / UNIT.itemsize:,.12g} units, not {length:,}")
    return found.view(UNIT)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
