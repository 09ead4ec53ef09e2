"""Files of vectors: their headers and pieces, the moments of them, and the sidecar."""

import json
import os
import re

import numpy as np
import pytest
from embed_support import PROVENANCE, sample
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.errors import DataError
from nlpkit.tasks.embed.encoder.linear_map import Moments
from nlpkit.tasks.embed.vectors import VectorFile, add_vectors, read_sidecar


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_the_header_says_what_is_in_it(tmp_path, dtype):
    np.save(tmp_path / "v.npy", sample(5).astype(dtype))
    file = VectorFile.open(str(tmp_path / "v.npy"))
    assert (file.shape, file.dtype) == ((5, 6), np.dtype(dtype))
    assert file.offset == (tmp_path / "v.npy").stat().st_size - 30 * file.dtype.itemsize


@given(st.integers(0, 40), st.integers(1, 500))
def test_pieces_are_the_whole_in_order_and_small(tmp_path_factory, number, max_bytes):
    path = tmp_path_factory.getbasetemp() / "v.npy"
    vectors = sample(number)
    np.save(path, vectors)
    pieces = list(VectorFile.open(str(path)).pieces(max_bytes))
    assert [start for start, _ in pieces] == np.cumsum([0, *(len(piece) for _, piece in pieces)])[:-1].tolist()
    assert all(piece.nbytes <= max_bytes or len(piece) == 1 for _, piece in pieces)
    np.testing.assert_array_equal(np.concatenate([np.zeros((0, 6), "f4"), *(piece for _, piece in pieces)]), vectors)


def archive(path):
    np.savez(path.with_suffix(".npz"), sample())
    path.with_suffix(".npz").rename(path)


def refused(path):
    with pytest.raises(DataError) as caught:
        VectorFile.open(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1
    return caught.value.message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"no"), "not a .npy file"),
        (lambda path: path.write_bytes(b""), "not a .npy file"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x04\x00{'a}"), "not a .npy file"),
        (archive, "an .npz archive; give one .npy file of vectors"),
        (lambda path: np.save(path, np.zeros(3)), "a matrix of floats is expected, this is float64 [3]"),
        (lambda path: np.save(path, np.zeros((3, 2), "i4")), "a matrix of floats is expected, this is int32 [3, 2]"),
        (lambda path: np.save(path, np.zeros((3, 0))), "a matrix of floats is expected, this is float64 [3, 0]"),
        (lambda path: np.save(path, np.asfortranarray(sample())), "is stored by columns; make one: nlpkit embed"),
        (lambda path: np.save(path, np.array([["x"]], object)), "a matrix of floats is expected"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
    ],
)
def test_what_is_no_matrix_of_floats(tmp_path, make, message):
    make(tmp_path / "a.npy")
    assert message in refused(tmp_path / "a.npy")


def test_a_file_that_ends_too_early(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, sample(10))
    pieces = VectorFile.open(str(path)).pieces(4 * 24)
    path.write_bytes(path.read_bytes()[: -3 * 24 + 1])
    assert [len(next(pieces)[1]) for _ in range(2)] == [4, 3]  # what is whole
    with pytest.raises(DataError, match=r"a\.npy: ends 3 vectors too early; embed again"):
        next(pieces)
    assert refused(path) == "ends 3 vectors too early; embed again"


def test_a_header_that_promises_too_much(tmp_path):
    for shape, message in (
        ((2, 10**12), "vectors of 1,000,000,000,000 dimensions; 32,768 is the limit"),
        ((10**12, 3), "ends 999999999990 vectors too early; embed again"),
    ):
        with (tmp_path / "a.npy").open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
            stream.write(bytes(10 * 3 * 4))
        assert refused(tmp_path / "a.npy") == message


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (6, np.nan, "v.npy: NaN or infinity in vector 16 (counted from 0); embed that text again"),
        (0, np.inf, "v.npy: NaN or infinity in vector 10 (counted from 0); embed that text again"),
        (9, 1e200, "v.npy: numbers too large for a variance; embed again"),
    ],
)
def test_vectors_that_have_no_variance(place, value, message):
    vectors = sample(10).astype(np.float64)
    vectors[place, 2] = value
    moments = Moments(6)
    with pytest.raises(DataError, match=re.escape(message)):
        add_vectors(moments, vectors, 10, "v.npy")
    assert moments.count == 0


def test_a_piece_is_added():
    moments, vectors = Moments(6), sample(10)
    add_vectors(moments, vectors[:4], 0, "v.npy")
    add_vectors(moments, vectors[4:], 4, "v.npy")
    np.testing.assert_allclose(moments.covariance, np.cov(vectors.astype(np.float64).T, bias=True))


def test_the_sidecar(tmp_path):
    path = tmp_path / "v.npy"
    assert read_sidecar(str(path)) == {}
    (tmp_path / "v.npy.json").write_text(json.dumps(PROVENANCE | {"count": 3, "precision": "float16"}))
    assert read_sidecar(str(path)) == PROVENANCE | {"count": 3, "precision": "float16"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "broken"),
        ("[]", "must be an object, not a list"),
        ('{"dim": "6"}', "dim must be a whole number, not a string"),
        ('{"pooling": 5}', "pooling must be a string, not 5"),
    ],
)
def test_a_broken_sidecar(tmp_path, content, message):
    (tmp_path / "v.npy.json").write_text(content)
    with pytest.raises(DataError, match=rf"v\.npy\.json: .*{message}.*; remove it, or embed again") as caught:
        read_sidecar(str(tmp_path / "v.npy"))
    assert len(str(caught.value).splitlines()) == 1
