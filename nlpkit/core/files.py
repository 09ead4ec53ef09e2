"""Files that appear under their name only when they are whole."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nlpkit.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write to; it takes that name at the end, and after any error nothing is left of it.

    Raises:
        OutputError: the folder does not exist, is not writable, or the disk is full.
    """
    try:
        target = path.resolve()  # a link stays a link
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(error, str(path)) from error


def write_error(error: OSError, target: str) -> OutputError | OSError:
    """A full disk and the like as OutputError; a closed pipe stays what it is, for the edge to fall silent on."""
    if isinstance(error, BrokenPipeError):
        return error
    cure = "; free some space" if error.errno == errno.ENOSPC else ""
    return OutputError(f"{target}: cannot be written ({error.strerror or error}){cure}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
