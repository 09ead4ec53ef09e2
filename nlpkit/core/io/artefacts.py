"""Files of artefacts: graphs, indexes, model folders, tokenized corpora, .npy files and their sidecar files.

These files may be damaged or malicious. All are read through a `Reader`, so that any problem of a file is one error
with its name and what to do:

- a file name in a manifest must be a plain name, and a symbolic link out of the folder is not followed;
- only regular files are read, so a FIFO or a device cannot block;
- JSON is limited in size and depth, and must fit a declared shape (`json_shapes`);
- an array must have the expected type and shape; it is memory-mapped, never unpickled;
- if the manifest lists its files (`FileEntry`), all sizes are compared on opening, and the CRC-32 of the files that
  could crash the process and of the smallest others, up to `CHECKED_BYTES`; `verify` compares the SHA-256 of all files.
"""

import json
import mmap
import os
import re
import stat
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.json_shapes import Count, conform
from nlpkit.core.io.npy import read_header
from nlpkit.core.io.output import replacing_inside, sync
from nlpkit.errors import DataError, ModelError, NlpkitError, OutputError

T = TypeVar("T")
MAX_JSON_BYTES = 1 << 26  # the largest common JSON file is the tokenizer.json of a large vocabulary, 34 MB
MAX_JSON_DEPTH = 64
MAX_PROBLEM_LENGTH = 300  # characters
CHECKED_BYTES = 1 << 24  # of files whose checksums are compared on opening, which takes 5 ms
_PIECE = 1 << 20
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """The size of a file in bytes and its checksums, in a manifest; old manifests have no CRC-32."""

    bytes: Count
    sha256: str
    crc32: Count | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """The files of one folder.

    Attributes:
        folder: the folder.
        error_type: class of the errors, DataError, ModelError or OutputError.
        cure: what to do about a damaged file, for messages.
        outside: whether symbolic links may point out of the folder, as in the cache of the Hugging Face hub.
    """

    folder: Path
    error_type: type[DataError] | type[ModelError] | type[OutputError]
    cure: str
    outside: bool = False

    def failure(self, name: str, problem: object, cure: str | None = None) -> NlpkitError:
        """Return the error to raise about a file, or about the folder if the name is empty."""
        note = " ".join(str(problem).split())
        note = note if len(note) <= MAX_PROBLEM_LENGTH else note[:MAX_PROBLEM_LENGTH] + "…"
        return self.error_type(f"{self.folder / name if name else self.folder}: {note}; {cure or self.cure}")

    def open(self, name: str) -> IO[bytes]:
        """Open a regular file of the folder.

        Args:
            name: a plain file name, not a path.

        Raises:
            FileNotFoundError: it does not exist.
            DataError or ModelError: it cannot be read, is not a regular file, or is a link out of the folder.
        """
        path = self.folder / name
        if not _is_name(name):
            raise self.failure("", f"names a file {name[:80]!r}, which is not the name of a file in it")
        try:
            try:
                descriptor = os.open(path, _FLAGS | (0 if self.outside else _NOT_FOLLOWED))
            except OSError:
                if not _is_link(path) or not path.resolve().is_relative_to(self.folder.resolve()):
                    raise
                descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            raise
        except (OSError, RuntimeError) as error:
            leads_out = "is a link that leads out of its folder"
            problem = leads_out if _is_link(path) else f"cannot be read ({_why(error)})"
            raise self.failure(name, problem) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self.failure(name, "is not a regular file")
        return os.fdopen(descriptor, "rb")

    def read(self, name: str, limit: int = MAX_JSON_BYTES) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: it does not exist.
            DataError or ModelError: as for `open`; or it is larger than the limit.
        """
        with self.open(name) as stream:
            try:
                content = stream.read(limit + 1)
            except OSError as error:
                raise self.failure(name, f"cannot be read ({_why(error)})") from None
        if len(content) > limit:
            raise self.failure(name, f"is larger than {limit:,} bytes")
        return content

    def json(self, name: str, hint: type[T], limit: int = MAX_JSON_BYTES) -> T:
        """Return the content of a JSON file in a declared shape; see `json_shapes.conform`.

        Raises:
            FileNotFoundError: it does not exist.
            DataError or ModelError: as for `read`; or it is not valid JSON, nested too deeply, or of another shape.
        """
        try:
            value = json.loads(self.read(name, limit).decode())
            _check_depth(value)
        except RecursionError:
            raise self.failure(name, "is nested too deeply") from None
        except ValueError as error:
            raise self.failure(name, f"broken ({error})") from None
        return self.shaped(name, value, hint)

    def shaped(self, name: str, value: Any, hint: type[T]) -> T:
        """Return a JSON value of a file in a declared shape; raises as `json`."""
        try:
            return conform(value, hint)
        except (ValueError, TypeError) as error:
            raise self.failure(name, f"broken or of another version ({error})") from None

    def array(self, name: str, dtypes: Collection[str], shape: tuple[int | None, ...]) -> NDArray[Any]:
        """Return the array of a .npy file, memory-mapped.

        Args:
            name: of the file.
            dtypes: allowed types, such as `<u4`.
            shape: expected shape; None allows any length.

        Raises:
            DataError or ModelError: it is missing, as for `open`, not a .npy file, or of another type, shape or size.
        """
        with self._present(name) as stream:
            actual, dtype = self._header(name, stream)
            fits = len(actual) == len(shape) and all(
                size in (None, length) for size, length in zip(shape, actual, strict=True)
            )
            if not fits or dtype.str not in dtypes:
                expected = f"{' or '.join(dtypes)} [{', '.join('n' if size is None else str(size) for size in shape)}]"
                raise self.failure(name, f"holds {dtype.str} {list(actual)}, not {expected}")
            count = int(np.prod(actual, dtype=object))
            begin, size = stream.tell(), os.fstat(stream.fileno()).st_size
            if size != begin + count * dtype.itemsize:
                raise self.failure(name, f"has {size:,} bytes, not {begin + count * dtype.itemsize:,}")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        # Not a np.memmap, of which each slice takes a microsecond more.
        array = np.frombuffer(mapped, dtype, count, begin).reshape(actual)
        if not array.flags.aligned:  # as behind a header of an odd length, which numpy does not write
            raise self.failure(name, "has a header of another length than numpy writes")
        return array

    def mapped(self, name: str) -> NDArray[np.uint8]:
        """Return the bytes of a file, memory-mapped; raises as `open`, and DataError or ModelError if it is missing."""
        with self._present(name) as stream:
            if not os.fstat(stream.fileno()).st_size:
                return np.empty(0, dtype=np.uint8)
            return np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)

    def check(
        self, entries: Mapping[str, FileEntry], first: Collection[str] = (), checked_bytes: int = CHECKED_BYTES
    ) -> None:
        """Compare the sizes of all files, and the checksums of the files in `first` and of the smallest others.

        Args:
            entries: of the manifest, by name.
            first: files whose checksums are compared whatever their size.
            checked_bytes: maximum total size of the files whose checksums are compared, those in `first` included.

        Raises:
            DataError or ModelError: a file is missing, as for `open`, or differs from the manifest.
        """
        left = checked_bytes
        for name, entry in sorted(entries.items(), key=lambda item: (item[0] not in first, item[1].bytes)):
            with self._present(name) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size != entry.bytes:
                    raise self.failure(name, f"has {size:,} bytes, not {entry.bytes:,}")
                left -= size
                if name in first or left >= 0:
                    self._compare(name, stream, entry)

    def verify(self, entries: Mapping[str, FileEntry]) -> None:
        """Compare the checksums of all files; raises as `check`."""
        for name, entry in entries.items():
            with self._present(name) as stream:
                if _sha256(stream) != entry.sha256:
                    raise self.failure(name, "is damaged (its checksum differs)")

    def _compare(self, name: str, stream: IO[bytes], entry: FileEntry) -> None:
        fits = _sha256(stream) == entry.sha256 if entry.crc32 is None else _crc32(stream) == entry.crc32
        if not fits:
            raise self.failure(name, "is damaged (its checksum differs)")

    def _present(self, name: str) -> IO[bytes]:
        try:
            return self.open(name)
        except FileNotFoundError:
            raise self.failure(name, "no such file") from None

    def _header(self, name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        try:
            return read_header(stream)
        except ValueError as error:
            raise self.failure(name, error) from None


def file_entry(path: Path) -> FileEntry:
    """Return the size and the checksums of a file, for a manifest."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        return FileEntry(size, _sha256(stream), _crc32(stream))


def file_entries(folder: Path, names: Iterable[str]) -> dict[str, FileEntry]:
    """Return the `files` of a manifest."""
    return {name: file_entry(folder / name) for name in names}


def write_json_inside(path: Path, value: Any, *, durable: bool = False) -> None:
    """Write an indented JSON file of an artefact folder, which replaces the old one when complete.

    Args:
        path: of the file.
        value: its content.
        durable: whether the file must survive a power cut from now on.

    Raises:
        OutputError: it cannot be written, or the disk is full.
    """
    with replacing_inside(path) as temporary:
        temporary.write_text(to_json(value), encoding="utf-8")
        if durable:
            sync(temporary)
    if durable:
        sync(path.parent)


def to_json(value: Any) -> str:
    """Return indented JSON; bytes of file names that are not UTF-8 are escaped so that they can be restored."""
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    return text if text.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _sha256(stream: IO[bytes]) -> str:
    stream.seek(0)
    digest = sha256()
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _crc32(stream: IO[bytes]) -> int:
    stream.seek(0)
    checksum = 0
    while piece := stream.read(_PIECE):
        checksum = zlib.crc32(piece, checksum)
    return checksum


def _check_depth(value: Any) -> None:
    """Raise RecursionError for values nested deeper than `MAX_JSON_DEPTH`."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        inside: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inside += item.values()
            elif isinstance(item, list):
                inside += item
        if not inside:
            return
        level = inside
    raise RecursionError


def _is_name(name: str) -> bool:
    """Return whether a name is a plain one that can be written as bytes, which a lone surrogate cannot."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return name not in ("", ".", "..") and "\0" not in name and Path(name).name == name


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:  # the name is too long
        return False


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
