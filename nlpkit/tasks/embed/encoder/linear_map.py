"""Linear maps of embeddings: whitening (kexue.fm 8069, 8321, 9079) and Johnson–Lindenstrauss projection.

    moments = Moments(384); moments.add(vectors)         # one pass over any number of vectors; two passes merge
    Whitening(provenance, moments).save(path)            # stores count, μ and Σ, so any dim, β, γ can be chosen later
    read(path).with_dim(128).transform(vectors)          # (x − βμ)·U·Λ^(−γ/2), the first 128 directions

U and Λ are the eigenvectors and eigenvalues of Σ in descending order. β = γ = 1 whitens. β = γ = 0 is a PCA that only
rotates the space: it loses little, and is the safe choice for an encoder trained with labels, which whitening harms.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from typing_extensions import TypedDict, override

from nlpkit.core.io.folders import check_name
from nlpkit.core.io.json_shapes import Size, conform
from nlpkit.core.model.contents import check_finite
from nlpkit.core.model.manifest import reader, reason
from nlpkit.errors import DataError, ModelError, UsageError

STORED = "whitening.safetensors"  # its name inside a model's folder
LOWER = "covariance_lower"  # the lower triangle of Σ, row by row; the upper one is the same
VANISHING = 1e-7  # a direction with less than this fraction of the largest variance holds rounding errors, not meaning
Vectors = NDArray[np.floating[Any]]


class Moments:
    """Count, mean and scatter matrix of vectors, updated batch by batch in float64 (Chan, Golub and LeVeque 1979).

    Args:
        dim: of the vectors.
    """

    def __init__(self, dim: int):
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(dim)
        self.scatter: NDArray[np.float64] = np.zeros((dim, dim))  # Σ (x − μ)(x − μ)ᵀ

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Σ = scatter / count, [d, d]."""
        return self.scatter / max(1, self.count)

    def add(self, vectors: Vectors) -> None:
        """Update with vectors [n, d].

        Raises:
            ValueError: a vector holds NaN or infinity.
        """
        if not len(vectors):
            return
        batch = Moments(len(self.mean))
        wide = vectors.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            batch.count, batch.mean = len(wide), wide.mean(0)
        if not np.isfinite(batch.mean).all():
            raise ValueError("NaN or infinity in a vector")
        wide -= batch.mean
        with np.errstate(over="ignore", invalid="ignore"):
            batch.scatter = wide.T @ wide
        if not np.isfinite(batch.scatter).all():
            raise ValueError("a vector with numbers too large for a variance")
        self.merge(batch)

    def merge(self, other: "Moments") -> None:
        """Update with all vectors of other moments."""
        total = self.count + other.count
        if not total:
            return
        difference = other.mean - self.mean
        self.scatter += other.scatter + np.outer(difference, difference) * (self.count * other.count / total)
        self.mean = self.mean + difference * (other.count / total)
        self.count = total


@dataclass(frozen=True)
class LinearMap(ABC):
    """A linear map fitted for the vectors of one encoder.

    Attributes:
        provenance: of those vectors, see `Embedder`; empty if unknown.
    """

    kind: ClassVar[str]

    provenance: dict[str, Any]

    @property
    @abstractmethod
    def width(self) -> int:
        """Dimensions of the input."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Maximum dimensions of the output."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimensions of the output."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Values that the file stores beside its tensors."""

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of kind, settings and tensors; maps with the same hash give the same vectors, up to `dim`."""
        digest = hashlib.blake2b(digest_size=8)
        settings = {name: value for name, value in self.settings.items() if name != "dim"}
        digest.update(json.dumps([self.kind, settings], sort_keys=True).encode())
        for name, tensor in sorted(self.tensors().items()):
            digest.update(name.encode() + tensor.tobytes())
        return digest.hexdigest()

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the tensors that make the map."""

    def stored(self) -> dict[str, NDArray[Any]]:
        """Return the tensors as the file has them."""
        return self.tensors()

    @abstractmethod
    def transform(self, vectors: Vectors) -> NDArray[np.float32]:
        """Return [n, dim] for [n, width], not normalized."""

    @abstractmethod
    def _truncated(self, dim: int) -> Self:
        """Return the same map with fewer dimensions."""

    def with_dim(self, dim: int | None) -> Self:
        """Return the same map with `dim` dimensions, or with the current ones when None.

        Raises:
            UsageError: the rank is lower.
        """
        if dim is None:
            return self
        if dim > self.rank:
            raise UsageError(f"--dim {dim}: this {self.kind} of {self.width} dimensions has {self.rank} to give")
        return self._truncated(dim)

    def save(self, path: Path, *, inside: bool = False) -> None:
        """Write the file; `inside` tells that it is part of a model folder, see `core.io.output.replacing_inside`.

        Raises:
            OutputError: it cannot be written.
        """
        import torch

        from nlpkit.core.model.checkpoint import save_tensors

        metadata = {"kind": self.kind, "identity": self.provenance, **self.settings}
        tensors = {name: torch.from_numpy(value) for name, value in self.stored().items()}
        save_tensors(tensors, path, {"nlpkit": json.dumps(metadata)}, inside=inside)


@dataclass(frozen=True)
class Whitening(LinearMap):
    """A whitening or PCA; see the module.

    Attributes:
        moments: of the vectors that it was fitted on.
        beta: β, fraction of the mean that is subtracted.
        gamma: γ, exponent of the variance normalization.
        selected_dim: dimensions of the output; all that do not vanish when None.
    """

    kind: ClassVar[str] = "whitening"

    moments: Moments
    beta: float = 1.0
    gamma: float = 1.0
    selected_dim: int | None = None

    @property
    @override
    def width(self) -> int:
        return len(self.moments.mean)

    @cached_property
    @override
    def rank(self) -> int:
        """Return the number of directions in which the vectors vary: fewer than dimensions if there are few vectors."""
        values = self._spectrum[0]
        return int((values > VANISHING * values[0]).sum()) if values[0] > 0 else 0

    @property
    @override
    def dim(self) -> int:
        return self.rank if self.selected_dim is None else self.selected_dim

    @property
    @override
    def settings(self) -> dict[str, Any]:
        return {"beta": self.beta, "gamma": self.gamma, "dim": self.selected_dim, "count": self.moments.count}

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return {
            "mean": self.moments.mean,
            "covariance": self.moments.covariance,
        }

    @override
    def stored(self) -> dict[str, NDArray[Any]]:
        covariance = self.moments.covariance
        return {"mean": self.moments.mean, LOWER: covariance[np.tril_indices_from(covariance)]}

    @cached_property
    def _spectrum(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Λ [d] in descending order, and U [d, d]; the largest entry of each column is positive."""
        values, vectors = np.linalg.eigh(self.moments.covariance)
        values, vectors = values[::-1], vectors[:, ::-1]
        largest = vectors[np.abs(vectors).argmax(0), np.arange(len(values))]
        return values, vectors * np.sign(largest)

    @cached_property
    def kernel(self) -> NDArray[np.float64]:
        """Return U·Λ^(−γ/2), [width, dim]; directions of vanishing variance are never included."""
        values, vectors = self._spectrum
        return vectors[:, : self.dim] * values[: self.dim] ** (-self.gamma / 2)

    @cached_property
    def _affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        kernel = self.kernel
        return kernel.astype(np.float32), (-self.beta * self.moments.mean @ kernel).astype(np.float32)

    @override
    def transform(self, vectors: Vectors) -> NDArray[np.float32]:
        kernel, bias = self._affine
        result: NDArray[np.float32] = vectors.astype(np.float32, copy=False) @ kernel + bias
        return result

    @override
    def _truncated(self, dim: int) -> Self:
        return replace(self, selected_dim=dim)

    def validated(self, source: str | None = None) -> Self:
        """Return the whitening itself, if its vectors vary.

        Raises:
            DataError: all vectors are the same, or there are none.
        """
        if not self.rank:
            problem = "no vectors" if not self.moments.count else f"all {self.moments.count} vectors are the same"
            raise DataError(f"{problem}; a whitening needs a corpus of texts that differ", source)
        return self.with_dim(self.selected_dim)


@dataclass(frozen=True)
class Projection(LinearMap):
    """Johnson–Lindenstrauss: x·A with A [width, dim] ~ N(0, 1/dim), which keeps inner products in expectation.

    24·ln N/ε² dimensions keep those of N vectors within ε; 8·ln N is a rule of thumb. It needs no corpus.

    Attributes:
        matrix: A.
    """

    kind: ClassVar[str] = "jl"

    matrix: NDArray[np.float32]

    @classmethod
    def random(cls, width: int, dim: int, seed: int, provenance: dict[str, Any]) -> "Projection":
        """Return a random projection that depends only on its sizes and the seed."""
        matrix = np.random.default_rng(seed).standard_normal((width, dim), dtype=np.float32)
        return cls(provenance, matrix / np.float32(dim**0.5))

    @property
    @override
    def width(self) -> int:
        return len(self.matrix)

    @property
    @override
    def rank(self) -> int:
        return int(self.matrix.shape[1])

    @property
    @override
    def dim(self) -> int:
        return int(self.matrix.shape[1])

    @property
    @override
    def settings(self) -> dict[str, Any]:
        return {}

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"matrix": self.matrix}

    @override
    def transform(self, vectors: Vectors) -> NDArray[np.float32]:
        result: NDArray[np.float32] = vectors.astype(np.float32, copy=False) @ self.matrix
        return result

    @override
    def _truncated(self, dim: int) -> Self:
        return replace(self, matrix=np.ascontiguousarray(self.matrix[:, :dim]) * np.float32((self.dim / dim) ** 0.5))


def read(path: Path) -> LinearMap:
    """Read a map from its file.

    Raises:
        ModelError: the file is missing, broken, or not a map of nlpkit.
        UsageError: its name is not UTF-8.
    """
    check_name(path)
    files = reader(path.parent)
    try:
        files.open(path.name).close()
        with safe_open(path, "np") as stream:
            metadata = json.loads((stream.metadata() or {}).get("nlpkit", "null"))
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        check_finite(tensors, path)
        return _parsed(metadata, tensors)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; make one with nlpkit train whitening") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: truncated or not safetensors ({reason(error)}); copy or fit it again") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(f"{path}: not a whitening of nlpkit; make one with nlpkit train whitening") from None


class _Metadata(TypedDict):
    kind: Literal["whitening", "jl"]
    identity: dict[str, Any]


class _WhiteningMetadata(TypedDict):
    count: Size
    beta: float
    gamma: float
    dim: Size | None


def _parsed(metadata: Any, tensors: dict[str, NDArray[Any]]) -> LinearMap:
    """Return the map in a file; raises KeyError or ValueError if it is none."""
    common = conform(metadata, _Metadata)
    provenance, width = common["identity"], len(tensors.get("mean", tensors.get("matrix", ())))
    shapes = {name: (value.dtype.name, value.shape) for name, value in tensors.items()}
    if common["kind"] == Projection.kind:
        if tensors["matrix"].dtype != np.float32 or tensors["matrix"].ndim != 2 or not tensors["matrix"].size:
            raise ValueError(shapes)
        return Projection(provenance, tensors["matrix"])
    size = width * (width + 1) // 2
    if shapes == {"mean": ("float64", (width,)), LOWER: ("float64", (size,))}:
        covariance = np.zeros((width, width))
        covariance[np.tril_indices(width)] = tensors[LOWER]
        covariance += np.tril(covariance, -1).T
    elif shapes == {"mean": ("float64", (width,)), "covariance": ("float64", (width, width))}:  # of early files
        covariance = tensors["covariance"]
    else:
        raise ValueError(shapes)
    fitted = conform(metadata, _WhiteningMetadata)
    moments = Moments(width)
    moments.count, moments.mean = fitted["count"], tensors["mean"]
    moments.scatter = covariance * moments.count
    whitening = Whitening(provenance, moments, fitted["beta"], fitted["gamma"], fitted["dim"])
    if whitening.dim > whitening.rank:
        raise ValueError(f"{whitening.dim} dimensions of {whitening.rank}")
    return whitening
