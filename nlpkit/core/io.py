"""Files in, records out: lines and JSON Lines of any size, compressed or not, with errors that say file and line.

A plain text line is a record too: one line in, one record out, blank lines included.
"""

import bz2
import codecs
import gzip
import io
import json
import lzma
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, cast

import orjson

from nlpkit.core.files import replacing, write_error
from nlpkit.errors import DataError, NlpkitError, OutputError, UsageError

STDIN = STDOUT = "-"
JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
COMPRESSIONS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_MANY_DIGITS = re.compile("[0-9]{19}")  # where a number may need more than 64 bits


@dataclass(slots=True)
class OnError:
    """What to do with a bad record: `fail` raises at once, `skip` reports, counts, and goes on."""

    policy: Literal["fail", "skip"] = "fail"
    report: Callable[[DataError], None] = field(default=lambda error: None)
    count: int = 0

    def __call__(self, error: DataError) -> None:
        """Raises the error or counts it."""
        if self.policy == "fail":
            raise error
        self.count += 1
        self.report(error)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, without its line end, and where it stands; `size` is that of its bytes, for progress."""

    text: str
    source: str
    number: int
    size: int = 0

    def error(self, message: str) -> DataError:
        """A DataError that names this place."""
        return DataError(message, self.source, self.number)


@dataclass(frozen=True, slots=True)
class Record:
    """A text to work on, the fields that pass through with it, and where it stands."""

    text: str
    fields: dict[str, Any]
    line: Line


def read_lines(paths: Sequence[str], encoding: str = "utf-8", on_error: OnError | None = None) -> Iterator[Line]:
    """Lines of the files in turn; `-` is stdin. Compression is recognised by content, a UTF-8 BOM is dropped.

    Raises:
        DataError: a file is missing, a directory, or broken; a line is not in this encoding (unless `on_error` skips).
        UsageError: an unknown encoding, or one whose line ends are not single bytes.
    """
    on_error = on_error or OnError()
    _check_encoding(encoding)
    for path in paths:
        source = "<stdin>" if path == STDIN else path
        with _opened(path, source) as stream:
            for number, raw in enumerate(_guarded(stream, source), 1):
                if number == 1:
                    raw = raw.removeprefix(codecs.BOM_UTF8)
                try:
                    text = raw.removesuffix(b"\n").removesuffix(b"\r").decode(encoding)
                except UnicodeDecodeError as error:
                    on_error(DataError(_undecodable(error, encoding), source, number))
                    continue
                yield Line(text, source, number, len(raw))


def read_json(
    paths: Sequence[str], encoding: str = "utf-8", on_error: OnError | None = None
) -> Iterator[tuple[Line, dict[str, Any]]]:
    """The objects of JSON Lines files, each with its line; blank lines are passed over.

    A whole number of more than 64 bits, which would become a float, is an `orjson.Fragment`, and written as it was.
    """
    on_error = on_error or OnError()
    for line in read_lines(paths, encoding, on_error):
        if not line.text.strip():
            continue
        try:
            value = orjson.loads(line.text)
            if _MANY_DIGITS.search(line.text):
                value = json.loads(line.text, parse_int=_whole_number)
        except (orjson.JSONDecodeError, RecursionError) as error:
            on_error(line.error(f"not valid JSON ({error}); each line must be one JSON object"))
            continue
        if not isinstance(value, dict):
            on_error(line.error(f"a JSON object is expected, this is {type(value).__name__}"))
            continue
        yield line, value


def read_records(
    paths: Sequence[str],
    text_field: str | None = None,
    encoding: str = "utf-8",
    on_error: OnError | None = None,
    usual_field: str = "text",
) -> Iterator[Record]:
    """Records of plain text or JSON Lines files.

    Args:
        paths: files, or `-` for stdin.
        text_field: the field that holds the text; given, every file is JSON Lines. When None, files whose names end in
            .jsonl, .json or .ndjson (before .gz and the like) are, with the usual field; all others are plain text.
        encoding: of the files.
        on_error: what to do with a bad line.
        usual_field: the one that holds the text where none is named, and that a plain line becomes.
    """
    on_error = on_error or OnError()
    for path in paths:
        if text_field is None and not is_json_name(path):
            for line in read_lines([path], encoding, on_error):
                yield Record(line.text, {usual_field: line.text}, line)
            continue
        name = text_field or usual_field
        for line, fields in read_json([path], encoding, on_error):
            text = fields.get(name)
            if isinstance(text, str):
                yield Record(text, fields, line)
            else:
                on_error(line.error(_no_field(name, fields)))


def is_json_name(path: str) -> bool:
    """Whether a file name says JSON Lines, also under a compression suffix."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in (".gz", ".xz", ".bz2", ".zst"):
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in JSON_SUFFIXES


def dump_line(value: dict[str, Any]) -> bytes:
    """One JSON line; Chinese stays Chinese.

    Raises:
        OutputError: the value is nested too deep.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:  # fields nested hundreds deep can be read, but not written
        raise OutputError(f"a record cannot be written as JSON ({error})") from None


@contextmanager
def open_input(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, or of stdin for `-`, decompressed: for formats that are not read line by line.

    Raises:
        DataError: the file is missing or a directory.
    """
    with _opened(path, "<stdin>" if path == STDIN else path) as stream:
        yield stream


def text_size(path: str) -> int | None:
    """The bytes of a file once decompressed, for progress: as its archive's header has it; None where nothing says."""
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
    except Exception:  # a pipe, no permission, another kind of archive, no zstandard: the bar has no end then
        return None
    return size if size > 0 else None


@contextmanager
def open_output(path: str | Path | None) -> Iterator[IO[bytes]]:
    """Stdout, also for `-`, or a file that appears under its name only when all is written (`.gz` is compressed).

    Raises:
        OutputError: the folder does not exist, is not writable, or the disk is full; nothing is left behind.
    """
    if path is None or path == STDOUT:
        stdout = cast(BinaryIO, getattr(sys.stdout, "buffer", sys.stdout))
        try:
            yield stdout
            stdout.flush()
        except OSError as error:
            raise write_error(error, "<stdout>") from error
        return
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a directory; name a file")
    is_special = path.exists() and not path.is_file()  # a pipe or a device: nothing to replace
    try:
        with (
            nullcontext(path) if is_special else replacing(path) as target,
            target.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw) if path.suffix == ".gz" else nullcontext(raw) as stream,
        ):
            yield cast(IO[bytes], stream)
    except OSError as error:
        raise write_error(error, str(path)) from error


def write_json(path: str | Path | None, values: Iterable[dict[str, Any]]) -> None:
    """Writes JSON Lines to a file or stdout."""
    with open_output(path) as stream:
        for value in values:
            stream.write(dump_line(value))


@contextmanager
def _opened(path: str, source: str) -> Iterator[IO[bytes]]:
    if path == STDIN:
        yield _decompressed(_stdin(source), source)
        return
    try:
        stream = Path(path).open("rb")
    except FileNotFoundError:
        raise DataError("no such file", source) from None
    except IsADirectoryError:
        raise DataError("is a directory; name its files, e.g. with *.txt", source) from None
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror})", source) from None
    with stream:
        yield _decompressed(stream, source)


def _stdin(source: str) -> BinaryIO:
    """Stdin through a reader of our own: at exit the interpreter wants the lock of its own, which a thread may hold."""
    if sys.stdin is None:
        raise DataError("is closed; name a file, or pipe the text in", source)
    try:
        return os.fdopen(sys.stdin.fileno(), "rb", closefd=False)
    except OSError:  # in place of a file, as in tests
        return cast(BinaryIO, sys.stdin.buffer)


def _decompressed(stream: IO[bytes], source: str) -> IO[bytes]:
    head = stream.peek(6)[:6] if hasattr(stream, "peek") else b""
    kind = next((name for magic, name in COMPRESSIONS if head.startswith(magic)), None)
    if kind == "gzip":
        return cast(IO[bytes], gzip.open(stream))
    if kind == "xz":
        return cast(IO[bytes], lzma.open(stream))
    if kind == "bzip2":
        return cast(IO[bytes], bz2.open(stream))
    if kind == "zstd":
        try:
            import zstandard
        except ImportError:
            raise DataError("is Zstandard-compressed; install it with: pip install 'nlpkit[zstd]'", source) from None
        return io.BufferedReader(_Frames(stream, zstandard.ZstdDecompressor().decompressobj))
    return stream


class _Frames(io.RawIOBase):
    """Decompressed Zstandard frames; one that breaks off is an error, where the library's own reader just ends."""

    def __init__(self, stream: IO[bytes], start: Callable[[], Any]):
        self._stream, self._start = stream, start
        self._frame: Any = None
        self._packed = self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._stream.read(1 << 16)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the compressed file ends in the middle")
                return 0
            self._frame = self._frame or self._start()
            self._ready = self._frame.decompress(self._packed)
            self._packed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _guarded(stream: IO[bytes], source: str) -> Iterator[bytes]:
    """The lines of a stream, with a broken archive or disk turned into a DataError."""
    number = 0
    try:
        for number, line in enumerate(stream, 1):  # noqa: B007
            yield line
    except NlpkitError:
        raise
    except Exception as error:  # each kind of archive has its own
        raise DataError(f"cannot be read further ({error})", source, number + 1) from error


def _whole_number(digits: str) -> Any:
    if len(digits) <= 20 and -(1 << 63) <= int(digits) < 1 << 64:
        return int(digits)
    return orjson.Fragment(digits)


def _check_encoding(encoding: str) -> None:
    try:
        if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
            raise UsageError(f"{encoding} is not read line by line; convert first: iconv -f {encoding} -t utf-8 FILE")
        b"a".decode(encoding)  # fails for a codec from bytes to bytes
    except LookupError:
        raise UsageError(f"unknown encoding {encoding!r}; try utf-8 or gb18030") from None


def _undecodable(error: UnicodeDecodeError, encoding: str) -> str:
    cure = (
        "for a GBK file add --encoding gb18030" if codecs.lookup(encoding).name == "utf-8" else "try another --encoding"
    )
    return f"not valid {encoding} at byte {error.start + 1} of the line (0x{error.object[error.start]:02x}); {cure}"


def _no_field(name: str, fields: dict[str, Any]) -> str:
    if name in fields:
        return f"field {name!r} is not a string"
    return f"no field {name!r} here (there are: {', '.join(fields) or 'none'}); name the text field with --field"
