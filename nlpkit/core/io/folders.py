"""Output folders: one check for all of them, and removal of incomplete folders after an error."""

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

_MAX_MANIFEST = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class FolderKind:
    """How to recognize an artefact folder.

    Attributes:
        name: with its article, for messages.
        manifest: the JSON file of a complete folder.
        fields: required fields of the manifest, with their values; None allows any value.
        unfinished: paths in an incomplete folder, at least one of which exists.
    """

    name: str
    manifest: str
    fields: dict[str, Any]
    unfinished: tuple[str, ...] = ()


def check_name(path: str | Path) -> None:
    """Check that the name of a folder, or of a file of tensors, is one that safetensors and marisa-trie can open.

    Raises:
        UsageError: it is not UTF-8.
    """
    if (shown := encodable(str(path))) != str(path):
        raise UsageError(f"{shown}: the name is not valid UTF-8; rename it")


def check_folder(folder: Path, kind: FolderKind | None = None) -> None:
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
            if not _is_manifest(folder / kind.manifest, kind):
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
            for part in created:
                with suppress(OSError):  # another process has written into it
                    part.rmdir()
        raise


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and next(path.iterdir(), None) is None


def _is_manifest(path: Path, kind: FolderKind) -> bool:
    if not path.is_file() or path.stat().st_size > _MAX_MANIFEST:
        return False
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and all(
        name in content and value in (None, content[name]) for name, value in kind.fields.items()
    )


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `path` at the end and removed after an error.

    Raises:
        UsageError: the path is a file.
        OutputError: the folder exists and is not empty, or cannot be created.
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
