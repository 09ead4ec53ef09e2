"""A tokenized corpus on disk: tokenized once, then read through a memory map.

tokens.bin       the training lines in order, a [SEP] after each: little-endian uint16, the id in the low 15 bits,
                 the top bit set on the first token of a word (jieba without HMM)
held_out.bin     the held-out lines, in the same format
manifest.json    counts and checksums (`CorpusManifest`); written last, so a folder without it is unfinished

我们用PyTorch   我* 们 用* py* ##torch [SEP]*      (* starts a word)
"""

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
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.artefacts import FileEntry, Reader, file_entries
from nlpkit.core.io.folders import FolderKind, check_folder, making_folder
from nlpkit.core.io.input import STDIN, describe_source
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.io.output import open_inside, reported
from nlpkit.core.io.progress import Progress, silent
from nlpkit.core.io.records import ErrorPolicy, Line, hinted, read_lines
from nlpkit.core.text.segmentation import cut_words
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import DataError, ModelError, NlpkitError, OutputError, UsageError
from nlpkit.version import __version__

TOKENS, HELD_OUT, MANIFEST = "tokens.bin", "held_out.bin", "manifest.json"
FORMAT = 2
TOKEN_DTYPE = np.dtype("<u2")
WORD_START, ID_BITS = 0x8000, 0x7FFF
CHUNK_LINES = 1000  # lines that a worker tokenizes at a time
MAX_PENDING = 4  # chunks per worker that are read before the first of them is written

Tokens = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class CorpusManifest:
    """The content of manifest.json.

    Attributes:
        vocabulary: SHA-256 of vocab.txt.
        tokenizer: `kind`, `lowercase` and `normalize`; see `CharTokenizer`.
        sources: `name` and `size` of the files, in order.
        characters: number of characters of all lines, as read.
        lines: number of training lines; this and the following counts leave out lines without a token.
        tokens: number of training tokens, with a [SEP] for each line.
        held_out_lines: number of held-out lines.
        held_out_tokens: number of held-out tokens.
        rare: number of tokens, training and held-out, for characters outside the vocabulary.
        files: size and checksums of both files.
        version: of nlpkit.
        format: version of the folder's format.
    """

    vocabulary: str
    tokenizer: dict[str, Any]
    sources: list[dict[str, Any]]
    characters: Count
    lines: Count
    tokens: Count
    held_out_lines: Count
    held_out_tokens: Count
    rare: Count
    files: dict[str, FileEntry] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT


KIND = FolderKind(
    "a tokenized corpus", MANIFEST, CorpusManifest, {"vocabulary": None, "tokens": None}, (TOKENS,),
    DataError, "delete the folder to build it again", (FORMAT, FORMAT),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Corpus:
    """An open corpus; the tokens stay on disk.

    Attributes:
        folder: of the corpus.
        manifest: its content.
        tokens: [n] ids of the training tokens, with `WORD_START` set on the first token of each word.
        held_out: [n] ids of the held-out tokens, in the same format.
    """

    folder: Path
    manifest: CorpusManifest
    tokens: Tokens
    held_out: Tokens


def build_corpus(
    paths: Sequence[str],
    tokenizer: CharTokenizer,
    folder: Path,
    *,
    held_out: int = 2000,
    processes: int | None = None,
    chunk_lines: int = CHUNK_LINES,
    encoding: str = "utf-8",
    on_error: ErrorPolicy | None = None,
    progress: Progress = silent,
) -> Corpus:
    """Tokenize text files into a folder, or open the folder if it already holds this corpus.

    Args:
        paths: text files, compressed or not. They are read twice: to count lines (and to find bad ones early), then to
            tokenize them.
        tokenizer: of the corpus.
        folder: created if it does not exist.
        held_out: approximate number of held-out lines; at least one line and at most a tenth of them. The choice
            depends only on the text (CRC32), so that a repeated line is never on both sides.
        processes: maximum number of worker processes; None for one per core, 1 to tokenize in this process, as is done
            with a single chunk.
        chunk_lines: lines that a worker tokenizes at a time.
        encoding: of the files.
        on_error: what to do with a line that cannot be read.
        progress: called with the number of lines done.

    Raises:
        DataError: a file cannot be read, there is too little text, or the folder holds the corpus of other files.
        ModelError: the folder holds a corpus of another vocabulary, or the vocabulary has 32,768 tokens or more.
        OutputError: the disk is too small, or the folder cannot be written.
    """
    if tokenizer.vocab_size > ID_BITS:
        raise ModelError(f"the vocabulary has {tokenizer.vocab_size:,} tokens; {ID_BITS:,} is the maximum")
    sources = [_source(path) for path in paths]
    check_folder(folder, KIND)
    if (folder / MANIFEST).exists():
        corpus = open_corpus(folder, tokenizer)
        if corpus.manifest.sources != sources:
            names = ", ".join(source["name"] for source in corpus.manifest.sources)
            cure = "delete it or name another folder"
            raise DataError(f"holds the corpus of other files ({names}); {cure}", str(folder))
        return corpus
    on_error = on_error or ErrorPolicy()
    survey = _survey(hinted(read_lines(paths, encoding, on_error), on_error, None), held_out)
    if survey.lines < 2:
        raise DataError("too little text to train on; give at least two lines", ", ".join(paths) or None)
    again = ErrorPolicy("skip", max_line=on_error.max_line)  # bad lines were reported by the survey
    lines = read_lines(paths, encoding, again)
    with reported(folder), making_folder(folder):
        _check_space(folder, survey)
        workers = min(processes or os.cpu_count() or 1, -(-survey.lines // chunk_lines))
        chunks = _chunks(lines, survey, chunk_lines)
        counts = _write(folder, chunks, tokenizer, workers, lambda done: progress("tokenizing", done, survey.lines))
        counts |= {"sources": sources, "characters": survey.characters}
        counts |= {"files": file_entries(folder, (TOKENS, HELD_OUT))}
        KIND.write(folder, CorpusManifest(vocabulary=_hash(tokenizer), tokenizer=tokenizer.settings, **counts))
    return open_corpus(folder, tokenizer)


def open_corpus(folder: Path, tokenizer: CharTokenizer) -> Corpus:
    """Open a corpus that `build_corpus` wrote.

    Raises:
        DataError: there is no finished corpus, or it is broken.
        ModelError: the corpus has another vocabulary.
    """
    try:
        manifest = KIND.read(folder)
    except FileNotFoundError:
        raise DataError("holds no finished tokenized corpus; build it first", str(folder)) from None
    if (manifest.vocabulary, manifest.tokenizer) != (_hash(tokenizer), tokenizer.settings):
        raise ModelError(f"{folder}: was made with another vocabulary; delete it or name another folder")
    files = KIND.reader(folder)
    files.check(manifest.files)
    tokens = _mapped(files, TOKENS, manifest.tokens)
    return Corpus(folder, manifest, tokens, _mapped(files, HELD_OUT, manifest.held_out_tokens))


def tokenize(texts: Sequence[str], tokenizer: CharTokenizer) -> Tokens:
    """Return the tokens [n] of some lines, as in tokens.bin; a line without tokens has no [SEP] either."""
    ids: list[int] = []
    starts: list[int] = []  # of the tokens, in characters of the joined lines
    lengths: list[int] = []  # of the words, in characters
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
    tokens = np.array(ids, dtype=TOKEN_DTYPE)
    word_of = np.repeat(np.arange(len(lengths)), lengths)  # of each character
    word_starts = np.diff(word_of[np.array(starts, dtype=np.intp)], prepend=-1) > 0
    word_starts &= ~_is_continuation(tokenizer)[tokens]  # jieba finds words inside of ASCII words
    tokens[word_starts] |= WORD_START
    return tokens


@dataclass(frozen=True, slots=True)
class _Survey:
    """The result of a first pass: number of lines that are not blank, of their characters, and the held-out rule."""

    lines: int
    characters: int
    max_checksum: int  # of a held-out line

    def is_held_out(self, text: str) -> bool:
        return _checksum(text) <= self.max_checksum


def _survey(lines: Iterable[Line], held_out: int) -> _Survey:
    number = characters = 0
    smallest = 2**32  # checksum of a line that is always held out
    for line in lines:
        if line.text and not line.text.isspace():
            number += 1
            characters += len(line.text)
            smallest = min(smallest, _checksum(line.text))
    fraction = min(0.1, held_out / max(1, number))
    return _Survey(number, characters, max(smallest, int(fraction * 2**32)))


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode())


def _check_space(folder: Path, survey: _Survey) -> None:
    """Check that the disk has room for the corpus: at most a token per character and a [SEP] per line."""
    needed = TOKEN_DTYPE.itemsize * (survey.characters + survey.lines)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{folder}: the corpus needs {_megabytes(needed)}, {_megabytes(free)} are free; free some space"
        )


Chunk = tuple[list[str], list[str]]  # training lines, held-out lines


def _write(
    folder: Path,
    chunks: Iterable[Chunk],
    tokenizer: CharTokenizer,
    workers: int,
    report: Callable[[int], None],
) -> dict[str, Any]:
    """Write both files of tokens and return the counts of the manifest."""
    done = rare = 0
    counts = dict.fromkeys(("lines", "tokens", "held_out_lines", "held_out_tokens"), 0)
    with (
        closing(_tokenize_all(chunks, tokenizer, workers)) as tokenized,
        open_inside(folder / TOKENS, "wb") as training_file,
        open_inside(folder / HELD_OUT, "wb") as held_out_file,
    ):
        for number, sides in tokenized:
            for tokens, file, prefix in zip(sides, (training_file, held_out_file), ("", "held_out_"), strict=True):
                file.write(tokens.data)
                ids = tokens & ID_BITS
                counts[prefix + "tokens"] += len(ids)
                counts[prefix + "lines"] += int(np.count_nonzero(ids == tokenizer.sep_id))
                rare += int(np.isin(ids, tokenizer.rare_ids).sum())
            done += number
            report(done)
    if not (counts["tokens"] and counts["held_out_tokens"]):
        raise DataError("too little text to train on; give lines that differ and have visible characters")
    return counts | {"rare": rare}


def _chunks(lines: Iterable[Line], survey: _Survey, chunk_lines: int) -> Iterator[Chunk]:
    texts = (line.text for line in lines if line.text and not line.text.isspace())
    while chunk := list(islice(texts, chunk_lines)):
        held_out = [survey.is_held_out(text) for text in chunk]
        yield (
            [text for text, out in zip(chunk, held_out, strict=True) if not out],
            [text for text, out in zip(chunk, held_out, strict=True) if out],
        )


def _tokenize_all(
    chunks: Iterable[Chunk], tokenizer: CharTokenizer, processes: int
) -> Generator[tuple[int, tuple[Tokens, Tokens]], None, None]:
    """Yield the number of lines, and the training and held-out tokens, of each chunk in order."""
    if processes == 1:
        _set_tokenizer(tokenizer)
        yield from map(_tokenize_chunk, chunks)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pending: deque[Future[tuple[int, tuple[Tokens, Tokens]]]] = deque()
    pool = ProcessPoolExecutor(processes, context, _start_worker, (tokenizer,))
    try:
        for chunk in chunks:
            pending.append(pool.submit(_tokenize_chunk, chunk))
            if len(pending) > MAX_PENDING * processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise NlpkitError("a worker process was killed, perhaps for lack of memory; use fewer processes") from None
    finally:
        pool.shutdown(cancel_futures=True)


_tokenizer: list[CharTokenizer] = []  # of this worker; it caches words from chunk to chunk


def _set_tokenizer(tokenizer: CharTokenizer) -> None:
    _tokenizer[:] = [tokenizer]


def _start_worker(tokenizer: CharTokenizer) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and stops its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _set_tokenizer(tokenizer)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _tokenize_chunk(chunk: Chunk) -> tuple[int, tuple[Tokens, Tokens]]:
    training, held_out = chunk
    return len(training) + len(held_out), (tokenize(training, _tokenizer[0]), tokenize(held_out, _tokenizer[0]))


@cache
def _is_continuation(tokenizer: CharTokenizer) -> NDArray[np.bool_]:
    """Return a flag for each token id [v]: True if the token continues an ASCII word."""
    return np.array([len(token) > 2 and token.startswith("##") for token in tokenizer.tokens])


def _source(path: str) -> dict[str, Any]:
    if path == STDIN:
        raise UsageError("a corpus is read twice, so it cannot come from stdin; name files")
    return describe_source(path)


def _hash(tokenizer: CharTokenizer) -> str:
    return hashlib.sha256("".join(token + "\n" for token in tokenizer.tokens).encode()).hexdigest()


def _mapped(files: Reader, name: str, length: int) -> Tokens:
    data = files.mapped(name)
    if len(data) != length * TOKEN_DTYPE.itemsize:
        raise files.failure(name, f"has {len(data) / TOKEN_DTYPE.itemsize:,.12g} tokens, not {length:,}")
    return data.view(TOKEN_DTYPE)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
