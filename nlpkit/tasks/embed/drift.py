"""Distance between the embeddings of two corpora: distances between the Gaussians fitted to them (kexue.fm 8512).

With μ, Σ of each and Δ = μ_b − μ_a, d dimensions:

    KL(a‖b)          ½ [tr(Σ_b⁻¹Σ_a) − d + ΔᵀΣ_b⁻¹Δ + ln |Σ_b|/|Σ_a|]
    Bhattacharyya    ⅛ ΔᵀΣ⁻¹Δ + ½ ln |Σ|/√(|Σ_a||Σ_b|), where Σ = (Σ_a + Σ_b)/2
    W2²              |Δ|² + tr Σ_a + tr Σ_b − 2 tr (Σ_a^½ Σ_b Σ_a^½)^½

The first two need inverses, which do not exist for fewer vectors than dimensions. Both covariances are therefore
shrunk, (1 − λ)Σ + λτI, where τ is the mean variance of a dimension over both corpora; λ = 0 is no shrinkage. W2 needs
no inverse and no shrinkage; the trace of its root is a sum of singular values, those of Σ_a^½ Σ_b^½, which keeps the
small ones that squaring would lose.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.encoder.linear_map import VANISHING, Moments
from nlpkit.tasks.embed.encoder.postprocess import incompatibilities
from nlpkit.tasks.embed.vectors import VectorFile, add_vectors, read_sidecar

MAX_BYTES = 1 << 24  # read at a time
MAX_POINTS = 2000  # vectors of each corpus in a plot
SHRINKAGE = 1e-3
ROUNDING = 1e-12  # the variance that equal texts may have, as a fraction of the square of their vectors' length
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cloud:
    """The vectors of a corpus as a cloud of points.

    Attributes:
        path: of the .npy file.
        moments: of all vectors.
        points: some of the vectors, evenly spaced in the file, [p, d].
        provenance: of the vectors, from the sidecar; empty if there is none.
    """

    path: str
    moments: Moments
    points: NDArray[np.float32]
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drift:
    """Distances in nats (KL, Bhattacharyya) and in the unit of the vectors (W2, mean)."""

    kl: float
    kl_reverse: float
    bhattacharyya: float
    w2: float
    mean_distance: float


def read_cloud(path: str, *, max_points: int = MAX_POINTS, max_bytes: int = MAX_BYTES) -> Cloud:
    """Read the vectors of a .npy file in one pass.

    Args:
        path: of the file.
        max_points: number of vectors to keep for a plot.
        max_bytes: number of bytes to read at a time.

    Raises:
        DataError: it is no matrix of floats, holds NaN, or has fewer than two vectors.
    """
    file = VectorFile.open(path)
    length, dim = file.shape
    if length < 2:
        raise DataError(f"{length} vector(s); a spread needs at least two", path)
    moments, points = Moments(dim), list[NDArray[np.float32]]()
    chosen = np.unique(np.linspace(0, length - 1, min(max_points, length)).astype(np.int64))
    for start, piece in file.pieces(max_bytes):
        add_vectors(moments, piece, start, path)
        first, last = np.searchsorted(chosen, [start, start + len(piece)])
        points.append(piece[chosen[first:last] - start].astype(np.float32))
    return Cloud(path, moments, np.concatenate(points), read_sidecar(path))


def drift(first: Cloud, second: Cloud, shrinkage: float = SHRINKAGE) -> Drift:
    """Return the distances between two clouds; see the module.

    Raises:
        DataError: they have different dimensions, or all vectors are the same.
        ModelError: they were made by different models.
        UsageError: a covariance is singular and shrinkage is 0.
    """
    a, b = first.moments, second.moments
    if len(a.mean) != len(b.mean):
        raise DataError(f"vectors of {len(b.mean)} dimensions; those of {first.path} have {len(a.mean)}", second.path)
    if first.provenance and second.provenance and (changed := incompatibilities(first.provenance, second.provenance)):
        raise ModelError(f"{second.path}: vectors of another {', '.join(changed)} than those of {first.path}")
    shift = b.mean - a.mean
    ours, theirs = _shrunk_covariances(first, second, shrinkage)
    mean = (ours + theirs) / 2
    log_a, log_b, log_mean = map(_log_determinant, (ours, theirs, mean))
    return Drift(
        kl=_kl(ours, theirs, shift, log_b - log_a),
        kl_reverse=_kl(theirs, ours, shift, log_a - log_b),
        bhattacharyya=max(0.0, _quadratic_form(mean, shift) / 8 + (log_mean - (log_a + log_b) / 2) / 2),
        w2=_w2(a.covariance, b.covariance, shift),
        mean_distance=float(np.linalg.norm(shift)),
    )


def size_warnings(cloud: Cloud) -> list[str]:
    """Return a warning if a corpus has too few vectors for its dimensions."""
    count, dim = cloud.moments.count, len(cloud.moments.mean)
    sizes = f"{cloud.path}: only {count} vectors for {dim} dimensions"
    return [f"{sizes}: KL and Bhattacharyya depend on --shrinkage"] if count <= dim else []


def principal_plane(first: Cloud, second: Cloud) -> tuple[Matrix, Matrix, list[float]]:
    """Project the points of both clouds on the two principal directions of both together.

    Returns:
        [p, 2] of the first, [p, 2] of the second, and the fraction of the variance along each direction.
    """
    both = Moments(len(first.moments.mean))
    for cloud in (first, second):  # both corpora have the same weight
        single = Moments(len(both.mean))
        single.count, single.mean, single.scatter = 1, cloud.moments.mean, cloud.moments.covariance
        both.merge(single)
    values, vectors = np.linalg.eigh(both.covariance)
    directions = vectors[:, ::-1][:, :2]
    directions = directions * np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])
    if directions.shape[1] < 2:
        directions = np.pad(directions, ((0, 0), (0, 1)))
    fractions = (values[::-1][:2] / max(values.sum(), 1e-300)).tolist()
    ours, theirs = ((cloud.points - both.mean) @ directions for cloud in (first, second))
    return ours, theirs, [*fractions, 0.0][:2]


def _shrunk_covariances(first: Cloud, second: Cloud, shrinkage: float) -> tuple[Matrix, Matrix]:
    covariances = [cloud.moments.covariance for cloud in (first, second)]
    for cloud, covariance in zip((first, second), covariances, strict=True):
        if np.trace(covariance) <= ROUNDING * cloud.moments.mean @ cloud.moments.mean:
            raise DataError(f"all {cloud.moments.count} vectors are the same; give a corpus that varies", cloud.path)
    variance = float(np.mean([np.trace(covariance) for covariance in covariances])) / len(covariances[0])
    target = shrinkage * variance * np.eye(len(covariances[0]))
    ours, theirs = ((1 - shrinkage) * covariance + target for covariance in covariances)
    for cloud, matrix in ((first, ours), (second, theirs)):
        values = np.linalg.eigvalsh(matrix)
        if values[0] <= max(VANISHING * values[-1], 0) * (shrinkage == 0):
            sizes = f"{cloud.moments.count} vectors in {len(values)} dimensions"
            raise UsageError(f"{cloud.path}: its covariance is singular ({sizes}); pass a --shrinkage above 0")
    return ours, theirs


def _kl(ours: Matrix, theirs: Matrix, shift: Matrix, log_ratio: float) -> float:
    """Return KL(ours‖theirs); log_ratio is ln |theirs|/|ours|."""
    trace = float(np.trace(np.linalg.solve(theirs, ours)))
    return max(0.0, (trace - len(shift) + _quadratic_form(theirs, shift) + log_ratio) / 2)


def _quadratic_form(matrix: Matrix, vector: Matrix) -> float:
    """Return vᵀ M⁻¹ v."""
    return float(vector @ np.linalg.solve(matrix, vector))


def _log_determinant(matrix: Matrix) -> float:
    """Return ln |M| of a positive definite matrix by its Cholesky factor; the determinant itself would underflow."""
    return 2 * float(np.log(np.diag(np.linalg.cholesky(matrix))).sum())


def _w2(ours: Matrix, theirs: Matrix, shift: Matrix) -> float:
    cross_trace = np.linalg.svd(_root(ours) @ _root(theirs), compute_uv=False).sum()
    square = float(shift @ shift + np.trace(ours) + np.trace(theirs) - 2 * cross_trace)
    return math.sqrt(max(0.0, square))


def _root(matrix: Matrix) -> Matrix:
    """Return the symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root: Matrix = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
