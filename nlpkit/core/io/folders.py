"""Folders to write to: one function decides about them all, and nothing is left of one that failed."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlpkit.core.io.output import NAME_LENGTH, reported, umask
from nlpkit.core.io.printable import encodable
from nlpkit.errors import OutputError, UsageError

_MANIFEST_SIZE = 64 << 20  # bytes; more is not read


@dataclass(frozen=True, slots=True)
class FolderKind:
    """What a folder of ours is known by.

    Attributes:
        name: with its article, for messages.
        manifest: the JSON file that a finished one has.
        fields: fields of that file; with `fields`' values, where they are not None.
        unfinished: paths in the folder, any of which an unfinished one has.
    """

    name: str
    manifest: str
    fields: dict[str, Any]
    unfinished: tuple[str, ...] = ()


def check_name(path: str | Path) -> None:
    """Refuse the name of a folder, or of a file of tensors, that safetensors and marisa-trie cannot open.

    Raises:
        UsageError: it is not UTF-8.
    """
    if (shown := encodable(str(path))) != str(path):
        raise UsageError(f"{shown}: the name is not valid UTF-8; rename it")


def check_folder(folder: Path, kind: FolderKind | None = None) -> None:
    """Refuse a folder for output unless it is new, empty, or holds something of this kind, which may be replaced.

    Raises:
        UsageError: the path, or a part of it, is a file.
        OutputError: the folder holds anything else, or cannot be read.
    """
    check_name(folder)
    shown = encodable(str(folder))
    with reported(folder):
        existing = next(part for part in (folder, *folder.parents) if part.exists() or part.is_symlink())
        existing.stat()  # a link to nowhere, or to itself
        if not existing.is_dir():
            which = "" if existing == folder else f"{encodable(str(existing))} "
            raise UsageError(f"{shown}: {which}is a file; name a folder")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no permission to write in {encodable(str(existing))}")
        entries = list(folder.iterdir()) if existing == folder else []
        names = sorted(path.name for path in entries if not _is_empty_folder(path))
        if not names:
            return
        if kind is not None and kind.manifest in names:
            if not _is_manifest(folder / kind.manifest, kind):
                raise OutputError(f"{shown}: its {kind.manifest} is not that of {kind.name}; name a new folder")
        elif kind is None or not any((folder / path).exists() for path in kind.unfinished):
            raise OutputError(f"{shown}: has other things in it, such as {encodable(names[0])}; name a new folder")


@contextmanager
def making_folder(folder: Path, keep: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Make a folder that was checked by `check_folder`; if it was new or empty, nothing is left of it after an error.

    Args:
        folder: made with the folders above it.
        keep: asked after an error whether what was made can be used again.

    Raises:
        OutputError: it cannot be made.
    """
    with reported(folder):
        made = [part for part in (folder, *folder.parents) if not part.exists()]
        was_empty = bool(made) or next(folder.iterdir(), None) is None
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
            for part in made:
                with suppress(OSError):  # another process has put something there
                    part.rmdir()
        raise


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and next(path.iterdir(), None) is None


def _is_manifest(path: Path, kind: FolderKind) -> bool:
    if not path.is_file() or path.stat().st_size > _MANIFEST_SIZE:
        return False
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(
        name in found and value in (None, found[name]) for name, value in kind.fields.items()
    )


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to write to; it takes the name `path` at the end, and after an error nothing is left of it.

    Raises:
        UsageError: the path is a file.
        OutputError: the folder is there and not empty, or cannot be made.
    """
    check_folder(path)
    with reported(path):
        target = path.resolve()
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name[:NAME_LENGTH]}.", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~umask())
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
