"""Streamed .npy files: arrays of any length that are written and read piece by piece."""

import io
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class NpyWriter:
    """Writes an array [n] or [n, width] of unknown length.

    NumPy pads a header so that a longer length fits, so the header can be rewritten at the end.

    Args:
        stream: seekable, open for binary writing, at its beginning; the header is written at once.
        dtype: of the array.
        width: size of the second dimension; None for an array of one dimension.
        length: number of entries that the file already has behind the header.
    """

    def __init__(self, stream: IO[bytes], dtype: np.dtype[Any], width: int | None = None, length: int = 0):
        self.stream, self.dtype, self.width, self.length = stream, dtype, width, length
        self.write_header()

    def append(self, values: NDArray[Any]) -> None:
        """Append values [m] or [m, width]."""
        self.stream.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def write_header(self) -> None:
        """Write the header with the current length; the stream is then behind the header."""
        self.stream.seek(0)
        self.stream.write(npy_header(self.dtype, self.width, self.length))


def npy_header(dtype: np.dtype[Any], width: int | None, length: int) -> bytes:
    """Return the header of an array [length, width], or [length] if the width is None; its size is always the same."""
    stream = io.BytesIO()
    shape = (length,) if width is None else (length, width)
    npy.write_array_header_1_0(stream, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})
    return stream.getvalue()


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the array in an open .npy file; the stream is then at the data.

    Raises:
        ValueError: it is no .npy file, or is stored by columns.
    """
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception as error:  # numpy has no common class for a broken header: it parses Python
        raise ValueError(f"not a .npy file ({error})") from None
    if fortran and len(shape) > 1:
        raise ValueError("is stored by columns")
    return shape, dtype


def read_pieces(
    stream: IO[bytes], shape: tuple[int, int], dtype: np.dtype[Any], max_bytes: int
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield (index of the first row, rows [m, width]) of an array; the pieces end early if the file is truncated.

    The file is read, not mapped, so that the process does not grow with it.

    Args:
        stream: of a regular file, at the data.
        shape: [n, width].
        dtype: of the array.
        max_bytes: size of a piece; a piece has at least one row.
    """
    length, width = shape
    max_rows = max(1, max_bytes // (width * dtype.itemsize))
    for start in range(0, length, max_rows):
        count = min(max_rows, length - start)
        values = np.fromfile(stream, dtype, count * width)
        rows = len(values) // width
        if rows:
            yield start, values[: rows * width].reshape(rows, width)
        if rows < count:
            return
