"""How far the embeddings of two corpora lie apart: distances between the Gaussians that fit them (kexue.fm 8512).

With μ, Σ of each and Δ = μ_b − μ_a, d dimensions:

    KL(a‖b)          ½ [tr(Σ_b⁻¹Σ_a) − d + ΔᵀΣ_b⁻¹Δ + ln |Σ_b|/|Σ_a|]
    Bhattacharyya    ⅛ ΔᵀΣ⁻¹Δ + ½ ln |Σ|/√(|Σ_a||Σ_b|), where Σ = (Σ_a + Σ_b)/2
    W2²              |Δ|² + tr Σ_a + tr Σ_b − 2 tr (Σ_a^½ Σ_b Σ_a^½)^½

The first two need inverses, which fewer vectors than dimensions do not have. So both covariances are shrunk alike,
(1 − λ)Σ + λτI, where τ is the mean variance of a dimension over both corpora; λ = 0 gives the formulas as they stand.
W2 needs no inverse and no shrinking; the trace of its root is a sum of singular values, those of Σ_a^½ Σ_b^½, which
keeps the small ones that squaring would lose.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.encoder.postprocess import differences
from nlpkit.tasks.embed.vectors import add_vectors, map_vectors, read_sidecar
from nlpkit.tasks.embed.whitening.whitening import VANISHING, Moments

PIECE = 1 << 24  # bytes that are read at once
POINTS = 2000  # vectors of each corpus that a plot shows
SHRINKAGE = 1e-3
ROUNDING = 1e-12  # the variance that equal texts may have, as a share of the square of their vectors' length
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cloud:
    """The vectors of a corpus, as far as they are needed.

    Attributes:
        path: of the .npy.
        moments: of all vectors.
        points: some of them, evenly spaced in the file, [p, d].
        identity: what the file beside the .npy says, see `Embedder`; nothing where there is none.
    """

    path: str
    moments: Moments
    points: NDArray[np.float32]
    identity: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drift:
    """Distances in nats (KL, Bhattacharyya) and in the units of the vectors (W2, mean)."""

    kl: float
    kl_reverse: float
    bhattacharyya: float
    w2: float
    mean_distance: float


def read_cloud(path: str) -> Cloud:
    """The moments of a .npy in one pass.

    Raises:
        DataError: it is no matrix of floats, or has NaN in it or fewer than two rows.
    """
    vectors = map_vectors(path)
    if len(vectors) < 2:
        raise DataError(f"{len(vectors)} vector(s); two are the least that have a spread", path)
    moments = Moments(vectors.shape[1])
    for start, piece in _pieces(vectors):
        add_vectors(moments, piece, start, path)
    chosen = np.unique(np.linspace(0, len(vectors) - 1, min(POINTS, len(vectors))).astype(np.int64))
    return Cloud(path, moments, np.asarray(vectors[chosen], dtype=np.float32), read_sidecar(path))


def _pieces(vectors: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    rows = max(1, PIECE // (vectors.shape[1] * vectors.itemsize))
    for start in range(0, len(vectors), rows):
        yield start, np.array(vectors[start : start + rows])


def drift(first: Cloud, second: Cloud, shrinkage: float = SHRINKAGE) -> Drift:
    """The distances between two clouds; see the module.

    Raises:
        DataError: they have different dimensions, or no spread at all.
        ModelError: they are of different models.
        UsageError: a covariance is singular and may not be shrunk.
    """
    a, b = first.moments, second.moments
    if len(a.mean) != len(b.mean):
        raise DataError(f"vectors of {len(b.mean)} dimensions; those of {first.path} have {len(a.mean)}", second.path)
    if first.identity and second.identity and (changed := differences(first.identity, second.identity)):
        raise ModelError(f"{second.path}: vectors of another {', '.join(changed)} than those of {first.path}")
    apart = b.mean - a.mean
    ours, theirs = _shrunk(first, second, shrinkage)
    half = (ours + theirs) / 2
    logs = {name: _log_determinant(matrix) for name, matrix in (("a", ours), ("b", theirs), ("half", half))}
    return Drift(
        kl=_kl(ours, theirs, apart, logs["b"] - logs["a"]),
        kl_reverse=_kl(theirs, ours, apart, logs["a"] - logs["b"]),
        bhattacharyya=max(0.0, _form(half, apart) / 8 + (logs["half"] - (logs["a"] + logs["b"]) / 2) / 2),
        w2=_w2(a.covariance, b.covariance, apart),
        mean_distance=float(np.linalg.norm(apart)),
    )


def warnings(cloud: Cloud) -> list[str]:
    """What a user should know of a corpus: that it is too small to fill its space."""
    count, dim = cloud.moments.count, len(cloud.moments.mean)
    few = f"{cloud.path}: {count} vectors are no more than {dim} dimensions"
    return [f"{few}: KL and Bhattacharyya depend on --shrinkage"] if count <= dim else []


def plane(first: Cloud, second: Cloud) -> tuple[Matrix, Matrix, list[float]]:
    """Where the points of both lie in the two directions in which both together differ most.

    Returns:
        [p, 2] of the first, [p, 2] of the second, and the share of all variance of either direction.
    """
    both = Moments(len(first.moments.mean))
    for cloud in (first, second):  # as if both had as many vectors
        alike = Moments(len(both.mean))
        alike.count, alike.mean, alike.scatter = 1, cloud.moments.mean, cloud.moments.covariance
        both.merge(alike)
    values, vectors = np.linalg.eigh(both.covariance)
    directions = vectors[:, ::-1][:, :2]
    directions = directions * np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])
    if directions.shape[1] < 2:
        directions = np.pad(directions, ((0, 0), (0, 1)))
    shares = (values[::-1][:2] / max(values.sum(), 1e-300)).tolist()
    ours, theirs = ((cloud.points - both.mean) @ directions for cloud in (first, second))
    return ours, theirs, [*shares, 0.0][:2]


def _shrunk(first: Cloud, second: Cloud, shrinkage: float) -> tuple[Matrix, Matrix]:
    covariances = [cloud.moments.covariance for cloud in (first, second)]
    for cloud, covariance in zip((first, second), covariances, strict=True):
        if np.trace(covariance) <= ROUNDING * cloud.moments.mean @ cloud.moments.mean:
            raise DataError(f"all {cloud.moments.count} vectors are the same; give a corpus that varies", cloud.path)
    variance = float(np.mean([np.trace(covariance) for covariance in covariances])) / len(covariances[0])
    floor = shrinkage * variance * np.eye(len(covariances[0]))
    ours, theirs = ((1 - shrinkage) * covariance + floor for covariance in covariances)
    for cloud, matrix in ((first, ours), (second, theirs)):
        values = np.linalg.eigvalsh(matrix)
        if values[0] <= max(VANISHING * values[-1], 0) * (shrinkage == 0):
            few = f"{cloud.moments.count} vectors in {len(values)} dimensions"
            raise UsageError(f"{cloud.path}: its covariance is singular ({few}); give a --shrinkage above 0")
    return ours, theirs


def _kl(ours: Matrix, theirs: Matrix, apart: Matrix, log_ratio: float) -> float:
    """KL(ours‖theirs); log_ratio is ln |theirs|/|ours|."""
    trace = float(np.trace(np.linalg.solve(theirs, ours)))
    return max(0.0, (trace - len(apart) + _form(theirs, apart) + log_ratio) / 2)


def _form(matrix: Matrix, vector: Matrix) -> float:
    """vᵀ M⁻¹ v."""
    return float(vector @ np.linalg.solve(matrix, vector))


def _log_determinant(matrix: Matrix) -> float:
    """Of a positive definite matrix, through its Cholesky factor: the determinant itself would underflow."""
    return 2 * float(np.log(np.diag(np.linalg.cholesky(matrix))).sum())


def _w2(ours: Matrix, theirs: Matrix, apart: Matrix) -> float:
    crossed = np.linalg.svd(_root(ours) @ _root(theirs), compute_uv=False).sum()
    square = float(apart @ apart + np.trace(ours) + np.trace(theirs) - 2 * crossed)
    return math.sqrt(max(0.0, square))


def _root(matrix: Matrix) -> Matrix:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: Matrix = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
