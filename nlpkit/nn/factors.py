"""Logits of all spans as sums of terms, in tensors of torch or arrays of numpy."""

from typing import Any, Generic, NamedTuple, TypeVar

Array = TypeVar("Array")


class Factors(NamedTuple, Generic[Array]):
    """Logits s_α(i, j) = pairs(i, j) + starts_α(i) + ends_α(j), stored as the terms of the sum.

    Attributes:
        pairs: [b, s, s], masked as the logits are.
        starts: [b, s, c].
        ends: [b, s, c].
    """

    pairs: Array
    starts: Array
    ends: Array

    def dense(self) -> Array:
        """Return the logits [b, c, s, s]."""
        pairs, starts, ends = self._terms
        result: Array = pairs[:, None] + ends.mT[:, :, None, :] + starts.mT[:, :, :, None]
        return result

    def at(self, sequence: Any, start: Any, end: Any) -> Array:
        """Return the logits [n, c] of n spans, given by three arrays [n] of indices."""
        pairs, starts, ends = self._terms
        result: Array = pairs[sequence, start, end][:, None] + starts[sequence, start] + ends[sequence, end]
        return result

    @property
    def _terms(self) -> tuple[Any, Any, Any]:
        return self.pairs, self.starts, self.ends
