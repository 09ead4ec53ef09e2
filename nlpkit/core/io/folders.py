"""Kinds of artefact folders with their manifests; checks of output folders, and removal of incomplete ones."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nlpkit.core.io.artefacts import Reader, write_json_inside
from nlpkit.core.io.output import NAME_LENGTH, reported, umask
from nlpkit.core.io.printable import encodable
from nlpkit.errors import DataError, ModelError, NlpkitError, OutputError, UsageError
from nlpkit.version import __version__

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

M = TypeVar("M", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class FolderKind(Generic[M]):
    """A kind of artefact folder. Its manifest, a JSON file, is written last, so a folder without it is unfinished.

    Attributes:
        name: with its article, for messages.
        manifest: name of the manifest.
        content: the dataclass of the manifest, with the fields `version` (of nlpkit) and `format`.
        marks: fields that a manifest of this kind has in every format, with their values; None allows any value.
        unfinished: paths in an incomplete folder, at least one of which exists.
        error_type: class of the errors of reading, DataError or ModelError.
        cure: what to do about a damaged folder, for messages.
        formats: the oldest and the newest format that this version reads.
        outside: whether symbolic links may point out of the folder; see `Reader`.
    """

    name: str
    manifest: str
    content: type[M]
    marks: dict[str, Any]
    unfinished: tuple[str, ...]
    error_type: type[DataError] | type[ModelError]
    cure: str
    formats: tuple[int, int] = (1, 1)
    outside: bool = False

    def reader(self, folder: Path) -> Reader:
        """Return a reader of the files of a folder of this kind."""
        return Reader(folder, self.error_type, self.cure, self.outside)

    def read(self, folder: Path) -> M:
        """Return the manifest of a folder.

        Raises:
            FileNotFoundError: there is none.
            DataError or ModelError: it is damaged, of another kind, or of a version that this one does not read.
        """
        reader = self.reader(folder)
        value = reader.json(self.manifest, dict)
        if not self._is_marked(value):
            raise reader.failure(self.manifest, f"is not that of {self.name}")
        format, version = value.get("format"), str(value.get("version", "?"))[:20]
        oldest, newest = self.formats
        if type(format) is int and format > newest:
            problem = f"made by nlpkit {version}, newer than this one ({__version__})"
            raise reader.failure("", problem, "upgrade nlpkit")
        if type(format) is int and format < oldest:
            raise reader.failure("", f"made by nlpkit {version}, which this one ({__version__}) no longer reads")
        return reader.shaped(self.manifest, value, self.content)

    def write(self, folder: Path, manifest: M) -> None:
        """Write the manifest of a folder, all other files of which are complete.

        Raises:
            OutputError: it cannot be written, or the disk is full.
        """
        write_json_inside(folder / self.manifest, asdict(manifest))

    def is_complete(self, folder: Path) -> bool:
        """Return whether the folder has a manifest of this kind, in any format."""
        try:
            return self._is_marked(self.reader(folder).json(self.manifest, dict))
        except (FileNotFoundError, NlpkitError):
            return False

    def _is_marked(self, value: dict[str, Any]) -> bool:
        return all(name in value and mark in (None, value[name]) for name, mark in self.marks.items())


def check_name(path: str | Path) -> None:
    """Check that the name of a folder, or of a file of tensors, is one that safetensors and marisa-trie can open.

    Raises:
        UsageError: it is not UTF-8.
    """
    if (shown := encodable(str(path))) != str(path):
        raise UsageError(f"{shown}: the name is not valid UTF-8; rename it")


def check_folder(folder: Path, kind: FolderKind[Any] | None = None) -> None:
    """Check that an output folder is new, empty, or an artefact of this kind, which may be replaced.

    Raises:
        UsageError: the path, or a part of it, is a file.
        OutputError: the folder has other content, or cannot be read.
    """
    check_name(folder)
    shown = encodable(str(folder))
    with reported(folder):
        existing = next(part for part in (folder, *folder.parents) if part.exists() or part.is_symlink())
        existing.stat()  # fails for a dangling link, or a loop
        if not existing.is_dir():
            part = "" if existing == folder else f"{encodable(str(existing))} "
            raise UsageError(f"{shown}: {part}is a file; name a folder")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no permission to write in {encodable(str(existing))}")
        entries = list(folder.iterdir()) if existing == folder else []
        names = sorted(path.name for path in entries if not _is_empty_folder(path))
        if not names:
            return
        if kind is not None and kind.manifest in names:
            if not kind.is_complete(folder):
                raise OutputError(f"{shown}: its {kind.manifest} is not that of {kind.name}; name a new folder")
        elif kind is None or not any((folder / path).exists() for path in kind.unfinished):
            raise OutputError(f"{shown}: has other things in it, such as {encodable(names[0])}; name a new folder")


@contextmanager
def making_folder(folder: Path, keep: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Create a folder that was checked by `check_folder`; after an error remove it, or its content if it was empty.

    Args:
        folder: created with its parents.
        keep: returns, after an error, whether to keep the incomplete folder for a later run.

    Raises:
        OutputError: it cannot be created.
    """
    with reported(folder):
        created = [part for part in (folder, *folder.parents) if not part.exists()]
        was_empty = bool(created) or next(folder.iterdir(), None) is None
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if was_empty and not keep():
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
            _remove_empty(created)
        raise


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and next(path.iterdir(), None) is None


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `path` at the end and removed after an error.

    Missing parents are created, and removed after an error.

    Raises:
        UsageError: the path is a file.
        OutputError: the folder exists and is not empty, or cannot be created.
    """
    check_folder(path)
    with reported(path):
        target = path.resolve()
        created = [part for part in target.parents if not part.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary = Path(tempfile.mkdtemp(prefix=f".{target.name[:NAME_LENGTH]}.", dir=target.parent))
            try:
                yield temporary
                temporary.chmod(0o777 & ~umask())
                temporary.replace(target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except BaseException:
            _remove_empty(created)
            raise


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, unless something is in them."""
    for folder in folders:
        with suppress(OSError):  # another process has written into it
            folder.rmdir()
