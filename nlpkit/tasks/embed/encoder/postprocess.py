"""From raw vectors to finished ones: a whitening or projection, the first dimensions, unit length."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.unknown import Unknown, with_directions
from nlpkit.tasks.embed.whitening import whitening
from nlpkit.tasks.embed.whitening.whitening import LinearMap

NOTHING: Mapping[int, Unknown] = MappingProxyType({})
NAMED = ("fingerprint", "pooling", "whitening", "dim")  # what must agree for two vectors to be comparable


@dataclass(frozen=True, slots=True)
class Finish:
    """What becomes of raw vectors.

    Attributes:
        map: a whitening or projection, or none.
        keep: the first dimensions to keep where there is no map, all when None.
        normalise: to unit length.
    """

    map: LinearMap | None = None
    keep: int | None = None
    normalise: bool = True

    def __call__(self, vectors: NDArray[np.float32], unknown: Mapping[int, Unknown] = NOTHING) -> NDArray[np.float32]:
        """[n, width] to [n, dim]; `unknown` are the rows of texts with unknown characters."""
        if self.map is not None:
            vectors = self.map.transform(unit(vectors) if self.map.identity.get("normalised") else vectors)
        elif self.keep is not None:
            vectors = np.ascontiguousarray(vectors[:, : self.keep])
        finished = unit(vectors) if self.normalise else vectors
        if unknown:
            rows = list(unknown)
            finished = with_directions(finished, unknown)
            finished[rows] = unit(finished[rows]) if self.normalise else finished[rows]
        return finished

    def dim(self, width: int) -> int:
        """Of what comes out."""
        return self.map.dim if self.map is not None else self.keep or width

    def using(self, map: LinearMap | None, dim: int | None, identity: dict[str, Any]) -> "Finish":
        """The same with another map and dim.

        Args:
            map: see above.
            dim: to keep; all when None.
            identity: of the raw vectors.

        Raises:
            ModelError: the map is of another model.
            UsageError: there are not so many dimensions.
        """
        name, width = identity["model"], identity["dim"]
        if map is not None:
            if map.width != width:
                raise ModelError(f"this {map.kind} is for vectors of {map.width} dimensions; {name} has {width}")
            changed = differences(identity, {**identity, **map.identity, "whitening": None, "dim": width})
            if changed:
                raise ModelError(f"this {map.kind} was fitted for another {', '.join(changed)}; fit one for this model")
            return replace(self, map=map.at(dim))
        if dim is not None and dim > width:
            raise UsageError(f"--dim {dim}: the vectors of {name} have {width} dimensions")
        return self if dim is None else replace(self, keep=dim)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return result


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """In what two identities differ, so that their vectors cannot be compared; nothing when they are of one space.

    For instance `["pooling (mean, not cls)"]`. The name of the model is not compared: a folder may be called anything.
    """
    changed = [name for name in NAMED if ours.get(name) != theirs.get(name)]
    return [
        f"model ({theirs.get('model')}, not {ours.get('model')})"
        if name == "fingerprint"
        else f"{name} ({theirs.get(name)}, not {ours.get(name)})"
        for name in changed
    ]


def read_map(whiten: str | None, folder: Path) -> LinearMap | None:
    """The whitening of `--whiten FILE|stored|none`.

    Raises:
        ModelError: there is none there, or a broken one.
    """
    if whiten is None or whiten == "none":
        return None
    if whiten == "stored" and not (folder / whitening.STORED).exists():
        raise ModelError(f"{folder}: no {whitening.STORED} in it; make one: nlpkit train whitening")
    return whitening.read(folder / whitening.STORED if whiten == "stored" else Path(whiten))
