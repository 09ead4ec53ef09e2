"""What a backbone remembers of units that it has read, so that later units of the same rows cost only themselves."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

Past: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # a layer's new keys and values -> all of them


class Cache:
    """Tensors of the rows read so far, by name; the first dimension of each is the row. For inference only.

    Every call of a backbone with the same cache adds its units behind those before. Which of them a unit may attend to
    is the mask's business: [b, s, m + s] for s new units behind m old ones. So the branches of a tree may stand in one
    row, one behind the other, and nothing is copied where it branches.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._buffers: dict[str, Tensor] = {}  # with room behind what is used, so that appending copies the new alone

    def append(self, name: str, value: Tensor, dim: int) -> Tensor:
        """Adds to a tensor along a dimension; gives the whole."""
        before = self._tensors.get(name)
        self._tensors[name] = value if before is None else self._behind(name, before, value, dim)
        return self._tensors[name]

    def _behind(self, name: str, before: Tensor, value: Tensor, dim: int) -> Tensor:
        used, size = before.shape[dim], value.shape[dim]
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape[dim] < used + size:
            shape = list(value.shape)
            shape[dim] = 2 * (used + size)
            buffer = self._buffers[name] = value.new_empty(shape)
            buffer.narrow(dim, 0, used).copy_(before)
        buffer.narrow(dim, used, size).copy_(value)
        return buffer.narrow(dim, 0, used + size)

    def layer(self, index: int) -> Past:
        """What a layer passes its keys and values [b, n, s, h] through."""
        return lambda key, value: (self.append(f"{index}.key", key, 2), self.append(f"{index}.value", value, 2))

    def replace(self, name: str, value: Tensor) -> Tensor:
        """Puts another tensor under a name."""
        self._tensors[name] = value
        return value

    def get(self, name: str) -> Tensor | None:
        """The tensor of a name."""
        return self._tensors.get(name)

    def rows(self, rows: Tensor) -> "Cache":
        """A cache of these rows, in this order."""
        result = Cache()
        result._tensors = {name: tensor.index_select(0, rows) for name, tensor in self._tensors.items()}
        return result
