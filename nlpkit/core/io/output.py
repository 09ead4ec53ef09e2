"""Output files: one rule for all of them; see `folders` for folders.

An output path is one of three things:

    standard output   None, `-`, or any name of it (/dev/stdout, the file f of `> f`): written at its offset
    a special file    a FIFO, a device, another open descriptor (/dev/fd/3): written directly
    a file            written to a temporary file, which is renamed when complete

A replaced file keeps its mode and, if permitted, its owner; a symbolic link is followed.
"""

import bz2
import errno
import gzip
import lzma
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeAlias, cast

from nlpkit.core.io.printable import encodable
from nlpkit.errors import OutputError

STDOUT = "-"
COMPRESSED_SUFFIXES = (".gz", ".xz", ".bz2", ".zst")
_OTHER_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz", ".txz", ".lz", ".lz4", ".lzma", ".lzo", ".z", ".br")
NAME_LENGTH = 40  # characters of a name in that of its temporary file: at most 160 of the 255 bytes of a file name
_NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def open_output(path: str | Path | None) -> Iterator[IO[bytes]]:
    """Open an output for sequential writing; a file gets its name when it is complete.

    The output is compressed if the name ends in .gz, .xz, .bz2 or .zst, in upper or lower case.

    Raises:
        OutputError: it cannot be written, or the disk is full; no file is left behind.
    """
    with reported(path):
        special = _special(path)
        with (
            special or _replacing(Path(path or "")) as target,
            target.open("wb") if isinstance(target, Path) else nullcontext(target) as raw,
            _compressed(raw, path) as stream,
        ):
            yield stream
            stream.flush()


@contextmanager
def replacing(path: str | Path | None) -> Iterator[Path]:
    """Yield the path of a new file, which replaces `path` at the end, for formats that need a file.

    For standard output and special files the new file is in the folder for temporary files (TMPDIR), and is copied.

    Raises:
        OutputError: it cannot be written, or the disk is full; no file is left behind.
    """
    with reported(path):
        special = _special(path)
        if special is None:
            with _replacing(Path(path or "")) as temporary:
                yield temporary
            return
        with special as stream, tempfile.TemporaryDirectory(prefix="nlpkit-") as folder:
            collected = Path(folder) / "output"
            yield collected
            with collected.open("rb") as source:
                shutil.copyfileobj(source, stream)
            stream.flush()


@contextmanager
def replacing_inside(path: Path) -> Iterator[Path]:
    """Yield as `replacing` a new file for an artefact folder, but replace a symbolic link instead of following it.

    The folder may come from an untrusted source, and its links may point to any file.

    Raises:
        OutputError: it cannot be written, or the disk is full; no file is left behind.
    """
    with reported(path), _replacing(path, follow=False) as temporary:
        yield temporary


def open_inside(path: Path, mode: str) -> IO[bytes]:
    """Open a file of an artefact folder for writing, in a binary mode of `open`; create it if necessary.

    Raises:
        OutputError: it is a symbolic link, which may point to any file, or not a regular file.
    """

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CREAT | _NOT_FOLLOWED, 0o666)

    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OutputError(f"{path}: is a link or no regular file; remove it, or name another folder")
    return open(path, mode, opener=opened)


def make_inside(folder: Path) -> None:
    """Create a folder inside an artefact folder if it does not exist.

    Raises:
        OutputError: it is a symbolic link, which may point to any folder, or a file; or it cannot be created.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder}: is a link or a file; remove it, or name another folder")
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)


def is_file_output(path: str | Path | None) -> bool:
    """Return whether an output path is a regular file, so that a sidecar file may describe it."""
    with reported(path):
        if path is None or str(path) == STDOUT or str(path).endswith("/") or _descriptor(Path(path)) is not None:
            return False
        return Path(path).is_file() or not Path(path).exists()


def is_stdout(path: str | Path | None) -> bool:
    """Return whether an output path is standard output, under any of its names."""
    with reported(path):
        return path is None or str(path) == STDOUT or _descriptor(Path(path)) == 1


def content_suffix(path: str | Path) -> str:
    """Return the suffix of the format, without that of compression, in lower case: `.jsonl` for DATA.JSONL.gz."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def reported(path: str | Path | None) -> Iterator[None]:
    """Replace an OSError by an OutputError with the name of the output, except a closed pipe, which is not reported."""
    name = "<stdout>" if path is None or str(path) == STDOUT else encodable(str(path))
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        cure = "; free some space" if error.errno == errno.ENOSPC else ""
        raise OutputError(f"{name}: cannot be written ({error.strerror or error}){cure}") from error


def _special(path: str | Path | None) -> AbstractContextManager[BinaryIO] | None:
    """Return the open stream of an output that is not replaced; None for a regular or a new file.

    Raises:
        OutputError: the path is a folder.
    """
    if path is None or str(path) == STDOUT:
        return nullcontext(_stdout())
    if str(path) == "" or str(path).endswith("/") or Path(path).is_dir():
        raise OutputError(f"{encodable(str(path)) or repr('')}: is a directory; name a file")
    descriptor = _descriptor(Path(path))
    if descriptor == 1:
        return nullcontext(_stdout())
    if descriptor is not None:
        return os.fdopen(os.dup(descriptor), "wb")
    if not Path(path).exists() or Path(path).is_file():
        return None
    return os.fdopen(os.open(path, os.O_WRONLY), "wb")  # without O_CREAT and O_TRUNC


def _stdout() -> BinaryIO:
    sys.stdout.flush()  # text that was printed before comes first
    return cast(BinaryIO, getattr(sys.stdout, "buffer", sys.stdout))


def _descriptor(path: Path) -> int | None:
    """Return the inherited descriptor, open for writing, of the same file: 1, 2, or that of `3> f`; else None.

    A file that the shell has opened must not be replaced or truncated, as other processes may write to it.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    folder = Path("/dev/fd")
    numbers = sorted(int(entry.name) for entry in folder.iterdir()) if folder.is_dir() else []
    for number in (1, 2, *numbers):
        with suppress(OSError):  # closed in the meantime
            inherited = number <= 2 or os.get_inheritable(number)
            if inherited and os.path.samestat(status, os.fstat(number)) and _is_writable(number):
                return number
    return None


def _is_writable(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return descriptor in (1, 2)
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


@dataclass(frozen=True, slots=True)
class Target:
    """A regular file that a new one replaces when it is complete.

    Attributes:
        name: as the user named it.
        path: of the file; that of its target if it is a symbolic link that is followed.
        old: status of the file that is replaced; None if there is none.
    """

    name: str
    path: Path
    old: os.stat_result | None

    @classmethod
    def of(cls, path: Path, *, follow: bool = True) -> "Target":
        """Return the target for a path.

        Args:
            path: a regular file, or a new one.
            follow: whether to replace the target of a symbolic link instead of the link.

        Raises:
            OutputError: links are not followed, and `path` is not a regular file.
            OSError: it cannot be written.
        """
        try:
            old = path.stat()
        except FileNotFoundError:
            old = None
        target = path.resolve()
        if not follow:
            target = path
            if path.is_symlink():
                old = None
            elif old is not None and not stat.S_ISREG(old.st_mode):
                raise OutputError(f"{encodable(str(path))}: is no regular file; remove it, or name another folder")
        if old is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
        return cls(encodable(str(path)), target, old)

    def temporary(self) -> Path:
        """Return a new, empty file in the same folder.

        Raises:
            OutputError: the folder does not exist.
        """
        try:
            prefix = f".{encodable(self.path.name)[:NAME_LENGTH]}."
            handle, name = tempfile.mkstemp(prefix=prefix, dir=self.path.parent)
        except FileNotFoundError:
            raise OutputError(f"{self.name}: cannot be written (there is no folder {self.path.parent})") from None
        os.close(handle)
        return Path(name)

    def install(self, complete: Path) -> None:
        """Give a complete file the name, the mode and the owner of the target."""
        _take_over(complete, self.old)
        complete.replace(self.path)


@contextmanager
def _replacing(path: Path, *, follow: bool = True) -> Iterator[Path]:
    """Yield a new file, which replaces `path` at the end and is removed after an error; see `Target`."""
    target = Target.of(path, follow=follow)
    temporary = target.temporary()
    try:
        yield temporary
        target.install(temporary)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk, so that they survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # a file system that has no such thing for folders
            raise
    finally:
        os.close(descriptor)


def _take_over(temporary: Path, old: os.stat_result | None) -> None:
    """Copy the mode and owner of the replaced file to the new one."""
    if old is None:
        temporary.chmod(0o666 & ~umask())
        return
    mode = stat.S_IMODE(old.st_mode)
    new = temporary.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(temporary, old.st_uid, old.st_gid)
        except OSError:
            try:
                os.chown(temporary, -1, old.st_gid)
            except OSError:  # the group of this process must not get the rights of another group
                mode = mode & ~0o070 | (mode & 0o007) << 3
            mode &= 0o777
    temporary.chmod(mode)


def umask() -> int:
    """Return the umask of the process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


Compressor: TypeAlias = Callable[[bytes], bytes]


def compressor(path: str | Path | None) -> Compressor | None:
    """Return the function that compresses a frame according to the name of the output; None for no compression.

    Frames can be written one after another.

    Raises:
        OutputError: a format that cannot be written, or zstandard is not installed.
    """
    suffix = Path(path or "").suffix.lower()
    if suffix == ".gz":
        return lambda data: gzip.compress(data, 6, mtime=0)
    if suffix == ".xz":
        return lzma.compress
    if suffix == ".bz2":
        return bz2.compress
    if suffix == ".zst":
        _import_zstandard(path)
        return lambda data: cast(bytes, _import_zstandard(path).ZstdCompressor(write_checksum=True).compress(data))
    if suffix in _OTHER_ARCHIVES:
        raise OutputError(f"{path}: {suffix} is not written; name it {', '.join(COMPRESSED_SUFFIXES)} or without")
    return None


def _compressed(raw: IO[bytes], path: str | Path | None) -> AbstractContextManager[IO[bytes]]:
    """Return a stream that compresses according to the name; raises as `compressor`."""
    suffix = Path(path or "").suffix.lower()
    if compressor(path) is None:
        return nullcontext(raw)
    if suffix == ".gz":
        return cast(AbstractContextManager[IO[bytes]], gzip.GzipFile("", "wb", 6, raw))
    if suffix == ".xz":
        return cast(AbstractContextManager[IO[bytes]], lzma.LZMAFile(raw, "wb"))
    if suffix == ".bz2":
        return cast(AbstractContextManager[IO[bytes]], bz2.BZ2File(raw, "wb"))
    stream = _import_zstandard(path).ZstdCompressor(write_checksum=True).stream_writer(raw, closefd=False)
    return cast(AbstractContextManager[IO[bytes]], stream)


def _import_zstandard(path: str | Path | None) -> Any:
    try:
        import zstandard
    except ImportError:
        raise OutputError(f"{path}: Zstandard needs an extra; install it with: pip install 'nlpkit[zstd]'") from None
    return zstandard
