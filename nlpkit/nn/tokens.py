"""New tokens for sequences of a key/value cache, in tensors of torch or arrays of numpy."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Array = TypeVar("Array")
Other = TypeVar("Other")


class TokenBatch(NamedTuple, Generic[Array]):
    """New tokens for sequences of a cache: n of them in one flat list, without padding.

    Attributes:
        input_ids: [n].
        token_type_ids: [n].
        position_ids: [n], from 0.
        sequence_ids: [n] index of the cached sequence of each token, ascending.
        cache_positions: [n] index of each token in its sequence.
        slots: [n] index of each token among the new tokens of its sequence, below w.
        attention_mask: [b, w, m], True where the new token in a slot may attend to a cache position, new tokens
            included; m is at least the length of the longest sequence.
    """

    input_ids: Array
    token_type_ids: Array
    position_ids: Array
    sequence_ids: Array
    cache_positions: Array
    slots: Array
    attention_mask: Array

    def map(self, convert: Callable[[Array], Other]) -> "TokenBatch[Other]":
        """Return the tokens with each array converted."""
        return TokenBatch(*(convert(array) for array in self))
