"""The identity of files and folders that a job depends on."""

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

_WHOLE = 128 << 20  # bytes of a file that is read as a whole; of a larger one, pieces are read
_PIECES, _PIECE = 64, 1 << 16


def content_digest(path: str | Path) -> str:
    """Return the digest of the content of a file, or of the files of a folder with their names.

    Of a file of more than 128 MiB the size and 64 evenly spaced pieces of 64 KiB are read. A special file has the
    digest of nothing.
    """
    root = Path(path)
    digest = blake2b(digest_size=16)
    for file in _files(root):
        digest.update(f"{file.relative_to(root)}\0".encode("utf-8", "surrogateescape") if file != root else b"")
        for piece in _pieces(file):
            digest.update(piece)
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, without those of training (`training/`), or the file itself."""
    if root.is_file():
        yield root
    elif root.is_dir():
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name != "training" and not name.startswith("."))
            yield from (file for name in sorted(names) if (file := Path(folder) / name).is_file())


def _pieces(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    yield f"{size}\0".encode()
    with file.open("rb") as stream:
        if size <= _WHOLE:
            while piece := stream.read(1 << 20):
                yield piece
            return
        for index in range(_PIECES):
            stream.seek((size - _PIECE) * index // (_PIECES - 1))
            yield stream.read(_PIECE)
