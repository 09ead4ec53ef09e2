"""Distances between Gaussians against closed forms, integrals and scipy, and the command."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy import linalg

from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.drift import Cloud, drift, principal_plane, read_cloud
from nlpkit.tasks.embed.encoder.linear_map import Moments


def cloud(vectors, path="x.npy", provenance=None):
    moments = Moments(vectors.shape[1])
    moments.add(vectors)
    return Cloud(path, moments, vectors[:500], provenance or {})


def gaussian(seed, dim, number=400, spread=1.0):
    random = np.random.default_rng(seed)
    return random.standard_normal((number, dim)) @ random.standard_normal((dim, dim)) * spread + random.standard_normal(
        dim
    )


def test_against_the_formulas_spelled_out():
    a, b = gaussian(0, 6), gaussian(1, 6)
    found = drift(cloud(a), cloud(b), shrinkage=0)
    (m0, m1), (s0, s1) = (a.mean(0), b.mean(0)), (np.cov(a.T, bias=True), np.cov(b.T, bias=True))
    gap, middle = m1 - m0, (s0 + s1) / 2

    def kl(s0, s1):
        logs = np.log(np.linalg.det(s1) / np.linalg.det(s0))
        return (np.trace(np.linalg.inv(s1) @ s0) - 6 + gap @ np.linalg.inv(s1) @ gap + logs) / 2

    root = linalg.sqrtm(s0)
    bhattacharyya = (
        gap @ np.linalg.inv(middle) @ gap / 8
        + np.log(np.linalg.det(middle) / np.sqrt(np.linalg.det(s0) * np.linalg.det(s1))) / 2
    )
    w2 = np.sqrt(gap @ gap + np.trace(s0 + s1 - 2 * np.real(linalg.sqrtm(root @ s1 @ root))))
    expected = (kl(s0, s1), kl(s1, s0), bhattacharyya, w2, np.linalg.norm(gap))
    np.testing.assert_allclose(astuple(found), expected, rtol=1e-6)


def test_against_integrals_in_one_dimension():
    a, b = gaussian(2, 1), gaussian(3, 1)
    found = drift(cloud(a), cloud(b), shrinkage=0)
    x = np.linspace(-40, 40, 400_001)
    p, q = (np.exp(-((x - v.mean()) ** 2) / (2 * v.var())) / np.sqrt(2 * np.pi * v.var()) for v in (a, b))
    keep = (p > 0) & (q > 0)
    step = x[1] - x[0]
    assert found.kl == pytest.approx(
        (p * np.log(np.where(keep, p, 1) / np.where(keep, q, 1)))[keep].sum() * step, rel=1e-5
    )
    assert found.bhattacharyya == pytest.approx(-np.log(np.sqrt(p * q).sum() * step), rel=1e-5)
    assert found.w2 == pytest.approx(np.hypot(a.mean() - b.mean(), a.std() - b.std()), rel=1e-9)


@pytest.mark.parametrize("dim", [3, 50])
def test_a_cloud_is_nowhere_from_itself(dim):
    a = gaussian(4, dim, number=30)  # fewer than 50 dimensions
    np.testing.assert_allclose(astuple(drift(cloud(a), cloud(a.copy()))), 0, atol=1e-5)


def test_it_is_symmetric_where_it_should_be_and_grows_with_the_shift():
    a, b = cloud(gaussian(5, 8)), cloud(gaussian(6, 8))
    there, back = drift(a, b), drift(b, a)
    assert (there.kl, there.kl_reverse) == pytest.approx((back.kl_reverse, back.kl))
    assert (there.bhattacharyya, there.w2) == pytest.approx((back.bhattacharyya, back.w2))
    base = gaussian(7, 8)
    found = [astuple(drift(cloud(base), cloud(base + shift))) for shift in (0.1, 0.5, 2.0)]
    assert (np.diff(np.array(found), axis=0) > 0).all()
    assert found[2][3] == pytest.approx(2.0 * 8**0.5)  # W2 of a pure shift is its length


def test_singular_covariances_are_shrunk_or_refused():
    few, many = cloud(gaussian(8, 40, number=10), "few.npy"), cloud(gaussian(9, 40), "many.npy")
    found = astuple(drift(few, many))
    assert np.isfinite(found).all()
    with pytest.raises(UsageError, match=r"few\.npy.*10 vectors in 40 dimensions.*--shrinkage"):
        drift(few, many, shrinkage=0)
    with pytest.raises(UsageError, match=r"few\.npy"):
        drift(many, few, shrinkage=0)


def test_shrinking_is_what_it_says():
    a, b = gaussian(10, 5), gaussian(11, 5)
    found = drift(cloud(a), cloud(b), shrinkage=0.1)
    covariances = [np.cov(vectors.T, bias=True) for vectors in (a, b)]
    variance = np.mean([np.trace(covariance) for covariance in covariances]) / 5
    s0, s1 = (0.9 * covariance + 0.1 * variance * np.eye(5) for covariance in covariances)
    gap, inverse = b.mean(0) - a.mean(0), np.linalg.inv(s1)
    logs = np.linalg.slogdet(s1)[1] - np.linalg.slogdet(s0)[1]
    assert found.kl == pytest.approx((np.trace(inverse @ s0) - 5 + gap @ inverse @ gap + logs) / 2)
    assert found.w2 == pytest.approx(drift(cloud(a), cloud(b), shrinkage=0).w2)


def test_many_dimensions_with_tiny_variances():
    """The determinants themselves would be 0 in floating point."""
    a = np.random.default_rng(0).standard_normal((2000, 300)) * 1e-3
    found = drift(cloud(a), cloud(a * 2))
    assert found.kl == pytest.approx(300 / 2 * (0.25 - 1 + np.log(4)), rel=0.01)
    assert found.w2 == pytest.approx(np.sqrt(np.trace(np.cov(a.T))), rel=0.01)


def test_the_plane_shows_what_differs_most():
    random = np.random.default_rng(1)
    a = random.standard_normal((900, 10)) * [3, 1, *[0.01] * 8]
    b = a + np.array([0, 0, 50, *[0] * 7])
    ours, theirs, shares = principal_plane(cloud(a), cloud(b))
    assert np.abs(ours[:, 0].mean() - theirs[:, 0].mean()) == pytest.approx(50, rel=1e-3)
    assert shares[0] > 0.9
    assert ours[:, 1].std() == pytest.approx(3, rel=0.1)
    one, other, shares = principal_plane(cloud(a[:, :1]), cloud(b[:, :1] + 1))
    assert (one.shape, other.shape, shares[1]) == ((500, 2), (500, 2), 0.0)


def test_one_pass_in_pieces(tmp_path):
    vectors = gaussian(12, 7).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    whole = read_cloud(str(tmp_path / "v.npy"))
    parts = read_cloud(str(tmp_path / "v.npy"), max_bytes=300, max_points=5)
    assert whole.moments.count == parts.moments.count == 400
    np.testing.assert_allclose(parts.moments.covariance, np.cov(vectors.T, bias=True), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(parts.moments.mean, whole.moments.mean, atol=1e-9)
    np.testing.assert_array_equal(parts.points, vectors[[0, 99, 199, 299, 399]])


def nan_in(row):
    vectors = np.ones((9, 3), dtype=np.float32)
    vectors[row, 1] = np.nan
    return vectors


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.ones(5), "a matrix of floats"),
        (np.ones((5, 2), dtype=np.int8), "a matrix of floats"),
        (np.ones((1, 2)), r"1 vector\(s\)"),
        (np.ones((5, 0)), "a matrix of floats"),
        (nan_in(6), "NaN or infinity in vector 6"),
    ],
)
def test_what_is_no_cloud(tmp_path, vectors, words):
    np.save(tmp_path / "v.npy", vectors)
    with pytest.raises(DataError, match=words):
        read_cloud(str(tmp_path / "v.npy"))


def test_what_cannot_be_compared():
    a, wide = cloud(gaussian(0, 4)), cloud(gaussian(0, 5))
    with pytest.raises(DataError, match="5 dimensions"):
        drift(a, wide)
    same = cloud(np.full((9, 4), 0.1))
    for one, other in ((same, same), (a, same), (same, a)):
        with pytest.raises(DataError, match="all 9 vectors are the same"):
            drift(one, other)
    ours, theirs = (
        {"model": name, "fingerprint": name, "pooling": "mean", "whitening": None, "dim": 4} for name in "xy"
    )
    with pytest.raises(ModelError, match="another model"):
        drift(cloud(gaussian(0, 4), provenance=ours), cloud(gaussian(1, 4), provenance=theirs))
