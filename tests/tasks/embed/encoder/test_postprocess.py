"""Postprocessing: which map fits which vectors, truncation, unit length, unknown characters, the map of `--whiten`."""

import numpy as np
import pytest
from embed_support import PROVENANCE, fitted, sample
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder.linear_map import STORED, Projection, Whitening
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, incompatibilities, normalize, read_map
from nlpkit.tasks.embed.encoder.unknown import Unknown, with_directions

UNKNOWN = {1: Unknown(("😀",), 0.5), 3: Unknown(("👍", "😡"), 1.0)}


def test_a_map_that_fits():
    map = fitted(sample())
    found = Postprocessor(normalize=False).with_map(map, 2, PROVENANCE)
    assert (found.map.dim, found.output_dim(6), found.normalize) == (2, 2, False)
    np.testing.assert_allclose(found(sample()), map.with_dim(2).transform(sample()), atol=1e-6)
    anywhere = Whitening({}, map.moments)  # of vectors without a provenance
    assert Postprocessor().with_map(anywhere, None, {**PROVENANCE, "fingerprint": "2e"}).map is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "other", "fingerprint": "2e"}, r"this whitening was fitted for another model \(m, not other\)"),
        ({"pooling": "cls"}, r"this whitening was fitted for another pooling \(mean, not cls\); fit one for this"),
        ({"dim": 8}, "this whitening is for vectors of 6 dimensions; m has 8"),
    ],
)
def test_a_map_for_other_vectors_is_refused(change, words):
    with pytest.raises(ModelError, match=words):
        Postprocessor().with_map(fitted(sample()), None, PROVENANCE | change)


def test_dimensions_without_a_map():
    plain = Postprocessor()
    assert plain.with_map(None, None, PROVENANCE) is plain
    assert (plain.output_dim(6), plain.with_map(None, 6, PROVENANCE).output_dim(6)) == (6, 6)
    found = plain.with_map(None, 2, PROVENANCE)
    assert found.output_dim(6) == 2
    np.testing.assert_allclose(found(sample()), normalize(sample()[:, :2]))
    with pytest.raises(UsageError, match="--dim 7: the vectors of m have 6 dimensions"):
        plain.with_map(None, 7, PROVENANCE)


def test_a_map_fitted_on_unit_vectors_is_given_unit_vectors():
    vectors = sample()
    map = Whitening({**PROVENANCE, "normalised": True}, fitted(normalize(vectors)).moments)
    found = Postprocessor(map, None, False)(vectors)
    assert np.allclose(found, map.transform(normalize(vectors)))
    assert np.allclose(np.linalg.norm(Postprocessor(map)(vectors), axis=1), 1, atol=1e-5)


@given(st.integers(0, 99), st.floats(0, 1e18))
def test_unit_length(seed, scale):
    vectors = np.float32(scale) * sample(7, seed=seed)
    vectors[2] = 0
    found = normalize(vectors)
    assert found.dtype == np.float32
    for vector, result in zip(vectors.astype(np.float64), found, strict=True):
        length = np.sqrt((vector**2).sum())
        np.testing.assert_allclose(result, vector / max(length, 1e-12), atol=1e-6)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("dim", [None, 3])
def test_unknown_characters_are_added_to_what_is_kept(unit, dim):
    postprocessor = Postprocessor(truncate_dim=dim, normalize=unit)
    plain = postprocessor(sample(5))
    found = postprocessor(sample(5), UNKNOWN)
    expected = with_directions(plain, UNKNOWN)
    np.testing.assert_allclose(found, normalize(expected) if unit else expected, atol=1e-6)
    np.testing.assert_array_equal(found[[0, 2, 4]], plain[[0, 2, 4]])  # bit for bit
    assert (np.abs(found - plain)[[1, 3]].max(axis=1) > 0.1).all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"model": "a copy"}, []),  # a folder may have any name
        ({"normalised": True}, []),  # the length does not change a cosine
        ({"fingerprint": "2e", "model": "n"}, ["model (n, not m)"]),
        ({"pooling": "cls", "dim": 3}, ["pooling (cls, not mean)", "dim (3, not 6)"]),
        ({"whitening": "aa"}, ["whitening (aa, not None)"]),
    ],
)
def test_what_makes_vectors_incomparable(change, expected):
    assert incompatibilities(PROVENANCE, PROVENANCE | change) == expected


def test_the_map_of_an_option(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    assert read_map(None, folder) is read_map("none", folder) is None
    with pytest.raises(ModelError, match=r"model: no whitening\.safetensors in it; make one: nlpkit train whitening"):
        read_map("stored", folder)
    with pytest.raises(ModelError, match=r"w\.safetensors: no such file"):
        read_map(str(tmp_path / "w.safetensors"), folder)
    fitted(sample()).save(folder / STORED)
    Projection.random(6, 2, 0, PROVENANCE).save(tmp_path / "p")
    assert isinstance(read_map("stored", folder), Whitening)
    assert isinstance(read_map(str(tmp_path / "p"), folder), Projection)
