"""Opening of inputs: decompression, detection of UTF-16 and UTF-32, and refusal of files that are not text.

Memory does not depend on the size of the input: lines are read up to a limit, and archives are decompressed in pieces.
"""

import bz2
import codecs
import gzip
import io
import lzma
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from nlpkit.core.io.printable import encodable
from nlpkit.errors import DataError, NlpkitError, UsageError

STDIN = "-"
COMPRESSIONS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_PIECE = 1 << 16  # bytes transcoded or decompressed at a time
_ZSTD_PIECE = 1 << 8  # its decompressor has no limit of output: 256 bytes may become 8 megabytes
_XZ_MEMORY = 1 << 29  # bytes; `xz -9` needs 65 MiB
_BOMS = (  # UTF-32 first, as its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document; extract its text: pdftotext FILE - | nlpkit …"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (.xls, .doc); save it as text or CSV in UTF-8"),
    (b"{\\rtf", "a Rich Text document (.rtf); save it as plain text in UTF-8"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it: 7z x -so FILE | nlpkit …"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it: unrar p -inul FILE | nlpkit …"),
    (b"PAR1", "a Parquet file; name it with the suffix .parquet, or pass --input-format parquet"),
    (b"ARROW1", "an Arrow file; convert it to JSON Lines"),
    (b"SQLite format 3\x00", "an SQLite database; export it: sqlite3 -json FILE 'select …' | jq -c '.[]'"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file; export its text"),
    (b"\x93NUMPY", "a NumPy array of vectors; give the text that they were made from"),
    (b"\x7fELF", "a program; give a text file"),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG); give a text file"),
    (b"\xff\xd8\xff", "a picture (JPEG); give a text file"),
    (b"GIF8", "a picture (GIF); give a text file"),
)
_OFFICE = {
    ("xl/", ".xlsx"): "an Excel workbook (.xlsx); save it as CSV or tab-separated text in UTF-8",
    ("word/", ".docx"): "a Word document (.docx); save it as plain text in UTF-8",
    ("ppt/", ".pptx"): "a PowerPoint presentation (.pptx); save its text in UTF-8",
}


@contextmanager
def open_input(path: str) -> Iterator[IO[bytes]]:
    """Open a file, or stdin for `-`, decompressed and with UTF-16 converted to UTF-8, for formats without lines.

    Raises:
        DataError: the file is missing, a directory, or not text.
    """
    with open_text(path, "utf-8") as (stream, _):
        yield stream


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file, cut at line ends; a part that is not the whole file is uncompressed and not UTF-16 or UTF-32.

    Attributes:
        path: the file.
        start: offset of its first byte.
        end: offset behind its last byte; None is the end of the file.
        line: number of its first line.
    """

    path: str
    start: int = 0
    end: int | None = None
    line: int = 1


@contextmanager
def open_text(path: str | Part, encoding: str) -> Iterator[tuple[IO[bytes], str]]:
    """Open a file, or stdin for `-`, or a part of a file, decompressed and without its byte order mark.

    UTF-16 and UTF-32, from the encoding or the byte order mark, are converted to UTF-8.

    Returns:
        The stream, in which a line feed is one byte, and its encoding.

    Raises:
        DataError: the file is missing, a directory, or not text.
        UsageError: an unknown encoding.
    """
    name = _checked(encoding)
    part = path if isinstance(path, Part) else Part(path)
    path, source = part.path, source_name(part.path)
    with _opened(path, source) as raw:
        if part.start or part.end is not None:
            end = os.fstat(raw.fileno()).st_size if part.end is None else part.end
            yield _buffered(_Range(raw, part.start, end)), encoding
            return
        stream = _decompressed(raw, source)
        try:
            head = stream.peek(512)
        except Exception as error:  # the compressions have no common class of errors
            raise DataError(f"cannot be read further ({error})", source, 1) from None
        _refuse_binary(head, path, source)
        wide = next((wide for mark, wide in _BOMS if head.startswith(mark)), None)
        if name.startswith(("utf-16", "utf-32")):
            yield _buffered(_Transcoded(stream, wide or name)), "utf-8"
        elif name == "utf-8" and wide:
            yield _buffered(_Transcoded(stream, wide)), "utf-8"
        else:
            if (guess := _wide(head)) is not None:
                raise DataError(f"is {guess} without a byte order mark; pass --encoding {guess}", source)
            if head.startswith(codecs.BOM_UTF8):
                stream.read(len(codecs.BOM_UTF8))
            yield cast(IO[bytes], stream), encoding


def describe_source(path: str) -> dict[str, Any]:
    """Return the name and the size of an input, by which a later run identifies it; the size of stdin is None.

    Raises:
        DataError: the file is missing or cannot be opened.
    """
    if path == STDIN:
        return {"name": STDIN, "size": None}
    try:
        return {"name": encodable(Path(path).name), "size": Path(path).stat().st_size}
    except FileNotFoundError:
        raise DataError("no such file", source_name(path)) from None
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror})", source_name(path)) from None


def check_sources(paths: Iterable[str]) -> None:
    """Raise DataError if an input is missing or cannot be examined: before a model is loaded, which takes longer."""
    for path in paths:
        describe_source(path)


def source_name(path: str) -> str:
    """Return the name of an input in messages and records: its path, or `<stdin>`."""
    return "<stdin>" if path == STDIN else encodable(path)


def bounded_lines(stream: IO[bytes], source: str, limit: int) -> Iterator[bytes]:
    r"""Yield the lines of a stream; a line of more than `limit` bytes is cut, without a line end.

    Raises:
        DataError: a broken archive or disk.
    """
    number = 0
    try:
        while line := stream.readline(limit + 1):
            number += 1
            yield line
            if len(line) > limit and not line.endswith(b"\n"):
                while (rest := stream.readline(_PIECE)) and not rest.endswith(b"\n"):
                    pass
    except NlpkitError:
        raise
    except Exception as error:  # the compressions have no common class of errors
        raise DataError(f"cannot be read further ({error})", source, number + 1) from error


def text_size(path: str) -> int | None:
    """Return the decompressed size of a file in bytes, from its header, for progress bars; None if unknown."""
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(18)
            if head.startswith(b"\x1f\x8b"):
                stream.seek(-4, os.SEEK_END)
                return int.from_bytes(stream.read(4), "little")  # of the last member, modulo 4 GiB
        if not head.startswith(tuple(magic for magic, _ in COMPRESSIONS)):
            return Path(path).stat().st_size
        import zstandard

        size = zstandard.frame_content_size(head)
    except Exception:  # a pipe, no permission, an unknown header, no zstandard: a progress bar without an end
        return None
    return size if size > 0 else None


@contextmanager
def _opened(path: str, source: str) -> Iterator[io.BufferedReader]:
    if path == STDIN:
        yield _stdin(source)
        return
    if not path:
        raise DataError("an empty file name; leave it out, or name a file", "''")
    try:
        stream = Path(path).open("rb")
    except FileNotFoundError:
        raise DataError("no such file", source) from None
    except IsADirectoryError:
        raise DataError("is a directory; name its files, e.g. with *.txt", source) from None
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror})", source) from None
    with stream:
        yield stream


def _stdin(source: str) -> io.BufferedReader:
    """Return a new reader of stdin: a thread may hold the lock of `sys.stdin`, which the interpreter needs to exit."""
    if sys.stdin is None:
        raise DataError("is closed; name a file, or pipe the text in", source)
    try:
        return os.fdopen(sys.stdin.fileno(), "rb", closefd=False)
    except OSError:  # stdin is not a file, as in tests
        return io.BufferedReader(cast(io.RawIOBase, io.BytesIO(sys.stdin.buffer.read())))


Stream: TypeAlias = io.BufferedReader | gzip.GzipFile | bz2.BZ2File


def _decompressed(stream: io.BufferedReader, source: str) -> Stream:
    try:
        head = stream.peek(6)[:6]
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", source) from None
    kind = next((name for magic, name in COMPRESSIONS if head.startswith(magic)), None)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bzip2":
        return bz2.BZ2File(stream)
    if kind == "xz":
        return _buffered(_Frames(stream, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)))
    if kind == "zstd":
        try:
            import zstandard
        except ImportError:
            raise DataError("is Zstandard-compressed; install it with: pip install 'nlpkit[zstd]'", source) from None
        return _buffered(_Frames(stream, lambda: _Zstandard(zstandard.ZstdDecompressor().decompressobj())))
    return stream


def _buffered(raw: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(raw, _PIECE)


class _Range(io.RawIOBase):
    """The bytes of a file between two offsets."""

    def __init__(self, stream: io.BufferedReader, start: int, end: int):
        self._stream, self._left = stream, end - start
        stream.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(memoryview(buffer)[: self._left])
        self._left -= count
        return count


class _Zstandard:
    """A Zstandard decompressor with the interface of bz2's and lzma's, whose input is split into small pieces."""

    def __init__(self, frame: Any):
        self._frame = frame
        self._input = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._input += data
        output: bytes = self._frame.decompress(self._input[:_ZSTD_PIECE])
        self._input = self._frame.unused_data + self._input[_ZSTD_PIECE:]
        return output

    @property
    def eof(self) -> bool:
        return bool(self._frame.eof)

    @property
    def needs_input(self) -> bool:
        return not self._input

    @property
    def unused_data(self) -> bytes:
        return self._input


class _Frames(io.RawIOBase):
    """A stream of decompressed frames, one after another; an incomplete frame is an error."""

    def __init__(self, stream: io.BufferedReader, start: Callable[[], Any]):
        self._stream, self._start = stream, start
        self._frame: Any = None
        self._input = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if self._frame is None and not self._begin():
                return 0
            if self._frame.needs_input and not self._input:
                self._input = self._stream.read1(_PIECE)
                if not self._input:
                    raise EOFError("the compressed file ends in the middle")
            self._ready, self._input = memoryview(self._frame.decompress(self._input, _PIECE)), b""
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _begin(self) -> bool:
        """Begin the next frame, and return whether there is one; xz may have zeros as padding between frames."""
        while not (data := self._input.lstrip(b"\0")):
            self._input = self._stream.read1(_PIECE)
            if not self._input:
                return False
        self._input, self._frame = data, self._start()
        return True


class _Transcoded(io.RawIOBase):
    """A stream of UTF-16 or UTF-32 as UTF-8 without byte order mark; a lone surrogate stays an error of its line."""

    def __init__(self, stream: Stream, encoding: str):
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._ready = b""
        self._started = self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            piece = self._stream.read1(_PIECE)
            self._ended = not piece
            text = self._decoder.decode(piece, self._ended)
            if text and not self._started:
                self._started, text = True, text.removeprefix("\ufeff")
            self._ready = text.encode("utf-8", "surrogatepass")
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _refuse_binary(head: bytes, path: str, source: str) -> None:
    """Raise DataError with the kind of the file, and what to do, for files of known binary formats."""
    kind = next((description for magic, description in _BINARY if head.startswith(magic)), None)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        kind = _zip_kind(head, path)
    elif head[257:262] == b"ustar":
        kind = "a tar archive; unpack it: tar -xOf FILE | nlpkit …"
    if kind:
        raise DataError(f"is {kind}", source)


def _wide(head: bytes) -> str | None:
    """Return the encoding of UTF-16 that begins with two or more ASCII characters, else None."""
    even, odd = head[:16:2], head[1:16:2]
    if len(odd) < 2 or len(even) != len(odd):
        return None
    if all(even) and not any(odd):
        return "utf-16-le"
    return "utf-16-be" if all(odd) and not any(even) else None


def _zip_kind(head: bytes, path: str) -> str:
    """Return the kind of a zip archive by its list of files, or by its first names if it cannot be read twice."""
    names = head.decode("latin-1")
    try:
        if path != STDIN and Path(path).is_file():
            with zipfile.ZipFile(path) as archive:
                names = "\n".join(archive.namelist()[:1000])
    except (OSError, ValueError, zipfile.BadZipFile):
        pass  # use the names at its beginning
    for (folder, suffix), description in _OFFICE.items():
        if folder in names or path.lower().endswith(suffix):
            return description
    return "a zip archive; unpack it: unzip -p FILE | nlpkit …"


def _checked(encoding: str) -> str:
    """Return the normalized name of an encoding."""
    try:
        name = codecs.lookup(encoding).name
        b"a".decode("utf-8" if name.startswith(("utf-16", "utf-32")) else encoding)  # fails for codecs of bytes
    except (LookupError, ValueError):
        raise UsageError(f"unknown encoding {encodable(encoding)!r}; try utf-8 or gb18030") from None
    return "utf-8" if name == "utf-8-sig" else name
