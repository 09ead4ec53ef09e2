"""Folders that appear under their name only when they are whole."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlpkit.core.files import write_error
from nlpkit.errors import OutputError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to write to; it takes the name `path` at the end, and after an error nothing is left of it.

    Raises:
        OutputError: the folder is there and not empty, or cannot be made.
    """
    try:
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            raise OutputError(f"{path}: is there already; name a new or an empty folder")
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.resolve().parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise write_error(error, str(path)) from error
