"""What ranker and beam search call: the trained network with arrays of numpy, in torch or in ONNX Runtime."""

from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.model.predictor import Runner
from nlpkit.nn.tokens import TokenBatch

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Tokens: TypeAlias = TokenBatch[NDArray[Any]]
DEEP_SIZE, WIDE_SIZE = 128, 32  # hidden sizes of the ranker
FEATURE_SCALE = 4.0  # brings most features to a standard deviation of about 1
BORDERS = 2  # start and end
MASKED_LOGIT = -1e4
MIN_BORDER_SCORE = -5.0  # log-probability of the borders of a name that is not in the question


class Cache(Protocol):
    """Keys and values of the tokens that were encoded so far, by sequence."""

    def select(self, sequences: Ints) -> Self:
        """Return a copy of the sequences with these indices [k], in this order."""


class KgqaRunner(Runner, Protocol):
    """A network of kgqa; see `network.model` for its heads. All scores are in fp32."""

    def new_cache(self) -> Any:
        """Return an empty cache, a `Cache`."""

    def encode(self, tokens: Tokens, query_indices: Ints, cache: Any) -> Floats:
        """Return the last hidden states [k, d] of some of the new tokens, and add the tokens to a cache.

        Args:
            tokens: new tokens.
            query_indices: [k] ascending indices of the tokens whose states are returned.
            cache: of the tokens before; made by this runner.
        """

    def generate(self, states: Floats) -> Floats:
        """Return the logits [n, V] of the next token for each hidden state [n, d]."""

    def border_scores(self, states: Floats) -> Floats:
        """Return scores [n, 2] that the subject's name begins and ends at tokens with the hidden states [n, d]."""

    def rank(self, states: Floats, features: Floats, borders: Floats) -> Floats:
        """Return the logit [n] of each key.

        Args:
            states: hidden states [n, d] of the last tokens of the keys.
            features: string features [n, f].
            borders: log-probabilities [n, 2] of the borders of their names, at least `MIN_BORDER_SCORE`.
        """

    def rank_without_states(self, features: Floats, borders: Floats) -> Floats:
        """Return the logit [n] of each key without its deep part, so before the keys are encoded; see `rank`."""


def log_softmax(scores: Floats, axis: int = -1) -> Floats:
    """Return log-probabilities, normalised along an axis."""
    shifted = scores - scores.max(axis, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    return result
