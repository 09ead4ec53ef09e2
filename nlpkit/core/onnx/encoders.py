"""The encoders of `nn.backbones` as ONNX graphs, with the fused operators of ONNX Runtime.

A graph computes what the module of the same type computes in torch; padding may have any states. `add_encoder` encodes
whole sequences, `add_cached_encoder` new tokens after those of a key/value cache.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.onnx.graph import Graph, Value
from nlpkit.core.onnx.proto import FLOAT, INT32, INT64, MICROSOFT
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.configs import BertConfig, EncoderConfig, RoFormerV2Config

_ROTARY_POSITIONS = 4096
_ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "relu": lambda graph, x: graph.node("Relu", x),
    "gelu": lambda graph, x: graph.node("Gelu", x, domain=MICROSOFT),
    "gelu_new": lambda graph, x: graph.node("FastGelu", x, domain=MICROSOFT),
    "silu": lambda graph, x: graph.node("Mul", x, graph.node("Sigmoid", x)),
    "swish": lambda graph, x: graph.node("Mul", x, graph.node("Sigmoid", x)),
}


def supports(backbone: Mapping[str, Any]) -> bool:
    """Return whether there is a graph for a backbone, given its description in a manifest."""
    return backbone.get("type") in ("bert", "roformer_v2")


def add_encoder(graph: Graph, config: EncoderConfig, weights: StoredWeights, layers: Collection[int] = ()) -> None:
    """Add an encoder of whole sequences: input_ids [b, s] and lengths [b] to the `states` [b, s, d] of the last layer.

    Args:
        graph: empty.
        config: of an encoder that `supports` knows.
        weights: of the encoder.
        layers: further outputs `layer_1`, `layer_2` …: the states after these layers; 0 is the embedding output.

    Raises:
        ValueError: a weight is missing, has another shape, or is left over.
    """
    states = _add_layers(graph, config, weights, _Whole(graph))
    for layer in layers:
        graph.output(states[layer], Value(f"layer_{layer}", FLOAT, ("batch", "sequence", config.hidden_size)))
    graph.output(states[-1], Value("states", FLOAT, ("batch", "sequence", config.hidden_size)))


def type_of(backbone: Mapping[str, Any]) -> str:
    """Return the type in the description of an encoder, for a message."""
    return " ".join(str(backbone.get("type"))[:40].split())


def num_positions(config: EncoderConfig) -> int:
    """Return the number of positions in the graph of `add_cached_encoder`; RoPE has more than were trained."""
    return config.max_length if isinstance(config, BertConfig) else max(config.max_length, _ROTARY_POSITIONS)


def add_cached_encoder(graph: Graph, config: EncoderConfig, weights: StoredWeights) -> None:
    """Add an encoder of n new tokens of b sequences with p cached tokens each.

    The tokens are in one list without padding; only the attention takes them in b rows of w slots. Each is a sequence
    of length 1, because the operator RotaryEmbedding limits the length. The inputs are:

        input_ids, token_type_ids [n, 1]
        position_ids [n, 1]                 below `num_positions`
        slots [b, w]                        the token in each slot; any, if there is none
        tokens [n]                          the slot of each token, in the flattened [b · w]
        attention_bias [b, 1, w, p + w]     terms of the attention scores to the cached tokens and to the slots
        queries [k]                         tokens that the last layer computes; the others only in `key` and `value`
        query_slots [b, q], query_tokens [k], query_bias [b, 1, q, p + w]     the same for these tokens
        past_key_0, past_value_0 … [b, p, d]

    The outputs are the `states` [k, 1, d], and key_0, value_0 … [n, 1, d] of the new tokens.

    Args:
        graph: empty.
        config: of an encoder that `supports` knows.
        weights: of the encoder.

    Raises:
        ValueError: a weight is missing, has another shape, or is left over.
    """
    d = config.hidden_size
    states = _add_layers(graph, config, weights, _Cached(graph, config.num_layers, d))
    graph.output(states[-1], Value("states", FLOAT, ("queries", 1, d)))


class _Source(ABC):
    """The inputs of a graph: what tells the layers about positions, token types and attention."""

    def __init__(self, graph: Graph):
        self.graph = graph

    @abstractmethod
    def token_types(self, table: NDArray[np.float32]) -> str:
        """Return what to add to the token embeddings, from the embeddings of the token types."""

    @abstractmethod
    def positions(self, table: NDArray[np.float32]) -> str:
        """Return the position embeddings, from the table [max_length, d]."""

    @property
    @abstractmethod
    def first_position(self) -> str:
        """Return the input `position_ids` of the operator RotaryEmbedding."""

    @abstractmethod
    def attend(self, layer: int, qkv: Sequence[str], num_heads: int) -> str:
        """Return the attention of a layer, from query, key and value."""

    def queries(self, layer: int, x: str) -> str:
        """Return the part of x that belongs to the tokens for which `attend` returns results."""
        return x


class _Whole(_Source):
    """Whole sequences from position 0, all tokens of the first type."""

    def __init__(self, graph: Graph):
        super().__init__(graph)
        graph.input(Value("input_ids", INT64, ("batch", "sequence")))
        graph.input(Value("lengths", INT32, ("batch",)))
        self._zero = graph.constant(np.array([0]))

    @override
    def token_types(self, table: NDArray[np.float32]) -> str:
        return self.graph.constant(table[0])

    @override
    def positions(self, table: NDArray[np.float32]) -> str:
        length = self.graph.node("Gather", self.graph.node("Shape", "input_ids"), self.graph.constant(np.array([1])))
        return self.graph.node("Slice", self.graph.constant(table), self._zero, length, self._zero)

    @property
    @override
    def first_position(self) -> str:
        return self._zero

    @override
    def attend(self, layer: int, qkv: Sequence[str], num_heads: int) -> str:
        return self.graph.node("MultiHeadAttention", *qkv, "", "lengths", domain=MICROSOFT, num_heads=num_heads)


class _Cached(_Source):
    """New tokens after those of a cache; see `add_cached_encoder`."""

    def __init__(self, graph: Graph, num_layers: int, width: int):
        super().__init__(graph)
        self.last, self.width = num_layers - 1, width
        for name in ("input_ids", "token_type_ids", "position_ids"):
            graph.input(Value(name, INT64, ("tokens", 1)))
        for prefix, size in (("", "slots"), ("query_", "query_slots")):
            graph.input(Value(f"{prefix}slots", INT64, ("batch", size)))
            graph.input(Value(f"{prefix}tokens", INT64, ("queries" if prefix else "tokens",)))
            graph.input(Value(f"{prefix or 'attention_'}bias", FLOAT, ("batch", 1, size, "total")))
        graph.input(Value("queries", INT64, ("queries",)))
        for layer in range(num_layers):
            for kind in ("key", "value"):
                graph.input(Value(f"past_{kind}_{layer}", FLOAT, ("batch", "past", width)))
        self._axis, self._shape = graph.constant(np.array([2])), graph.constant(np.array([-1, 1, width]))

    @override
    def token_types(self, table: NDArray[np.float32]) -> str:
        return self.graph.node("Gather", self.graph.constant(table), "token_type_ids")

    @override
    def positions(self, table: NDArray[np.float32]) -> str:
        return self.graph.node("Gather", self.graph.constant(table), "position_ids")

    @property
    @override
    def first_position(self) -> str:
        return "position_ids"

    @override
    def attend(self, layer: int, qkv: Sequence[str], num_heads: int) -> str:
        graph, (query, *new) = self.graph, qkv
        keys_and_values = []
        for kind, values in zip(("key", "value"), new, strict=True):
            graph.output(values, Value(f"{kind}_{layer}", FLOAT, ("tokens", 1, self.width)))
            past = f"past_{kind}_{layer}"
            keys_and_values.append(graph.node("Concat", past, self._padded(values, "slots"), axis=1))
        prefix = "query_" if layer == self.last else ""
        query = self._padded(self.queries(layer, query), f"{prefix}slots")
        inputs = (query, *keys_and_values, "", "", f"{prefix or 'attention_'}bias")
        attended = graph.node("MultiHeadAttention", *inputs, domain=MICROSOFT, num_heads=num_heads)
        return graph.node("Gather", graph.node("Reshape", attended, self._shape), f"{prefix}tokens")

    @override
    def queries(self, layer: int, x: str) -> str:
        return self.graph.node("Gather", x, "queries") if layer == self.last else x

    def _padded(self, x: str, slots: str) -> str:
        """Add the values [b, w, d] in slots, from those [n, 1, d] of tokens."""
        return self.graph.node("Squeeze", self.graph.node("Gather", x, slots), self._axis)


def _add_layers(graph: Graph, config: EncoderConfig, weights: StoredWeights, source: _Source) -> list[str]:
    """Add the embeddings and the layers; return the embedding output and the states after each layer."""
    if isinstance(config, BertConfig):
        states = _bert(graph, config, weights, source)
    elif isinstance(config, RoFormerV2Config):
        states = _roformer_v2(graph, config, weights, source)
    else:
        raise ValueError(f"no graph for {type(config).__name__}")
    weights.check_all_taken()
    return states


def _bert(graph: Graph, config: BertConfig, weights: StoredWeights, source: _Source) -> list[str]:
    d, inner, eps = config.hidden_size, config.intermediate_size, float(config.norm_eps)

    def linear(x: str, inputs: int, outputs: int, name: str) -> str:
        return graph.linear(x, weights.take(f"{name}.weight", outputs, inputs), weights.take(f"{name}.bias", outputs))

    def norm(name: str) -> list[str]:
        return [graph.constant(weights.take(f"{name}.{part}", d)) for part in ("weight", "bias")]

    def added(x: str, update: str, name: str) -> str:
        return graph.node("LayerNormalization", graph.node("Add", x, update), *norm(name), axis=-1, epsilon=eps)

    positions = source.positions(weights.take("positions.weight", config.max_length, d))
    x = graph.node("Add", _embeddings(graph, config, weights, source), positions)
    states = [graph.node("LayerNormalization", x, *norm("norm"), epsilon=eps)]
    for layer in range(config.num_layers):
        prefix, x = f"layers.{layer}.", states[-1]
        qkv = graph.nodes("Split", 3, linear(x, d, 3 * d, prefix + "qkv"), axis=-1, num_outputs=3)
        attended = source.attend(layer, qkv, config.num_heads)
        x = added(source.queries(layer, x), linear(attended, d, d, prefix + "out"), prefix + "attention_norm")
        activated = _ACTIVATIONS[config.activation](graph, linear(x, d, inner, prefix + "inner"))
        states.append(added(x, linear(activated, inner, d, prefix + "outer"), prefix + "norm"))
    return states


def _roformer_v2(graph: Graph, config: RoFormerV2Config, weights: StoredWeights, source: _Source) -> list[str]:
    d, inner, eps, heads = config.hidden_size, config.intermediate_size, float(config.norm_eps), config.num_heads
    ones = graph.constant(np.ones(d, np.float32))
    frequencies = 10000.0 ** (-np.arange(0, d // heads, 2, dtype=np.float32) / (d // heads))
    angles = np.arange(num_positions(config), dtype=np.float32)[:, None] * frequencies
    cos, sin = graph.constant(np.cos(angles)), graph.constant(np.sin(angles))

    def linear(x: str, inputs: int, outputs: int, name: str) -> str:
        return graph.linear(x, weights.take(f"{name}.weight", outputs, inputs))

    def rotated(x: str) -> str:  # the weights are in split order, which is that of the operator
        inputs = (x, source.first_position, cos, sin)
        return graph.node("RotaryEmbedding", *inputs, domain=MICROSOFT, num_heads=heads)

    def added(x: str, update: str) -> str:
        return graph.node("SkipSimplifiedLayerNormalization", x, update, ones, domain=MICROSOFT, epsilon=eps)

    embeddings = _embeddings(graph, config, weights, source)
    states = [graph.node("SimplifiedLayerNormalization", embeddings, ones, axis=-1, epsilon=eps)]
    for layer in range(config.num_layers):
        prefix, x = f"layers.{layer}.", states[-1]
        qkv = linear(x, d, 3 * d, prefix + "attention.qkv")
        query, key, value = graph.nodes("Split", 3, qkv, axis=-1, num_outputs=3)
        attended = source.attend(layer, [rotated(query), rotated(key), value], heads)
        x = added(source.queries(layer, x), linear(attended, d, d, prefix + "attention.out"))
        activated = _ACTIVATIONS[config.activation](graph, linear(x, d, inner, prefix + "inner"))
        states.append(added(x, linear(activated, inner, d, prefix + "outer")))
    return states


def _embeddings(graph: Graph, config: EncoderConfig, weights: StoredWeights, source: _Source) -> str:
    """Add the embeddings of the tokens and the token types."""
    table = weights.take("embeddings.weight", config.vocab_size, config.hidden_size)
    token_types = source.token_types(weights.take("segments.weight", config.num_segments, config.hidden_size))
    tokens = graph.node("Gather", graph.constant(table), "input_ids")
    return graph.node("Add", tokens, token_types)
