"""Key/value cache for incremental encoding."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from nlpkit.nn.layers.attention import AttentionFn, attend
from nlpkit.nn.tokens import TokenBatch

PAD_MULTIPLE = 32  # token counts are padded to a multiple: oneDNN compiles a kernel for every new size of a product
GROWTH = 2  # a buffer is allocated with so many times the needed length


class KeyValueCache:
    """Tensors of the tokens that were encoded so far, by sequence. For inference only.

    Attention masks decide which tokens a new one may attend to. So the branches of a tree are stored one after the
    other in one sequence, and nothing is copied where the tree branches.

    Attributes:
        tensors: by name; the first dimension of each is the sequence.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._buffers: dict[str, Tensor] = {}  # `tensors` are slices of these

    def write(self, name: str, value: Tensor, tokens: TokenBatch[Tensor]) -> Tensor:
        """Write the values of new tokens to their cache positions; the buffer is copied only when it grows.

        Args:
            name: of the tensor.
            value: [n], or [n, heads, h].
            tokens: the new tokens.

        Returns:
            The values of all tokens, [b, m] or [b, m, heads, h]; zeros at positions without a token.
        """
        b, _, m = tokens.attention_mask.shape
        before, buffer = self.tensors.get(name), self._buffers.get(name)
        length = 0 if before is None else min(m, before.shape[1])
        if buffer is None or buffer.shape[1] < m:
            buffer = self._buffers[name] = _allocate(value, b, GROWTH * m)
            if before is not None:
                buffer[:, :length] = before[:, :length]
        buffer[:, length:m] = 0.0
        buffer[tokens.sequence_ids, tokens.cache_positions] = value
        self.tensors[name] = buffer[:, :m]
        return self.tensors[name]

    def select(self, sequences: Any) -> "KeyValueCache":
        """Return a copy of the sequences with these indices, in this order.

        Args:
            sequences: [k] array or tensor.
        """
        result, indices = KeyValueCache(), torch.as_tensor(sequences)
        result.tensors = {name: tensor[indices] for name, tensor in self.tensors.items()}
        return result


class CachedAttention(AttentionFn):
    """Attention of new tokens to the cached keys and values of a layer.

    On a CPU it is computed in fp32, whose kernel is the faster one for few queries.

    Args:
        cache: of all layers.
        layer: index of the layer.
        tokens: the n new tokens; the layer's inputs are padded by `pad_to_multiple`.
        query_indices: [k] ascending indices of the tokens whose results are needed; None for all.
    """

    def __init__(
        self, cache: KeyValueCache, layer: int, tokens: TokenBatch[Tensor], query_indices: Tensor | None = None
    ):
        self.cache, self.layer, self.tokens = cache, layer, tokens
        self._query_indices = None if query_indices is None else pad_to_multiple(query_indices)
        self._queries = tokens if query_indices is None else _select(tokens, query_indices)

    @override
    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return attention for [n, heads, h], all padded by `pad_to_multiple`."""
        tokens, selected, dtype = self.tokens, self._queries, query.dtype
        query = self.select_queries(query)[: len(selected.sequence_ids)]
        key, value = key[: len(tokens.sequence_ids)], value[: len(tokens.sequence_ids)]
        if query.device.type == "cpu":
            query, key, value = query.float(), key.float(), value.float()
        keys = self.cache.write(f"{self.layer}.key", key, tokens)
        values = self.cache.write(f"{self.layer}.value", value, tokens)
        b, w, _ = selected.attention_mask.shape
        queries = _allocate(query, b, w)
        queries[selected.sequence_ids, selected.slots] = query
        attended = attend(queries, keys, values, selected.attention_mask[:, None])
        return pad_to_multiple(attended[selected.sequence_ids, selected.slots].to(dtype))

    @override
    def select_queries(self, x: Tensor) -> Tensor:
        return x if self._query_indices is None else x[self._query_indices]

    @property
    @override
    def context_lengths(self) -> Tensor:
        tokens = self.tokens
        return pad_to_multiple(tokens.attention_mask.sum(-1)[tokens.sequence_ids, tokens.slots])[:, None, None]


def pad_to_multiple(x: Tensor) -> Tensor:
    """Return x [n, …] padded with zeros to the next multiple of `PAD_MULTIPLE`."""
    return F.pad(x, (0, 0) * (x.dim() - 1) + (0, -len(x) % PAD_MULTIPLE))


def _select(tokens: TokenBatch[Tensor], indices: Tensor) -> TokenBatch[Tensor]:
    """Return the tokens with these ascending indices [k], of the same sequences."""
    sequences = tokens.sequence_ids[indices]
    counts = torch.bincount(sequences, minlength=len(tokens.attention_mask))
    slots = torch.arange(len(sequences), device=sequences.device) - (counts.cumsum(0) - counts)[sequences]
    size = tokens.attention_mask.shape[2]
    mask = tokens.attention_mask.new_zeros(len(tokens.attention_mask), int(counts.max()), size)
    mask[sequences, slots] = tokens.attention_mask[tokens.sequence_ids, tokens.slots][indices]
    ids, types, positions, cache_positions = (
        values[indices]
        for values in (tokens.input_ids, tokens.token_type_ids, tokens.position_ids, tokens.cache_positions)
    )
    return TokenBatch(ids, types, positions, sequences, cache_positions, slots, mask)


def _allocate(value: Tensor, b: int, m: int) -> Tensor:
    """Return an empty [b, m] for values [n]; [b, m, heads, h] for [n, heads, h], each head contiguous in memory."""
    if value.dim() == 1:
        return value.new_empty(b, m)
    return value.new_empty(b, value.shape[1], m, value.shape[2]).transpose(1, 2)
