"""Streamed .npy files: as numpy reads and writes them, piece by piece."""

import io

import numpy as np
import pytest

from nlpkit.core.io.npy import NpyWriter, npy_header, read_header, read_pieces

VALUES = np.random.default_rng(0).standard_normal((23, 4))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "<i8"])
@pytest.mark.parametrize("width", [None, 4])
def test_the_same_bytes_as_numpy(tmp_path, dtype, width):
    values = (VALUES * 10).astype(dtype)[:, 0 if width is None else slice(None)]
    np.save(tmp_path / "a.npy", values)
    with (tmp_path / "b.npy").open("wb") as stream:
        writer = NpyWriter(stream, np.dtype(dtype), width)
        for start, end in ((0, 5), (5, 5), (5, 23)):
            writer.append(values[start:end])
        writer.write_header()
    assert writer.length == 23
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_file_can_be_continued(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("w+b") as stream:
        NpyWriter(stream, np.dtype("f8"), 4).append(VALUES[:9])
    with path.open("r+b") as stream:
        writer = NpyWriter(stream, np.dtype("f8"), 4, length=9)
        stream.seek(0, io.SEEK_END)
        writer.append(VALUES[9:])
        writer.write_header()
    assert np.array_equal(np.load(path), VALUES)


@pytest.mark.parametrize("max_bytes", [1, 100, 1 << 20])
def test_pieces_have_every_row_once(tmp_path, max_bytes):
    np.save(tmp_path / "a.npy", VALUES)
    with (tmp_path / "a.npy").open("rb") as stream:
        shape, dtype = read_header(stream)
        pieces = list(read_pieces(stream, shape, dtype, max_bytes))
    assert [start for start, _ in pieces] == list(range(0, 23, max(1, max_bytes // 32)))
    assert np.array_equal(np.concatenate([piece for _, piece in pieces]), VALUES)


def test_pieces_of_a_truncated_file_end_early(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-40])
    with (tmp_path / "a.npy").open("rb") as stream:
        shape, dtype = read_header(stream)
        pieces = [piece for _, piece in read_pieces(stream, shape, dtype, 320)]
    assert np.array_equal(np.concatenate(pieces), VALUES[:21])


@pytest.mark.parametrize("content", [b"", b"no", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x02\x00{}"])
def test_what_is_no_npy_file_is_refused(content):
    with pytest.raises(ValueError, match=r"not a \.npy file"):
        read_header(io.BytesIO(content))


def test_columns_are_refused():
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(VALUES))
    stream.seek(0)
    with pytest.raises(ValueError, match="by columns"):
        read_header(stream)


@pytest.mark.parametrize("width", [None, 4])
def test_a_header_has_room_for_any_length(width):
    shape = (0,) if width is None else (0, width)
    stream = io.BytesIO()
    np.save(stream, np.zeros(shape, np.float16))
    assert npy_header(np.dtype(np.float16), width, 0) == stream.getvalue()
    assert {len(npy_header(np.dtype("<f4"), width, length)) for length in (0, 9, 10**15)} == {128}
    stream = io.BytesIO(npy_header(np.dtype("<f4"), width, 10**15))
    assert read_header(stream) == ((10**15, *shape[1:]), np.dtype("<f4"))
