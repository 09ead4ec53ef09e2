"""Vectors in .npy files, and the JSON file beside them (the sidecar) that tells their provenance."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import Reader
from nlpkit.core.io.json_shapes import Size
from nlpkit.core.io.npy import read_header, read_pieces
from nlpkit.errors import DataError
from nlpkit.tasks.embed.encoder.linear_map import Moments
from nlpkit.tasks.embed.output import SIDECAR

ZIP = b"PK"  # magic bytes of an .npz archive
MAX_DIM = 1 << 15  # of a covariance, which takes 8 GB then


class _Sidecar(TypedDict, total=False):
    model: str | None
    fingerprint: str | None
    pooling: str | None
    whitening: str | None
    dim: Size | None
    normalised: bool | None


@dataclass(frozen=True, slots=True)
class VectorFile:
    """A .npy file of vectors.

    Attributes:
        path: of the file.
        shape: [n, d].
        dtype: of the vectors.
        offset: of the first vector, in bytes.
    """

    path: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    offset: int

    @classmethod
    def open(cls, path: str) -> "VectorFile":
        """Read the header of a file.

        Raises:
            DataError: it is missing, not a regular file, no .npy file, or no matrix of floats.
        """
        try:
            with _reader(path).open(Path(path).name) as stream:
                if stream.read(len(ZIP)) == ZIP:
                    raise DataError("an .npz archive; give one .npy file of vectors", path)
                stream.seek(0)
                shape, dtype = read_header(stream)
                offset, size = stream.tell(), os.fstat(stream.fileno()).st_size
        except FileNotFoundError:
            raise DataError("no such file", path) from None
        except (ValueError, OSError) as error:
            problem = " ".join(str(error).split())[:200]
            raise DataError(f"{problem}; make one: nlpkit embed -o vectors.npy", path) from None
        if len(shape) != 2 or dtype.kind != "f" or not shape[1]:
            raise DataError(f"a matrix of floats is expected, this is {dtype} {list(shape)}", path)
        length, dim = shape
        if dim > MAX_DIM:
            raise DataError(f"vectors of {dim:,} dimensions; {MAX_DIM:,} is the limit", path)
        missing = length - (size - offset) // (dim * dtype.itemsize)
        if missing > 0:
            raise DataError(f"ends {missing} vectors too early; embed again", path)
        return cls(path, (length, dim), dtype, offset)

    def pieces(self, max_bytes: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield (index of the first vector, vectors [m, d]) in pieces of at most `max_bytes`.

        Raises:
            DataError: the file is truncated, or cannot be read.
        """
        end = 0
        try:
            with _reader(self.path).open(Path(self.path).name) as stream:
                stream.seek(self.offset)
                for start, piece in read_pieces(stream, self.shape, self.dtype, max_bytes):
                    end = start + len(piece)
                    yield start, piece
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error})", self.path) from None
        if end < self.shape[0]:
            raise DataError(f"ends {self.shape[0] - end} vectors too early; embed again", self.path)


def add_vectors(moments: Moments, piece: NDArray[Any], first: int, path: str) -> None:
    """Update moments with a piece of the vectors of a file.

    Args:
        moments: to update.
        piece: [m, d].
        first: index of its first vector.
        path: of the file.

    Raises:
        DataError: a vector holds NaN or infinity, or is so large that the variance is infinite.
    """
    try:
        moments.add(piece)
    except ValueError:
        bad = np.flatnonzero(~np.isfinite(piece).all(axis=1))
        if not len(bad):
            raise DataError("numbers too large for a variance; embed again", path) from None
        where = f"vector {first + int(bad[0])} (counted from 0)"
        raise DataError(f"NaN or infinity in {where}; embed that text again", path) from None


def read_sidecar(path: str) -> dict[str, Any]:
    """Return the content of the sidecar of a .npy file; empty if there is none.

    Raises:
        DataError: it is broken, or has another content.
    """
    try:
        sidecar = _reader(path, "remove it, or embed again").json(Path(path + SIDECAR).name, _Sidecar)
    except FileNotFoundError:
        return {}
    return {**sidecar}


def _reader(path: str, cure: str = "make one: nlpkit embed -o vectors.npy") -> Reader:
    return Reader(Path(path).parent, DataError, cure, outside=True)
