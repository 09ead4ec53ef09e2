"""Encoders with a key/value cache in ONNX Runtime; the counterpart of `Backbone.forward_with_cache`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.onnx.choice import has_vnni
from nlpkit.core.onnx.encoders import add_cached_encoder, num_positions
from nlpkit.core.onnx.graph import Graph
from nlpkit.core.onnx.session import Floats, make_session
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.configs import EncoderConfig
from nlpkit.nn.tokens import TokenBatch

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Tokens = TokenBatch[NDArray[Any]]
_MASKED = np.finfo(np.float32).min


class OnnxCache:
    """Keys and values of the tokens that were encoded so far, by sequence."""

    def __init__(self, states: dict[str, Floats] | None = None):
        self._states = states or {}
        self._new: tuple[Tokens, dict[str, Floats]] | None = None

    @property
    def states(self) -> dict[str, Floats]:
        """Return the values by name, such as `key_0`, each [b, p, d]; empty before the first tokens."""
        if self._new is not None:
            tokens, new = self._new
            b, _, m = tokens.attention_mask.shape
            for name, values in new.items():
                grown = np.zeros((b, m, values.shape[-1]), np.float32)
                if self._states:
                    past = self._states[name][:, :m]
                    grown[:, : past.shape[1]] = past
                grown[tokens.sequence_ids, tokens.cache_positions] = values[:, 0]
                new[name] = grown
            self._states, self._new = new, None
        return self._states

    def add(self, tokens: Tokens, values: dict[str, Floats]) -> None:
        """Add new tokens; they are copied only if the cache is used again.

        Args:
            tokens: the new tokens.
            values: by name, each [n, 1, d].
        """
        self._states, self._new = self.states, (tokens, values)

    def select(self, sequences: Ints) -> "OnnxCache":
        """Return a copy of the sequences with these indices [k], in this order."""
        return OnnxCache({name: values[sequences] for name, values in self.states.items()})


class CachedOnnxEncoder:
    """An encoder of new tokens for sequences of a cache. Positions beyond those that it has count as the last one.

    Args:
        config: of the encoder; see `core.onnx.encoders.supports`.
        weights: of the encoder.
        int8: whether to multiply in int8.

    Raises:
        ValueError: a weight is missing, has another shape, or is left over.
    """

    def __init__(self, config: EncoderConfig, weights: StoredWeights, *, int8: bool = False):
        graph = Graph(int8=int8, reduce_range=not has_vnni())
        add_cached_encoder(graph, config, weights)
        self.width, self.num_positions = config.hidden_size, num_positions(config)
        self._names = [f"{kind}_{layer}" for layer in range(config.num_layers) for kind in ("key", "value")]
        self._session = make_session(graph)

    def __call__(self, tokens: Tokens, query_indices: Ints, cache: OnnxCache) -> Floats:
        """Return the last hidden states [k, d] of some of the new tokens, and add the tokens to the cache.

        Args:
            tokens: n new tokens.
            query_indices: [k] ascending indices of the tokens whose states are returned.
            cache: of the tokens before.
        """
        b, w, m = tokens.attention_mask.shape
        past = {name: self._past(cache, name, b, m) for name in self._names}
        bias = np.where(_allowed(tokens, past[self._names[0]].shape[1]), np.float32(0), _MASKED)
        queries = query_indices if len(query_indices) else np.array([0])  # the operators need a token
        owners = tokens.sequence_ids[queries]
        order = np.arange(len(owners)) - np.searchsorted(owners, owners)
        slots, places = _slots(tokens.sequence_ids, tokens.slots, b, w)
        query_slots, query_places = _slots(owners, order, b, int(order.max()) + 1)
        columns = np.zeros_like(query_slots)
        columns[owners, order] = tokens.slots[queries]
        feeds: dict[str, NDArray[Any]] = {f"past_{name}": values for name, values in past.items()}
        feeds |= {"input_ids": tokens.input_ids[:, None], "token_type_ids": tokens.token_type_ids[:, None]}
        feeds["position_ids"] = np.minimum(tokens.position_ids, self.num_positions - 1)[:, None]
        feeds |= {"slots": slots, "tokens": places, "attention_bias": bias[:, None], "queries": queries}
        feeds |= {"query_slots": query_slots, "query_tokens": query_places}
        feeds["query_bias"] = np.take_along_axis(bias, columns[..., None], 1)[:, None]
        states, *new = self._session.run(["states", *self._names], feeds)
        cache.add(tokens, dict(zip(self._names, new, strict=True)))
        result: Floats = states[: len(query_indices), 0]
        return result

    def _past(self, cache: OnnxCache, name: str, b: int, m: int) -> Floats:
        """Return the cached values [b, p, d] with p at most m."""
        values = cache.states.get(name)
        return np.empty((b, 0, self.width), np.float32) if values is None else np.ascontiguousarray(values[:, :m])


def _slots(rows: Ints, columns: Ints, count: int, width: int) -> tuple[Ints, Ints]:
    """Return the items in a table [count, width], 0 where there is none, and the flat index [n] of each item in it."""
    table = np.zeros((count, width), dtype=np.int64)
    table[rows, columns] = np.arange(len(rows))
    return table, rows * width + columns


def _allowed(tokens: Tokens, past: int) -> Bools:
    """Return [b, w, p + w], True where a new token may attend to a cached one or, in the last w columns, a new one."""
    mask, sequences, positions = tokens.attention_mask, tokens.sequence_ids, tokens.cache_positions
    b, w, _ = mask.shape
    allowed = np.zeros((b, w, past + w), dtype=np.bool_)
    allowed[:, :, :past] = mask[:, :, :past]
    allowed[sequences, :, past + tokens.slots] = mask[sequences, :, positions]
    reused = positions < past  # of a sequence that is shorter than the longest one
    allowed[sequences[reused], :, positions[reused]] = False
    return allowed
