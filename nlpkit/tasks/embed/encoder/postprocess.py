"""Postprocessing of raw vectors: a whitening or projection, truncation to the first dimensions, normalization."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder import linear_map
from nlpkit.tasks.embed.encoder.linear_map import LinearMap
from nlpkit.tasks.embed.encoder.unknown import Unknown, with_directions

NO_UNKNOWN: Mapping[int, Unknown] = MappingProxyType({})
COMPARED_KEYS = ("fingerprint", "pooling", "whitening", "dim")  # of a provenance; equal for vectors of one space


@dataclass(frozen=True, slots=True)
class Postprocessor:
    """Turns raw vectors into final ones.

    Attributes:
        map: a whitening or projection, or None.
        truncate_dim: number of leading dimensions to keep if there is no map; None for all.
        normalize: scale vectors to unit length.
    """

    map: LinearMap | None = None
    truncate_dim: int | None = None
    normalize: bool = True

    def __call__(
        self, vectors: NDArray[np.float32], unknown: Mapping[int, Unknown] = NO_UNKNOWN
    ) -> NDArray[np.float32]:
        """Return final vectors [n, dim] of raw ones [n, width]; `unknown` has the texts with unknown characters."""
        if self.map is not None:
            vectors = self.map.transform(normalize(vectors) if self.map.provenance.get("normalised") else vectors)
        elif self.truncate_dim is not None:
            vectors = np.ascontiguousarray(vectors[:, : self.truncate_dim])
        result = normalize(vectors) if self.normalize else vectors
        if unknown:
            indices = list(unknown)
            result = with_directions(result, unknown)
            result[indices] = normalize(result[indices]) if self.normalize else result[indices]
        return result

    def output_dim(self, width: int) -> int:
        """Return the dimensions of a final vector, given those of a raw one."""
        return self.map.dim if self.map is not None else self.truncate_dim or width

    def with_map(self, map: LinearMap | None, dim: int | None, provenance: dict[str, Any]) -> "Postprocessor":
        """Return the same postprocessor with another map and dimension.

        Args:
            map: a whitening or projection, or None for no change.
            dim: dimensions to keep; None for no change.
            provenance: of the raw vectors.

        Raises:
            ModelError: the map was fitted for another model.
            UsageError: there are fewer dimensions.
        """
        name, width = provenance["model"], provenance["dim"]
        if map is not None:
            if map.width != width:
                raise ModelError(f"this {map.kind} is for vectors of {map.width} dimensions; {name} has {width}")
            changed = incompatibilities(provenance, {**provenance, **map.provenance, "whitening": None, "dim": width})
            if changed:
                raise ModelError(f"this {map.kind} was fitted for another {', '.join(changed)}; fit one for this model")
            return replace(self, map=map.with_dim(dim))
        if dim is not None and dim > width:
            raise UsageError(f"--dim {dim}: the vectors of {name} have {width} dimensions")
        return self if dim is None else replace(self, truncate_dim=dim)


def normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors [n, d] scaled to unit length; zeros stay zeros."""
    squares = np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)  # which fp32 cannot hold from about 1e19 on
    lengths = np.maximum(np.sqrt(squares), 1e-12).astype(np.float32)
    result: NDArray[np.float32] = vectors / lengths[:, None]
    return result


def incompatibilities(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the differences of two provenances that make their vectors incomparable; none for the same space.

    For example `["pooling (mean, not cls)"]`. Names of models are not compared, as a folder may have any name.
    """
    changed = [key for key in COMPARED_KEYS if ours.get(key) != theirs.get(key)]
    return [
        f"model ({theirs.get('model')}, not {ours.get('model')})"
        if key == "fingerprint"
        else f"{key} ({theirs.get(key)}, not {ours.get(key)})"
        for key in changed
    ]


def read_map(whiten: str | None, folder: Path) -> LinearMap | None:
    """Return the map of `--whiten FILE|stored|none`, or None; `folder` is the model's.

    Raises:
        ModelError: it does not exist, or is broken.
    """
    if whiten is None or whiten == "none":
        return None
    if whiten == "stored" and not (folder / linear_map.STORED).exists():
        raise ModelError(f"{folder}: no {linear_map.STORED} in it; make one: nlpkit train whitening")
    return linear_map.read(folder / linear_map.STORED if whiten == "stored" else Path(whiten))
