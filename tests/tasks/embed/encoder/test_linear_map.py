"""Whitening against an SVD of all vectors at once; merging; what cannot be whitened."""

import json

import numpy as np
import pytest
from embed_support import PROVENANCE, fitted, sample
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.encoder.linear_map import Moments, Projection, read
from nlpkit.tasks.embed.encoder.postprocess import normalize


def slow(vectors, kept, beta=1.0, gamma=1.0):
    """By the SVD of the covariance, as published."""
    wide = vectors.astype(np.float64)
    mean = wide.mean(0)
    u, s, _ = np.linalg.svd(np.cov(wide.T, bias=True))
    return (wide - beta * mean) @ (u * s ** (-gamma / 2))[:, :kept]


@pytest.mark.parametrize(("beta", "gamma"), [(1, 1), (0, 0), (0.5, 0.3)])
@pytest.mark.parametrize("kept", [6, 3])
def test_it_equals_the_svd(beta, gamma, kept):
    vectors = sample()
    found = fitted(vectors, beta=beta, gamma=gamma).with_dim(kept).transform(vectors)
    expected = slow(vectors, kept, beta, gamma)
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-3)  # a direction has two signs
    assert np.allclose(found @ found.T, expected @ expected.T, atol=2e-2)


def test_whitened_vectors_have_mean_0_and_covariance_1():
    vectors = sample(5000)
    found = fitted(vectors).transform(vectors)
    assert np.allclose(found.mean(0), 0, atol=1e-4)
    assert np.allclose(np.cov(found.T, bias=True), np.eye(6), atol=1e-3)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 99))
def test_pieces_in_any_order_and_merges_give_what_one_pass_gives(sizes, seed):
    vectors = sample(sum(sizes), seed=seed) + np.float32(1000)  # a mean far from 0, where sums of squares would fail
    pieces = np.split(vectors, np.cumsum(sizes)[:-1])
    whole, parts, halves = Moments(6), Moments(6), [Moments(6), Moments(6)]
    whole.add(vectors)
    for index in np.random.default_rng(seed).permutation(len(pieces)):
        parts.add(pieces[index])
        halves[index % 2].add(pieces[index])
    halves[0].merge(halves[1])
    exact = vectors.astype(np.float64)
    for moments in (whole, parts, halves[0]):
        assert moments.count == len(vectors)
        assert np.allclose(moments.mean, exact.mean(0), rtol=1e-12)
        assert np.allclose(moments.scatter, (exact - exact.mean(0)).T @ (exact - exact.mean(0)), atol=1e-6)


def test_empty_pieces_change_nothing():
    moments = Moments(3)
    moments.merge(Moments(3))
    moments.add(np.zeros((0, 3), np.float32))
    assert moments.count == 0


def test_vanishing_directions_are_left_out():
    """Four vectors in six dimensions span three directions: no division by nothing, and no noise blown up."""
    map = fitted(sample(4))
    assert map.rank == map.dim == 3
    assert np.abs(map.transform(sample(4))).max() < 10
    with pytest.raises(UsageError, match=r"--dim 4: this whitening of 6 dimensions has 3 to give"):
        map.with_dim(4)
    flat = sample(50)
    flat[:, 2] = 1.5
    assert fitted(flat).rank == 5


@pytest.mark.parametrize("number", [0, 1, 9])
def test_a_constant_corpus_is_refused(number):
    with pytest.raises(DataError, match="a whitening needs a corpus of texts that differ"):
        fitted(np.ones((number, 6), np.float32)).validated()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_is_refused(bad):
    vectors = sample(5)
    vectors[3, 1] = bad
    with pytest.raises(ValueError, match="NaN"):
        Moments(6).add(vectors)


def test_a_file_gives_back_the_same_and_any_dim(tmp_path):
    vectors, path = sample(), tmp_path / "w.safetensors"
    map = fitted(vectors, beta=0.5, gamma=0.25).with_dim(4)
    map.save(path)
    again = read(path)
    assert np.array_equal(again.transform(vectors), map.transform(vectors))
    assert (again.provenance, again.dim, again.fingerprint) == (PROVENANCE, 4, map.fingerprint)
    assert np.allclose(again.with_dim(6).transform(vectors)[:, :4], map.transform(vectors), atol=1e-5)
    assert again.with_dim(6).fingerprint == map.fingerprint  # the dim is part of an identity of its own
    assert fitted(sample(seed=1)).fingerprint != fitted(vectors).fingerprint != fitted(vectors, gamma=0.5).fingerprint


def test_a_file_has_half_of_the_covariance_and_those_with_all_of_it_are_read(tmp_path):
    vectors, path = sample(), tmp_path / "w.safetensors"
    map = fitted(vectors)
    map.save(path)
    stored, metadata = load_file(path), safe_open(path, "np").metadata()
    assert {name: value.shape for name, value in stored.items()} == {"mean": (6,), "covariance_lower": (21,)}
    for tensors in (stored, {"mean": stored["mean"], "covariance": map.moments.covariance}):
        save_file(tensors, path, metadata)
        assert np.array_equal(read(path).transform(vectors), map.transform(vectors))
        assert read(path).fingerprint == map.fingerprint
    for covariance in (map.moments.covariance, stored["covariance_lower"][1:], stored["covariance_lower"].astype("f4")):
        save_file({"mean": stored["mean"], "covariance_lower": covariance}, path, metadata)
        with pytest.raises(ModelError, match="not a whitening of nlpkit"):
            read(path)


def test_broken_files_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(ModelError, match="no such file"):
        read(path)
    path.write_bytes(b"0123456789")
    with pytest.raises(ModelError, match="truncated or not safetensors"):
        read(path)
    for metadata in (None, {"nlpkit": "null"}, {"nlpkit": "{"}, {"nlpkit": json.dumps({"kind": "x", "identity": {}})}):
        save_file({"mean": np.zeros(3)}, path, metadata)
        with pytest.raises(ModelError, match="not a whitening of nlpkit"):
            read(path)


def test_a_random_projection_keeps_inner_products(tmp_path):
    map = Projection.random(300, 200, 7, {**PROVENANCE, "dim": 300})
    vectors = normalize(sample(40, 300))
    found = map.transform(vectors)
    assert np.abs(found @ found.T - vectors @ vectors.T).max() < 0.35  # about five deviations of 1/√200
    assert Projection.random(300, 200, 7, {}).matrix.tobytes() == map.matrix.tobytes()
    assert Projection.random(300, 200, 8, {}).matrix.tobytes() != map.matrix.tobytes()
    map.save(tmp_path / "p")
    assert np.array_equal(read(tmp_path / "p").transform(vectors), found)
    fewer = map.with_dim(50).transform(vectors)
    assert np.allclose(fewer, found[:, :50] * 2, atol=1e-5)  # √(200/50)
    with pytest.raises(UsageError, match="--dim 201: this jl of 300"):
        map.with_dim(201)
