"""Fitting a whitening on texts and on files of vectors, merging, its settings, and where it is written."""

import json
import re

import numpy as np
import pytest
from embed_support import PROVENANCE, fitted, sample, save_embedder

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, ModelError, OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.fingerprint import weights_fingerprint
from nlpkit.tasks.embed.encoder.linear_map import STORED, Moments, Projection, Whitening, read
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.whitening import fit as fit_map


class Counting(Embedder):
    """The raw vector of the text `3` is [3, 9, 27]."""

    name, fingerprint, pooling, width, postprocessor = "counting", "1f", "mean", 3, Postprocessor(truncate_dim=1)

    def raw(self, texts):
        return Embeddings(np.array([[int(text) ** power for power in (1, 2, 3)] for text in texts], np.float32))


def nothing(records, size):
    pass


def fit_vectors(*paths, advance=nothing, **more):
    return fit_map.fit_on_vectors([str(path) for path in paths], advance, **more)


def save(path, vectors, **provenance):
    np.save(path, vectors)
    if provenance:
        path.with_name(path.name + ".json").write_text(json.dumps(PROVENANCE | provenance))
    return path


def test_texts_give_the_moments_of_their_raw_vectors(tmp_path):
    """Blank lines are left out, a bad one is left to the policy, and all bytes are counted."""
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"1\n\n2\n" + b"\xff\n" + b" \n5\n")
    errors, seen = ErrorPolicy("skip"), []
    found = fit_map.fit_on_texts([str(path)], Counting(), None, "utf-8", errors, lambda *step: seen.append(step))
    exact = np.array([[1, 1, 1], [2, 4, 8], [5, 25, 125]])
    assert (found.moments.count, errors.count) == (3, 1)
    np.testing.assert_allclose(found.moments.covariance, np.cov(exact.T, bias=True))
    assert found.provenance == Counting().raw_provenance
    assert [sum(values) for values in zip(*seen, strict=True)] == [5, 9]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_files_in_pieces_of_any_size(tmp_path, dtype):
    vectors, seen = sample(101).astype(dtype), []
    first, second = save(tmp_path / "a.npy", vectors[:60]), save(tmp_path / "b.npy", vectors[60:])
    max_bytes = 7 * 6 * vectors.itemsize
    found = fit_vectors(first, second, max_bytes=max_bytes, advance=lambda *step: seen.append(step))
    np.testing.assert_allclose(found.moments.covariance, fitted(vectors).moments.covariance)
    assert found.provenance == {}
    assert [sum(values) for values in zip(*seen, strict=True)] == [101, vectors.nbytes]
    assert max(size for _, size in seen) <= max_bytes


def test_the_sidecar_says_whose_vectors_they_are(tmp_path):
    path = save(tmp_path / "a.npy", sample(), fingerprint="77", count=200)
    assert fit_vectors(path).provenance == PROVENANCE | {"fingerprint": "77"}
    other = save(tmp_path / "b.npy", sample(), pooling="cls")
    with pytest.raises(DataError, match=r"b\.npy: vectors of another model .* pooling .* than those of .*a\.npy"):
        fit_vectors(path, other)
    with pytest.raises(DataError, match=r"c\.npy: its vectors are whitened already; embed with --whiten none"):
        fit_vectors(save(tmp_path / "c.npy", sample(), whitening="aa"))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (sample(9, 5), "b.npy: vectors of 5 dimensions, not 6 as before"),
        (np.full((2, 6), np.nan, np.float32), "b.npy: NaN or infinity in vector 0"),
        (np.zeros(3), "b.npy: a matrix of floats is expected"),
    ],
)
def test_a_second_file_that_does_not_fit(tmp_path, vectors, message):
    with pytest.raises(DataError, match=re.escape(message)):
        fit_vectors(save(tmp_path / "a.npy", sample()), save(tmp_path / "b.npy", vectors))


def test_more_is_merged_later(tmp_path):
    vectors = sample()
    fitted(vectors[:150], beta=0.5, gamma=0.25).with_dim(4).save(tmp_path / "w")
    found = fit_map.merge(fitted(vectors[150:]), fit_map.read_whitening(tmp_path / "w", PROVENANCE))
    np.testing.assert_allclose(found.moments.covariance, fitted(vectors).moments.covariance)
    assert (found.beta, found.gamma, found.dim) == (0.5, 0.25, 4)  # its settings stay
    with pytest.raises(ModelError, match="6 dimensions cannot be merged with vectors of 5"):
        fit_map.merge(fitted(sample(9, 5)), fitted(vectors))


def test_what_cannot_be_merged_into(tmp_path):
    Projection.random(6, 3, 0, PROVENANCE).save(tmp_path / "p")
    with pytest.raises(ModelError, match="p: a jl stores no statistics that could be merged"):
        fit_map.read_whitening(tmp_path / "p", PROVENANCE)
    Whitening({**PROVENANCE, "pooling": "cls"}, fitted(sample()).moments).save(tmp_path / "c")
    with pytest.raises(ModelError, match=r"c: fitted for another pooling \(cls, not mean\); only one of the same"):
        fit_map.read_whitening(tmp_path / "c", PROVENANCE)
    assert fit_map.read_whitening(tmp_path / "c", {}).provenance["pooling"] == "cls"  # vectors of unknown origin


def test_settings_are_changed_or_kept():
    first = fitted(sample(), beta=0.5, gamma=0.25).with_dim(4)
    kept = fit_map.with_settings(first, None, None, None, "c.txt")
    assert (kept.beta, kept.gamma, kept.dim) == (0.5, 0.25, 4)
    changed = fit_map.with_settings(first, 0, 1, 6, "c.txt")
    assert (changed.beta, changed.gamma, changed.dim) == (0, 1, 6)
    with pytest.raises(UsageError, match="--dim 7: this whitening of 6 dimensions has 6 to give"):
        fit_map.with_settings(first, None, None, 7, "c.txt")
    same = Moments(6)
    same.add(np.ones((9, 6), np.float32))
    with pytest.raises(DataError, match=r"c\.txt: all 9 vectors are the same"):
        fit_map.with_settings(Whitening(PROVENANCE, same), None, None, None, "c.txt")


def test_a_dimension_that_a_merge_took_away_is_not_asked_for():
    """A whitening that says 6 dimensions, of vectors that now span fewer."""
    few = fitted(sample(4))
    assert (fit_map.with_settings(fitted(sample(4), selected_dim=6), None, None, None, "c").dim, few.rank) == (3, 3)


def test_lost_dimensions_are_a_warning():
    assert fit_map.rank_warnings(fitted(sample())) == []
    assert fit_map.rank_warnings(fitted(sample(4))) == [
        "only 4 texts for 6 dimensions: the whitening has 3, and what lies outside them is lost"
    ]
    flat = sample(50)
    flat[:, 2] = 1.5
    assert fit_map.rank_warnings(fitted(flat)) == [
        "the vectors do not use all 6 dimensions: the whitening has 5, and what lies outside them is lost"
    ]


def test_a_map_is_written_to_a_file_or_into_the_folder_of_its_model(tmp_path):
    model = tmp_path / "model"
    save_embedder(model)
    own = Whitening({**PROVENANCE, "fingerprint": weights_fingerprint(model)}, fitted(sample()).moments)
    assert fit_map.write_map(own, model) == model / STORED
    assert fit_map.write_map(own, tmp_path / "w") == tmp_path / "w"
    for path in (model / STORED, tmp_path / "w"):
        np.testing.assert_array_equal(read(path).transform(sample()), own.transform(sample()))
    with pytest.raises(ModelError, match="model: not the model that it is fitted for, m; name a file"):
        fit_map.output_path(model, PROVENANCE)
    assert fit_map.output_path(model, {}) == model / STORED  # of unknown origin


def test_where_no_map_can_be_written(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match=r"--output .*photos: a folder, but not a model's; name a file"):
        fit_map.output_path(tmp_path / "photos", {})
    with pytest.raises(OutputError, match=r"w: cannot be written \(there is no folder .*nowhere\)"):
        fit_map.output_path(tmp_path / "nowhere" / "w", {})
