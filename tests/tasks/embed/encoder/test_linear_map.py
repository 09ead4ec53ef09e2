"""Whitening against an SVD of all vectors at once; merging; what cannot be whitened."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.encoder.linear_map import Moments, Projection, Whitening, read
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, incompatibilities, normalize
from nlpkit.tasks.embed.whitening import fit as fit_map

PROVENANCE = {"model": "m", "fingerprint": "1f", "pooling": "mean", "whitening": None, "dim": 6, "normalised": False}


def sample(number=200, dim=6, seed=0):
    random = np.random.default_rng(seed)
    return (random.standard_normal((number, dim)) @ random.standard_normal((dim, dim)) + 5).astype(np.float32)


def fitted(vectors, **more):
    moments = Moments(vectors.shape[1])
    moments.add(vectors)
    return Whitening(PROVENANCE, moments, **more)


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
    assert fit_map.rank_warnings(map) == [
        "4 texts are no more than 6 dimensions: the whitening has 3, and what lies outside them is lost"
    ]
    flat = sample(50)
    flat[:, 2] = 1.5
    assert fitted(flat).rank == 5
    assert "do not use all 6 dimensions" in fit_map.rank_warnings(fitted(flat))[0]
    assert fit_map.rank_warnings(fitted(sample())) == []


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


def test_broken_files_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(ModelError, match="no such file"):
        read(path)
    path.write_bytes(b"0123456789")
    with pytest.raises(ModelError, match="truncated or not safetensors"):
        read(path)
    from safetensors.numpy import save_file

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


def test_what_a_finish_refuses():
    postprocessor, map = Postprocessor(), fitted(sample())
    assert postprocessor.with_map(map, 2, PROVENANCE).output_dim(6) == 2
    with pytest.raises(ModelError, match=r"another model \(m, not other\)"):
        postprocessor.with_map(map, None, {**PROVENANCE, "model": "other", "fingerprint": "2e"})
    with pytest.raises(ModelError, match=r"another pooling \(mean, not cls\)"):
        postprocessor.with_map(map, None, {**PROVENANCE, "pooling": "cls"})
    with pytest.raises(ModelError, match="is for vectors of 6 dimensions; m has 8"):
        postprocessor.with_map(map, None, {**PROVENANCE, "dim": 8})
    with pytest.raises(UsageError, match="--dim 7: the vectors of m have 6 dimensions"):
        postprocessor.with_map(None, 7, PROVENANCE)
    assert postprocessor.with_map(Whitening({}, map.moments), None, {**PROVENANCE, "fingerprint": "2e"}).map is not None
    assert incompatibilities(PROVENANCE, {**PROVENANCE, "model": "elsewhere"}) == []


def test_a_map_fitted_on_unit_vectors_is_given_unit_vectors():
    vectors = sample()
    map = Whitening({**PROVENANCE, "normalised": True}, fitted(normalize(vectors)).moments)
    found = Postprocessor(map, None, False)(vectors)
    assert np.allclose(found, map.transform(normalize(vectors)))
    assert np.allclose(np.linalg.norm(Postprocessor(map)(vectors), axis=1), 1, atol=1e-5)
    assert np.array_equal(normalize(np.zeros((1, 3), np.float32)), np.zeros((1, 3)))


class TestVectorFiles:
    """Whitenings of .npy files, read in pieces."""

    def fit(self, *paths, max_bytes=1 << 20):
        return fit_map.fit_on_vectors([str(path) for path in paths], lambda records, size: None, max_bytes=max_bytes)

    def save(self, path, vectors, **provenance):
        np.save(path, vectors)
        if provenance:
            path.with_name(path.name + ".json").write_text(json.dumps(PROVENANCE | provenance))
        return path

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_pieces_of_any_size(self, tmp_path, dtype):
        vectors = sample(101).astype(dtype)
        first, second = self.save(tmp_path / "a.npy", vectors[:60]), self.save(tmp_path / "b.npy", vectors[60:])
        found = self.fit(first, second, max_bytes=7 * 6 * vectors.itemsize)
        assert np.allclose(found.moments.covariance, fitted(vectors).moments.covariance)
        assert found.provenance == {}

    def test_the_sidecar_says_whose_they_are(self, tmp_path):
        path = self.save(tmp_path / "a.npy", sample(), fingerprint="77")
        assert self.fit(path).provenance["fingerprint"] == "77"
        other = self.save(tmp_path / "b.npy", sample(), pooling="cls")
        with pytest.raises(DataError, match=r"b\.npy: vectors of another model .* pooling"):
            self.fit(path, other)
        with pytest.raises(DataError, match="whitened already"):
            self.fit(self.save(tmp_path / "c.npy", sample(), whitening="aa"))

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda path: None, "no such file"),
            (lambda path: path.write_bytes(b"no"), "not a .npy file"),
            (lambda path: np.save(path, np.zeros(3)), "a matrix of floats is expected"),
            (lambda path: np.save(path, np.zeros((3, 2), int)), "a matrix of floats is expected"),
            (lambda path: np.save(path, np.asfortranarray(sample())), "is stored by columns"),
            (lambda path: np.save(path, np.array([["x"]], object)), "a matrix of floats is expected"),
        ],
    )
    def test_what_is_no_matrix_of_floats(self, tmp_path, make, message):
        make(tmp_path / "a.npy")
        with pytest.raises(DataError, match=message):
            self.fit(tmp_path / "a.npy")

    def test_a_file_that_breaks_off(self, tmp_path):
        path = self.save(tmp_path / "a.npy", sample(10))
        path.write_bytes(path.read_bytes()[: -3 * 24])
        with pytest.raises(DataError, match="ends 3 vectors too early"):
            self.fit(path)

    def test_nan_is_named(self, tmp_path):
        vectors = sample(10)
        vectors[6, 2] = np.nan
        with pytest.raises(DataError, match=r"a\.npy: NaN or infinity in vector 6"):
            self.fit(self.save(tmp_path / "a.npy", vectors), max_bytes=4 * 24)

    def test_files_of_different_widths(self, tmp_path):
        with pytest.raises(DataError, match=r"b\.npy: vectors of 5 dimensions, not 6"):
            self.fit(self.save(tmp_path / "a.npy", sample()), self.save(tmp_path / "b.npy", sample(9, 5)))


def test_more_text_is_merged_later(tmp_path):
    vectors = sample()
    fitted(vectors[:150]).save(tmp_path / "w")
    found = fit_map.merge(fitted(vectors[150:]), fit_map.read_whitening(tmp_path / "w", PROVENANCE))
    assert np.allclose(found.moments.covariance, fitted(vectors).moments.covariance)
    Projection.random(6, 3, 0, PROVENANCE).save(tmp_path / "p")
    with pytest.raises(ModelError, match="a jl stores no statistics"):
        fit_map.read_whitening(tmp_path / "p", PROVENANCE)
    Whitening({**PROVENANCE, "pooling": "cls"}, fitted(vectors).moments).save(tmp_path / "c")
    with pytest.raises(ModelError, match=r"fitted for another pooling \(cls, not mean\)"):
        fit_map.read_whitening(tmp_path / "c", PROVENANCE)
    with pytest.raises(ModelError, match="6 dimensions cannot be merged with vectors of 5"):
        fit_map.merge(fitted(sample(9, 5)), fitted(vectors))


def test_a_bad_line_is_left_to_the_policy(tmp_path):
    class Fixed:
        width, raw_provenance = 6, PROVENANCE

        def raw(self, texts):
            from nlpkit.tasks.embed.encoder.embedder import Embeddings

            return Embeddings(sample(len(texts), seed=len(texts)))

    path = tmp_path / "corpus.txt"
    path.write_bytes("一\n\n二\n".encode() + b"\xff\n" + "三\n".encode())
    errors = ErrorPolicy("skip")
    found = fit_map.fit_on_texts([str(path)], Fixed(), None, "utf-8", errors, lambda records, size: None)
    assert (found.moments.count, errors.count) == (3, 1)  # the blank line is passed over
