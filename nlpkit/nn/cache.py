"""What a backbone remembers of units that it has read, so that later units of the same rows cost only themselves."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Past: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # a layer's new keys and values -> all of them


class Cache:
    """Tensors of the rows read so far, by name; the first dimension of each is the row.

    Every call of a backbone with the same cache adds its units behind those before. Which of them a unit may attend to
    is the mask's business: [b, s, m + s] for s new units behind m old ones.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}

    def append(self, name: str, value: Tensor, dim: int) -> Tensor:
        """Adds to a tensor along a dimension; gives the whole."""
        old = self._tensors.get(name)
        whole = value if old is None else torch.cat([old, value], dim)
        self._tensors[name] = whole
        return whole

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
        """A cache of these rows, in this order; one may be taken several times, as when a beam splits."""
        result = Cache()
        result._tensors = {name: tensor.index_select(0, rows) for name, tensor in self._tensors.items()}
        return result

    @classmethod
    def stacked(cls, parts: "Sequence[Cache]") -> "Cache":
        """The rows of several caches in one, shorter ones filled up behind their units; no mask must allow that."""
        result = cls()
        for name in parts[0]._tensors:
            tensors = [part._tensors[name] for part in parts]
            shape = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
            result._tensors[name] = torch.cat([stretched(tensor, shape) for tensor in tensors])
        return result


def stretched(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """A tensor [b, …] filled up with zeros at the end of each dimension behind the first."""
    missing = [size - have for size, have in zip(shape, tensor.shape[1:], strict=True)]
    return F.pad(tensor, [amount for size in reversed(missing) for amount in (0, size)]) if any(missing) else tensor
