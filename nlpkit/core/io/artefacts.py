"""Reading artefacts: graphs, indexes, model folders, tokenised corpora, .npy files with what is beside them.

Such a file may have been damaged on its way, or made to do harm. All are read through a `Reader`, so that whatever is
wrong with a file is one error that names it and says what to do:

- a name that a manifest gives is a plain name, and a link that leads out of the folder is not followed;
- a FIFO or a device is not waited for; only regular files are read;
- JSON has a limit of size and of depth, and fits a declared shape (`shapes`);
- an array has the type and the shape that is expected, and is mapped, never unpickled;
- where the manifest lists its files (`FileEntry`), their sizes are compared on opening, and the CRC-32 of those that
  could crash the process and of the smallest others, up to `CHECKED` bytes; `verify` compares the SHA-256 of all.
"""

import json
import mmap
import os
import stat
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nlpkit.core.io.json_shapes import Count, conform
from nlpkit.errors import DataError, ModelError, NlpkitError

T = TypeVar("T")
LARGEST_JSON = 1 << 26  # bytes; the longest that is common is the tokenizer.json of a large vocabulary, 34 MB
DEEPEST_JSON = 64
LONGEST_NOTE = 300  # characters of a problem in a message
CHECKED = 1 << 24  # bytes of files whose checksums are compared on opening: 5 ms
_PIECE = 1 << 20
_NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a manifest says of a file: its size in bytes, and its checksums; old manifests have no CRC-32."""

    bytes: Count
    sha256: str
    crc32: Count | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """The files of one folder.

    Attributes:
        folder: where they are.
        kind: of the errors: DataError or ModelError.
        cure: what to do about a damaged file, for the messages.
        outside: whether links may lead out of the folder, as those in the cache of the hub do.
    """

    folder: Path
    kind: type[DataError] | type[ModelError]
    cure: str
    outside: bool = False

    def failure(self, name: str, problem: object) -> NlpkitError:
        """Return the error to raise about a file (about the folder where the name is empty)."""
        note = " ".join(str(problem).split())
        note = note if len(note) <= LONGEST_NOTE else note[:LONGEST_NOTE] + "…"
        return self.kind(f"{self.folder / name if name else self.folder}: {note}; {self.cure}")

    def open(self, name: str) -> IO[bytes]:
        """Open a regular file of the folder.

        Args:
            name: as a manifest or we say; a path is refused.

        Raises:
            FileNotFoundError: it is not there.
            DataError or ModelError: it cannot be read, is no regular file, or is a link that leads out of the folder.
        """
        path = self.folder / name
        if name in ("", ".", "..") or "\0" in name or Path(name).name != name:
            raise self.failure("", f"names a file {name[:80]!r}, which is not the name of a file in it")
        try:
            try:
                descriptor = os.open(path, _FLAGS | (0 if self.outside else _NOT_FOLLOWED))
            except OSError:
                if not path.is_symlink() or not path.resolve().is_relative_to(self.folder.resolve()):
                    raise
                descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            raise
        except (OSError, RuntimeError) as error:
            leads_out = "is a link that leads out of its folder"
            problem = leads_out if path.is_symlink() else f"cannot be read ({_why(error)})"
            raise self.failure(name, problem) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self.failure(name, "is not a regular file")
        return os.fdopen(descriptor, "rb")

    def read(self, name: str, limit: int = LARGEST_JSON) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: it is not there.
            DataError or ModelError: as for `open`; or it is larger than the limit.
        """
        with self.open(name) as stream:
            try:
                found = stream.read(limit + 1)
            except OSError as error:
                raise self.failure(name, f"cannot be read ({_why(error)})") from None
        if len(found) > limit:
            raise self.failure(name, f"is larger than {limit:,} bytes")
        return found

    def json(self, name: str, hint: type[T], limit: int = LARGEST_JSON) -> T:
        """Return what a JSON file holds, in a declared shape; see `shapes.conform`.

        Raises:
            FileNotFoundError: it is not there.
            DataError or ModelError: as for `read`; or it is not valid JSON, nested too deeply, or of another shape.
        """
        return self.shaped(name, self.parsed(name, self.read(name, limit)), hint)

    def parsed(self, name: str, text: bytes | str) -> Any:
        """Return the value of a JSON text that a file holds; raises as `json`."""
        try:
            value = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
            _check_depth(value)
        except RecursionError:
            raise self.failure(name, "is nested too deeply") from None
        except ValueError as error:
            raise self.failure(name, f"broken ({error})") from None
        return value

    def shaped(self, name: str, value: Any, hint: type[T]) -> T:
        """Return a JSON value of a file in a declared shape; raises as `json`."""
        try:
            return conform(value, hint)
        except (ValueError, TypeError) as error:
            raise self.failure(name, f"broken or of another version ({error})") from None

    def array(self, name: str, dtypes: Collection[str], shape: tuple[int | None, ...]) -> NDArray[Any]:
        """Return the array of a .npy file, mapped.

        Args:
            name: of the file.
            dtypes: allowed ones, as in `<u4`.
            shape: None is any length.

        Raises:
            DataError or ModelError: it is missing, as for `open`, no .npy, or of another type, shape or size.
        """
        with self._present(name) as stream:
            found, dtype = self._header(name, stream)
            fits = len(found) == len(shape) and all(
                want in (None, have) for want, have in zip(shape, found, strict=True)
            )
            if not fits or dtype.str not in dtypes:
                wanted = f"{' or '.join(dtypes)} [{', '.join('n' if size is None else str(size) for size in shape)}]"
                raise self.failure(name, f"holds {dtype.str} {list(found)}, not {wanted}")
            count = int(np.prod(found, dtype=object))
            begin, size = stream.tell(), os.fstat(stream.fileno()).st_size
            if size != begin + count * dtype.itemsize:
                raise self.failure(name, f"has {size:,} bytes, not {begin + count * dtype.itemsize:,}")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        # A plain array, not a memmap, each slice of which costs a microsecond more.
        return np.frombuffer(mapped, dtype, count, begin).reshape(found)

    def mapped(self, name: str) -> NDArray[np.uint8]:
        """Return the bytes of a file, mapped; raises as `open`, also where it is missing."""
        with self._present(name) as stream:
            if not os.fstat(stream.fileno()).st_size:
                return np.empty(0, dtype=np.uint8)
            return np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)

    def check(self, entries: Mapping[str, FileEntry], first: Collection[str] = ()) -> None:
        """Compare all sizes, and the checksums of some files: those of `first` and the smallest others.

        Raises:
            DataError or ModelError: a file is missing, as for `open`, or not as the manifest says.
        """
        left = CHECKED
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
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(stream)
        except Exception as error:  # numpy has no common class for a broken header: it parses Python
            raise self.failure(name, f"not a .npy file ({error})") from None
        if fortran and len(shape) > 1:
            raise self.failure(name, "is stored by columns")
        return shape, dtype


def described(path: Path) -> FileEntry:
    """Return what a manifest should say of a file."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        return FileEntry(size, _sha256(stream), _crc32(stream))


def _sha256(stream: IO[bytes]) -> str:
    stream.seek(0)
    digest = sha256()
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def _crc32(stream: IO[bytes]) -> int:
    stream.seek(0)
    found = 0
    while piece := stream.read(_PIECE):
        found = zlib.crc32(piece, found)
    return found


def _check_depth(value: Any) -> None:
    """Raise RecursionError for values that later steps could not walk through."""
    level = [value]
    for _ in range(DEEPEST_JSON):
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


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
