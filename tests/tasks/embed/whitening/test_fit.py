"""Fitting a whitening on texts and on files of vectors, merging, and where it is written."""

import json

import numpy as np
import pytest
from embed_support import PROVENANCE, fitted, sample

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.embed.encoder.linear_map import Projection, Whitening
from nlpkit.tasks.embed.whitening import fit as fit_map


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
