"""What a backbone remembers of units that it has read, so that later units of the same rows cost only themselves."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nlpkit.nn.layers.attention import attend

SIZES_APART = 32  # so many units more or less are read at once: a product of a new size costs as much again
ROOM = 2  # times what is needed is taken, so that the next units find room


@dataclass(frozen=True, slots=True)
class Units:
    """New units for some rows of a cache: n of them, one behind the other, without padding.

    Attributes:
        input_ids: [n].
        segment_ids: [n].
        positions: [n], counted from 0.
        rows: [n] the row of each, ascending.
        places: [n] where it stands in its row.
        slots: [n] its number among the new units of its row, below w.
        mask: [b, w, m], True where the new unit of a slot may attend to a place, new ones included; behind m no row has
            any units.
    """

    input_ids: Tensor
    segment_ids: Tensor
    positions: Tensor
    rows: Tensor
    places: Tensor
    slots: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "Units":
        """The same on a device."""
        return Units(*(getattr(self, name).to(device) for name in self.__slots__))

    def only(self, asked: Tensor) -> "Units":
        """Those [k] of the numbers `asked`, which ascend, with the rows as they are."""
        rows = self.rows[asked]
        counts = torch.bincount(rows, minlength=len(self.mask))
        slots = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        mask = self.mask.new_zeros(len(self.mask), int(counts.max()), self.mask.shape[2])
        mask[rows, slots] = self.mask[self.rows, self.slots][asked]
        ids, segments, positions, places = (
            values[asked] for values in (self.input_ids, self.segment_ids, self.positions, self.places)
        )
        return Units(ids, segments, positions, rows, places, slots, mask)


class Cache:
    """What is known of the units of rows that were read so far. For inference only.

    Which units a new one may attend to is the mask's business: so the branches of a tree may stand in one row, one
    behind the other, and nothing is copied where it branches.

    Attributes:
        tensors: by name; the first dimension of each is the row.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._rooms: dict[str, Tensor] = {}  # what `write` puts its tensors at the beginning of

    def write(self, name: str, value: Tensor, units: Units) -> Tensor:
        """Puts what belongs to new units into their rows; few calls copy what was there.

        Args:
            name: of the tensor.
            value: [n], or [n, heads, h].
            units: the new ones.

        Returns:
            What belongs to all, [b, m] or [b, m, heads, h]; zeros where no unit stands.
        """
        b, _, m = units.mask.shape
        before, room = self.tensors.get(name), self._rooms.get(name)
        known = 0 if before is None else min(m, before.shape[1])
        if room is None or room.shape[1] < m:
            room = self._rooms[name] = _rows(value, b, ROOM * m)
            if before is not None:
                room[:, :known] = before[:, :known]
        room[:, known:m] = 0.0
        room[units.rows, units.places] = value
        self.tensors[name] = room[:, :m]
        return self.tensors[name]

    def keep(self, rows: Tensor) -> None:
        """Drops all rows but these, which stand in this order from now on."""
        self.tensors = {name: tensor[rows] for name, tensor in self.tensors.items()}
        self._rooms.clear()


class CachedAttention:
    """How new units attend to what a cache holds for a layer; see `nn.attention.Attend`.

    On a CPU it is done in fp32, whose kernel is the faster one for few queries.

    Args:
        cache: of the layer's keys and values.
        layer: its number.
        units: the n new ones; the layer has them `filled`.
        asked: the numbers [k] of those whose results are wanted, ascending; None for all.
    """

    def __init__(self, cache: Cache, layer: int, units: Units, asked: Tensor | None = None):
        self.cache, self.layer, self.units = cache, layer, units
        self._asked = None if asked is None else filled(asked)
        self._asking = units if asked is None else units.only(asked)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """As `Attend`, for [n, heads, h], filled."""
        units, asking, dtype = self.units, self._asking, query.dtype
        query = self.asked(query)[: len(asking.rows)]
        key, value = key[: len(units.rows)], value[: len(units.rows)]
        if query.device.type == "cpu":
            query, key, value = query.float(), key.float(), value.float()
        keys = self.cache.write(f"{self.layer}.key", key, units)
        values = self.cache.write(f"{self.layer}.value", value, units)
        b, w, _ = asking.mask.shape
        queries = _rows(query, b, w)
        queries[asking.rows, asking.slots] = query
        attended = attend(queries, keys, values, asking.mask[:, None])[asking.rows, asking.slots]
        return filled(attended.to(dtype))

    def asked(self, x: Tensor) -> Tensor:
        """See `Attend`."""
        return x if self._asked is None else x[self._asked]

    @property
    def lengths(self) -> Tensor:
        """See `Attend`: [n, 1, 1], filled."""
        return filled(self.units.mask.sum(-1)[self.units.rows, self.units.slots])[:, None, None]


def filled(x: Tensor) -> Tensor:
    """X [n, …] with zeros behind it up to the next multiple of `SIZES_APART`."""
    return F.pad(x, (0, 0) * (x.dim() - 1) + (0, -len(x) % SIZES_APART))


def _rows(value: Tensor, b: int, m: int) -> Tensor:
    """Room [b, m] for values [n]; [b, m, heads, h] for [n, heads, h], where those of a head lie together."""
    if value.dim() == 1:
        return value.new_empty(b, m)
    return value.new_empty(b, value.shape[1], m, value.shape[2]).transpose(1, 2)
