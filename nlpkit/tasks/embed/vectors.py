"""Vectors in .npy files that a user names, and the JSON file beside them that says whose they are."""

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import Reader
from nlpkit.core.io.json_shapes import Size
from nlpkit.errors import DataError
from nlpkit.tasks.embed.output import SIDECAR
from nlpkit.tasks.embed.whitening.whitening import Moments


class _Sidecar(TypedDict, total=False):
    model: str | None
    fingerprint: str | None
    pooling: str | None
    whitening: str | None
    dim: Size | None
    normalised: bool | None


def map_vectors(path: str) -> NDArray[Any]:
    """Return the vectors [n, d] of a .npy file, mapped.

    Raises:
        DataError: it is missing, no .npy file, or no matrix of floats.
    """
    try:
        _reader(path).open(Path(path).name).close()
        vectors: Any = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise DataError("no such file", path) from None
    except DataError:
        raise
    except Exception:  # numpy has no common class for a broken header: it parses Python
        raise DataError("not a whole .npy file; make one: nlpkit embed -o vectors.npy", path) from None
    if not isinstance(vectors, np.ndarray):
        vectors.close()
        raise DataError("an .npz archive; give one .npy file of vectors", path)
    _check(vectors.dtype, vectors.shape, path)
    return vectors


def open_vectors(path: str) -> IO[bytes]:
    """Open a .npy file; raises FileNotFoundError, and DataError for a FIFO or a device, which is not waited for."""
    return _reader(path).open(Path(path).name)


def read_header(stream: IO[bytes], path: str) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Return shape [n, d] and type of the vectors whose .npy file is open; what follows are the vectors, row by row.

    Raises:
        DataError: it is no .npy file, or no matrix of floats.
    """
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception as error:  # as above
        raise DataError(f"not a .npy file that can be read ({' '.join(str(error).split())[:200]})", path) from None
    _check(dtype, () if fortran else shape, path)
    return (shape[0], shape[1]), dtype


def add_vectors(moments: Moments, piece: NDArray[Any], first: int, path: str) -> None:
    """Add a piece of the vectors of a file, which begins at vector `first`.

    Raises:
        DataError: one holds NaN or infinity, or they are so large that their variance is infinite.
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
    """Return what the JSON file beside a .npy file says of its vectors; nothing where there is none.

    Raises:
        DataError: it is broken, or says something else.
    """
    try:
        found = _reader(path, "remove it, or embed again").json(Path(path + SIDECAR).name, _Sidecar)
    except FileNotFoundError:
        return {}
    return {**found}


def _reader(path: str, cure: str = "make one: nlpkit embed -o vectors.npy") -> Reader:
    return Reader(Path(path).parent, DataError, cure, outside=True)


def _check(dtype: np.dtype[Any], shape: tuple[int, ...], path: str) -> None:
    if len(shape) != 2 or dtype.kind != "f" or not shape[1]:
        raise DataError(f"a matrix of floats is expected, this is {dtype} {list(shape)}", path)
