"""Whitening (kexue.fm 8069, 8321, 9079) and Johnson–Lindenstrauss projections: linear maps behind an encoder.

    moments = Moments(384); moments.add(vectors)         # one pass over any number of vectors; two passes merge
    Whitening(moments, identity).save(path)              # what is kept is (count, μ, Σ): any dim, β, γ can be had later
    read(path).at(128).transform(vectors)                # (x − βμ)·U·Λ^(−γ/2), the first 128 directions

U and Λ are the eigenvectors and -values of Σ, greatest first. β = γ = 1 whitens; β = γ = 0 is a PCA that only turns the
space, near lossless and the safe choice for an encoder that was trained with labels, which whitening makes worse.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from typing_extensions import Self, TypedDict

from nlpkit.core.io.folders import check_name
from nlpkit.core.io.json_shapes import Size, conform
from nlpkit.core.model.checkpoint import check_finite, save_tensors
from nlpkit.core.model.manifest import reader, reason
from nlpkit.errors import DataError, ModelError, UsageError

STORED = "whitening.safetensors"  # its name inside a model's folder
VANISHING = 1e-7  # a direction with less than this share of the greatest variance holds rounding errors, not meaning
Vectors = NDArray[np.floating[Any]]


class Moments:
    """Count, mean and scatter of vectors that come in pieces, in float64 (Chan, Golub and LeVeque 1979).

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
        """Takes in vectors [n, d].

        Raises:
            ValueError: one of them holds NaN or infinity.
        """
        if not len(vectors):
            return
        piece = Moments(len(self.mean))
        wide = vectors.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            piece.count, piece.mean = len(wide), wide.mean(0)
        if not np.isfinite(piece.mean).all():
            raise ValueError("NaN or infinity in a vector")
        wide -= piece.mean
        with np.errstate(over="ignore", invalid="ignore"):
            piece.scatter = wide.T @ wide
        if not np.isfinite(piece.scatter).all():
            raise ValueError("a vector with numbers too large for a variance")
        self.merge(piece)

    def merge(self, other: "Moments") -> None:
        """Takes in what another has seen."""
        total = self.count + other.count
        if not total:
            return
        apart = other.mean - self.mean
        self.scatter += other.scatter + np.outer(apart, apart) * (self.count * other.count / total)
        self.mean = self.mean + apart * (other.count / total)
        self.count = total


@dataclass(frozen=True)
class LinearMap(ABC):
    """A map fitted for the vectors of one encoder.

    Attributes:
        identity: of those vectors, see `Embedder`; empty where nobody knows whose they were.
    """

    kind: ClassVar[str]

    identity: dict[str, Any]

    @property
    @abstractmethod
    def width(self) -> int:
        """Dimensions of what goes in."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """The most dimensions that can come out."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """How many come out."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the file says besides its tensors."""

    @cached_property
    def mark(self) -> str:
        """A fingerprint: maps with the same one give the same vectors (their dimensions apart)."""
        found = hashlib.blake2b(digest_size=8)
        settings = {name: value for name, value in self.settings.items() if name != "dim"}
        found.update(json.dumps([self.kind, settings], sort_keys=True).encode())
        for name, tensor in sorted(self.tensors().items()):
            found.update(name.encode() + tensor.numpy().tobytes())
        return found.hexdigest()

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """What the file keeps."""

    @abstractmethod
    def transform(self, vectors: Vectors) -> NDArray[np.float32]:
        """[n, width] to [n, dim]; not of unit length."""

    @abstractmethod
    def _cut(self, dim: int) -> Self:
        """The same with fewer dimensions."""

    def at(self, dim: int | None) -> Self:
        """The same with `dim` dimensions; with those that it has when None.

        Raises:
            UsageError: there are not so many.
        """
        if dim is None:
            return self
        if dim > self.rank:
            raise UsageError(f"--dim {dim}: this {self.kind} of {self.width} dimensions has {self.rank} to give")
        return self._cut(dim)

    def save(self, path: Path, *, inside: bool = False) -> None:
        """Write the file; `inside` says that it is one of a model folder, see `core.io.output.replacing`.

        Raises:
            OutputError: it cannot be written.
        """
        described = {"kind": self.kind, "identity": self.identity, **self.settings}
        save_tensors(self.tensors(), path, {"nlpkit": json.dumps(described)}, inside=inside)


@dataclass(frozen=True)
class Whitening(LinearMap):
    """See the module.

    Attributes:
        moments: what was seen.
        beta: how much of the mean is taken away.
        gamma: how far the variances are made equal.
        kept: dimensions that come out; all that do not vanish when None.
    """

    kind: ClassVar[str] = "whitening"

    moments: Moments
    beta: float = 1.0
    gamma: float = 1.0
    kept: int | None = None

    @property
    def width(self) -> int:
        """See `LinearMap`."""
        return len(self.moments.mean)

    @cached_property
    def rank(self) -> int:
        """See `LinearMap`: directions in which the vectors differ, fewer than dimensions for few vectors."""
        values = self._spectrum[0]
        return int((values > VANISHING * values[0]).sum()) if values[0] > 0 else 0

    @property
    def dim(self) -> int:
        """See `LinearMap`."""
        return self.rank if self.kept is None else self.kept

    @property
    def settings(self) -> dict[str, Any]:
        """See `LinearMap`."""
        return {"beta": self.beta, "gamma": self.gamma, "dim": self.kept, "count": self.moments.count}

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `LinearMap`."""
        return {
            "mean": torch.from_numpy(self.moments.mean),
            "covariance": torch.from_numpy(self.moments.covariance),
        }

    @cached_property
    def _spectrum(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Λ [d], greatest first, and U [d, d], the greatest entry of each column positive."""
        values, vectors = np.linalg.eigh(self.moments.covariance)
        values, vectors = values[::-1], vectors[:, ::-1]
        greatest = vectors[np.abs(vectors).argmax(0), np.arange(len(values))]
        return values, vectors * np.sign(greatest)

    @cached_property
    def kernel(self) -> NDArray[np.float64]:
        """U·Λ^(−γ/2), [width, dim]; a direction whose variance vanishes is never among them."""
        values, vectors = self._spectrum
        return vectors[:, : self.dim] * values[: self.dim] ** (-self.gamma / 2)

    @cached_property
    def _affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        kernel = self.kernel
        return kernel.astype(np.float32), (-self.beta * self.moments.mean @ kernel).astype(np.float32)

    def transform(self, vectors: Vectors) -> NDArray[np.float32]:
        """See `LinearMap`."""
        kernel, bias = self._affine
        result: NDArray[np.float32] = vectors.astype(np.float32, copy=False) @ kernel + bias
        return result

    def _cut(self, dim: int) -> Self:
        return replace(self, kept=dim)

    def checked(self, source: str | None = None) -> Self:
        """Itself, if there is anything to whiten.

        Raises:
            DataError: all vectors were the same, or there were none.
        """
        if not self.rank:
            seen = "no vectors" if not self.moments.count else f"all {self.moments.count} vectors are the same"
            raise DataError(f"{seen}; a whitening needs a corpus of texts that differ", source)
        return self.at(self.kept)


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
    def random(cls, width: int, dim: int, seed: int, identity: dict[str, Any]) -> "Projection":
        """A matrix that depends on nothing but its sizes and the seed."""
        matrix = np.random.default_rng(seed).standard_normal((width, dim), dtype=np.float32)
        return cls(identity, matrix / np.float32(dim**0.5))

    @property
    def width(self) -> int:
        """See `LinearMap`."""
        return len(self.matrix)

    @property
    def rank(self) -> int:
        """See `LinearMap`."""
        return int(self.matrix.shape[1])

    @property
    def dim(self) -> int:
        """See `LinearMap`."""
        return int(self.matrix.shape[1])

    @property
    def settings(self) -> dict[str, Any]:
        """See `LinearMap`."""
        return {}

    def tensors(self) -> dict[str, torch.Tensor]:
        """See `LinearMap`."""
        return {"matrix": torch.from_numpy(self.matrix)}

    def transform(self, vectors: Vectors) -> NDArray[np.float32]:
        """See `LinearMap`."""
        result: NDArray[np.float32] = vectors.astype(np.float32, copy=False) @ self.matrix
        return result

    def _cut(self, dim: int) -> Self:
        return replace(self, matrix=np.ascontiguousarray(self.matrix[:, :dim]) * np.float32((self.dim / dim) ** 0.5))


def read(path: Path) -> LinearMap:
    """The map of a file.

    Raises:
        ModelError: it is missing, broken, or no map of ours.
        UsageError: its name is not UTF-8.
    """
    check_name(path)
    files = reader(path.parent)
    try:
        files.open(path.name).close()
        with safe_open(path, "pt") as stream:
            described = json.loads((stream.metadata() or {}).get("nlpkit", "null"))
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        check_finite(tensors, path)
        return _made(described, {name: value.numpy() for name, value in tensors.items()})
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; make one with nlpkit train whitening") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: truncated or not safetensors ({reason(error)}); copy or fit it again") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(f"{path}: not a whitening of nlpkit; make one with nlpkit train whitening") from None


class _Described(TypedDict):
    kind: Literal["whitening", "jl"]
    identity: dict[str, Any]


class _Fitted(TypedDict):
    count: Size
    beta: float
    gamma: float
    dim: Size | None


def _made(described: Any, tensors: dict[str, NDArray[Any]]) -> LinearMap:
    """Return the map of a file; raises KeyError or ValueError where it is none."""
    found = conform(described, _Described)
    identity, width = found["identity"], len(tensors.get("mean", tensors.get("matrix", ())))
    shapes = {name: (value.dtype.name, value.shape) for name, value in tensors.items()}
    if found["kind"] == Projection.kind:
        if tensors["matrix"].dtype != np.float32 or tensors["matrix"].ndim != 2 or not tensors["matrix"].size:
            raise ValueError(shapes)
        return Projection(identity, tensors["matrix"])
    if shapes != {"mean": ("float64", (width,)), "covariance": ("float64", (width, width))}:
        raise ValueError(shapes)
    fitted = conform(described, _Fitted)
    moments = Moments(width)
    moments.count, moments.mean = fitted["count"], tensors["mean"]
    moments.scatter = tensors["covariance"] * moments.count
    made = Whitening(identity, moments, fitted["beta"], fitted["gamma"], fitted["dim"])
    if made.dim > made.rank:
        raise ValueError(f"{made.dim} dimensions of {made.rank}")
    return made
