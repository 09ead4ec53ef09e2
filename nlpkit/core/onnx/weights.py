"""Weights in numpy that are taken out one by one, so that none of another shape is used and none is left over."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class StoredWeights:
    """The weights of a network, or those of them whose names have a prefix.

    Args:
        values: by name; `_taken` is shared by all views of them.
        prefix: of the names.
    """

    def __init__(self, values: Mapping[str, NDArray[Any]], prefix: str = "", taken: set[str] | None = None):
        self._values, self._prefix = values, prefix
        self._taken: set[str] = set() if taken is None else taken

    def under(self, prefix: str) -> "StoredWeights":
        """Return the weights whose names begin with a further prefix."""
        return StoredWeights(self._values, self._prefix + prefix, self._taken)

    def take(self, name: str, *shape: int) -> Floats:
        """Return a weight.

        Raises:
            ValueError: it is missing, or has another shape.
        """
        name = self._prefix + name
        if name not in self._values:
            raise ValueError(f"there is no {name}")
        value: Floats = self._values[name]
        if value.shape != shape:
            raise ValueError(f"size mismatch for {name}: {list(value.shape)} instead of {list(shape)}")
        self._taken.add(name)
        return value

    def discard(self, prefix: str) -> None:
        """Take out the weights whose names begin with a further prefix, if there are any, without reading them."""
        self._taken.update(name for name in self._values if name.startswith(self._prefix + prefix))

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._values

    def check_all_taken(self) -> None:
        """Check that no weight under the prefix is left.

        Raises:
            ValueError: one was never taken.
        """
        left = sorted(name for name in self._values if name.startswith(self._prefix) and name not in self._taken)
        if left:
            raise ValueError(f"unexpected {', '.join(left[:3])}")
