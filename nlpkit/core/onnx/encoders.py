"""The encoders of `nn.backbones` as ONNX graphs, with the fused operators of ONNX Runtime.

The graph maps input_ids [b, s] and lengths [b] to the states [b, s, d] of some layers. It computes what the module of
the same type computes in torch; padding may have any states.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from nlpkit.core.onnx.graph import Graph, Value
from nlpkit.core.onnx.proto import FLOAT, INT32, INT64, MICROSOFT
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.configs import BertConfig, EncoderConfig, RoFormerV2Config

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
    """Add an encoder to a graph, with the output `states` of the last layer.

    Args:
        graph: empty.
        config: of an encoder that `supports` knows.
        weights: of the encoder.
        layers: further outputs `layer_1`, `layer_2` …: the states after these layers; 0 is the embedding output.

    Raises:
        ValueError: a weight is missing, has another shape, or is left over.
    """
    graph.input(Value("input_ids", INT64, ("batch", "sequence")))
    graph.input(Value("lengths", INT32, ("batch",)))
    if isinstance(config, BertConfig):
        states = _bert(graph, config, weights)
    elif isinstance(config, RoFormerV2Config):
        states = _roformer_v2(graph, config, weights)
    else:
        raise ValueError(f"no graph for {type(config).__name__}")
    weights.check_all_taken()
    for layer in layers:
        graph.output(states[layer], Value(f"layer_{layer}", FLOAT, ("batch", "sequence", config.hidden_size)))
    graph.output(states[-1], Value("states", FLOAT, ("batch", "sequence", config.hidden_size)))


def _bert(graph: Graph, config: BertConfig, weights: StoredWeights) -> list[str]:
    d, inner, eps = config.hidden_size, config.intermediate_size, float(config.norm_eps)

    def linear(x: str, inputs: int, outputs: int, name: str) -> str:
        return graph.linear(x, weights.take(f"{name}.weight", outputs, inputs), weights.take(f"{name}.bias", outputs))

    def norm(name: str) -> list[str]:
        return [graph.constant(weights.take(f"{name}.{part}", d)) for part in ("weight", "bias")]

    def added(x: str, update: str, name: str) -> str:
        return graph.node("LayerNormalization", graph.node("Add", x, update), *norm(name), axis=-1, epsilon=eps)

    length = graph.node("Gather", graph.node("Shape", "input_ids"), graph.constant(np.array([1])))
    zero, table = graph.constant(np.array([0])), weights.take("positions.weight", config.max_length, d)
    positions = graph.node("Slice", graph.constant(table), zero, length, zero)
    x = graph.node("Add", _embeddings(graph, config, weights), positions)
    states = [graph.node("LayerNormalization", x, *norm("norm"), epsilon=eps)]
    for layer in range(config.num_layers):
        prefix, x = f"layers.{layer}.", states[-1]
        query, key, value = graph.nodes("Split", 3, linear(x, d, 3 * d, prefix + "qkv"), axis=-1, num_outputs=3)
        attended = _attention(graph, query, key, value, config.num_heads)
        x = added(x, linear(attended, d, d, prefix + "out"), prefix + "attention_norm")
        activated = _ACTIVATIONS[config.activation](graph, linear(x, d, inner, prefix + "inner"))
        states.append(added(x, linear(activated, inner, d, prefix + "outer"), prefix + "norm"))
    return states


def _roformer_v2(graph: Graph, config: RoFormerV2Config, weights: StoredWeights) -> list[str]:
    d, inner, eps, heads = config.hidden_size, config.intermediate_size, float(config.norm_eps), config.num_heads
    ones, start = graph.constant(np.ones(d, np.float32)), graph.constant(np.array([0]))
    frequencies = 10000.0 ** (-np.arange(0, d // heads, 2, dtype=np.float32) / (d // heads))
    angles = np.arange(config.max_length, dtype=np.float32)[:, None] * frequencies
    cos, sin = graph.constant(np.cos(angles)), graph.constant(np.sin(angles))

    def linear(x: str, inputs: int, outputs: int, name: str) -> str:
        return graph.linear(x, weights.take(f"{name}.weight", outputs, inputs))

    def rotated(x: str) -> str:  # the weights are in split order, which is that of the operator
        return graph.node("RotaryEmbedding", x, start, cos, sin, domain=MICROSOFT, num_heads=heads)

    def added(x: str, update: str) -> str:
        return graph.node("SkipSimplifiedLayerNormalization", x, update, ones, domain=MICROSOFT, epsilon=eps)

    embeddings = _embeddings(graph, config, weights)
    states = [graph.node("SimplifiedLayerNormalization", embeddings, ones, axis=-1, epsilon=eps)]
    for layer in range(config.num_layers):
        prefix, x = f"layers.{layer}.", states[-1]
        qkv = linear(x, d, 3 * d, prefix + "attention.qkv")
        query, key, value = graph.nodes("Split", 3, qkv, axis=-1, num_outputs=3)
        attended = _attention(graph, rotated(query), rotated(key), value, heads)
        x = added(x, linear(attended, d, d, prefix + "attention.out"))
        activated = _ACTIVATIONS[config.activation](graph, linear(x, d, inner, prefix + "inner"))
        states.append(added(x, linear(activated, inner, d, prefix + "outer")))
    return states


def _embeddings(graph: Graph, config: EncoderConfig, weights: StoredWeights) -> str:
    """Add the embeddings of the tokens and of the first token type."""
    table = weights.take("embeddings.weight", config.vocab_size, config.hidden_size)
    segments = weights.take("segments.weight", config.num_segments, config.hidden_size)
    tokens = graph.node("Gather", graph.constant(table), "input_ids")
    return graph.node("Add", tokens, graph.constant(segments[0]))


def _attention(graph: Graph, query: str, key: str, value: str, heads: int) -> str:
    """Add multi-head attention of [b, s, d] to the first `lengths` tokens of each sequence."""
    return graph.node("MultiHeadAttention", query, key, value, "", "lengths", domain=MICROSOFT, num_heads=heads)
