"""The network of kgqa in ONNX Runtime; see `network.runner.KgqaRunner`. It computes what `network.model` computes."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.onnx.cached import CachedOnnxEncoder, OnnxCache
from nlpkit.core.onnx.graph import Graph, Value
from nlpkit.core.onnx.proto import FLOAT, MICROSOFT
from nlpkit.core.onnx.session import make_session
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.configs import EncoderConfig
from nlpkit.tasks.kgqa.network.runner import BORDERS, DEEP_SIZE, FEATURE_SCALE, WIDE_SIZE, Floats, Ints, Tokens

_EPSILON = 1e-12  # as of nn.layers.norm.rms_norm


class OnnxKgqaRunner:
    """A network on the CPU.

    Args:
        config: of the encoder; see `core.onnx.encoders.supports`.
        weights: of the network.
        num_features: number of features of a candidate.
        parameters: number of weights.
        int8: whether the encoder multiplies in int8.

    Raises:
        ValueError: a weight is missing, has another shape, or is left over.
    """

    device_type: str = "cpu"

    def __init__(
        self, config: EncoderConfig, weights: StoredWeights, num_features: int, parameters: int, *, int8: bool
    ):
        d = config.hidden_size
        self.config, self.parameters = config, parameters
        self._weights = weights
        self._transform, self._bias = weights.take("transform.weight", d, d), weights.take("bias", config.vocab_size)
        self._borders = weights.take("borders.weight", BORDERS, d).T, weights.take("borders.bias", BORDERS)
        self._border_weight = weights.take("border_weight", 1)
        self._wide = _perceptron(weights.under("wide."), num_features, WIDE_SIZE)
        self._deep = _perceptron(weights.under("deep."), d + num_features, DEEP_SIZE)
        self._encoder = CachedOnnxEncoder(config, weights.under("backbone."), int8=int8)
        weights.check_all_taken()

    def new_cache(self) -> OnnxCache:
        """Return an empty cache."""
        return OnnxCache()

    def encode(self, tokens: Tokens, query_indices: Ints, cache: OnnxCache) -> Floats:
        """Return the last hidden states [k, d] of some of the new tokens, and add the tokens to the cache."""
        return self._encoder(tokens, query_indices, cache)

    def generate(self, states: Floats) -> Floats:
        """Return the logits [n, V] of the next token for each hidden state [n, d]."""
        return self._generator(states)

    def border_scores(self, states: Floats) -> Floats:
        """Return the scores [n, 2] of the borders of the subject's name for hidden states [n, d]."""
        matrix, bias = self._borders
        result: Floats = states @ matrix + bias
        return result

    def rank(self, states: Floats, features: Floats, borders: Floats) -> Floats:
        """Return the logit [n] of each key, as `KgqaNetwork.rank` does."""
        scaled = features * np.float32(FEATURE_SCALE)
        deep = self._deep(np.concatenate([states, scaled], axis=-1))[:, 0]
        return self.rank_without_states(features, borders) + deep

    def rank_without_states(self, features: Floats, borders: Floats) -> Floats:
        """Return the logit [n] of each key without its deep part, as `KgqaNetwork.rank_without_states` does."""
        wide = self._wide(features * np.float32(FEATURE_SCALE))[:, 0]
        result: Floats = wide + self._border_weight * borders.sum(-1)
        return result

    @cached_property
    def _generator(self) -> Callable[[Floats], Floats]:
        """`generate`; its matrix is that of the embeddings, and few questions need it."""
        graph, d, size = Graph(), self.config.hidden_size, self.config.vocab_size
        x = graph.linear(graph.input(Value("x", FLOAT, ("count", d))), self._transform)
        ones = graph.constant(np.ones(d, np.float32))
        x = graph.node("Gelu", x, domain=MICROSOFT)
        x = graph.node("SimplifiedLayerNormalization", x, ones, axis=-1, epsilon=_EPSILON)
        matrix = self._weights.under("backbone.").take("embeddings.weight", size, d)
        return _function(graph, graph.linear(x, matrix, self._bias), size)


def _perceptron(weights: StoredWeights, inputs: int, hidden: int) -> Callable[[Floats], Floats]:
    """Return two layers with a GELU between them, as modules 0 and 2 of a `Sequential`; the second may have no bias."""
    graph = Graph()
    x = graph.input(Value("x", FLOAT, ("count", inputs)))
    x = graph.linear(x, weights.take("0.weight", hidden, inputs), weights.take("0.bias", hidden))
    x = graph.node("Gelu", x, domain=MICROSOFT)
    bias = weights.take("2.bias", 1) if "2.bias" in weights else None
    return _function(graph, graph.linear(x, weights.take("2.weight", 1, hidden), bias), 1)


def _function(graph: Graph, output: str, size: int) -> Callable[[Floats], Floats]:
    """Return a graph with one input as a function of x [n, …] to [n, size]."""
    graph.output(output, Value("y", FLOAT, ("count", size)))
    session = make_session(graph)

    def apply(x: NDArray[Any]) -> Floats:
        result: Floats = session.run(["y"], {"x": x})[0]
        return result

    return apply
