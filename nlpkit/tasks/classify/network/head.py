"""The head of `ClassifyNetwork` in numpy, for prediction without torch."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.onnx.weights import StoredWeights

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def linear_head(weights: StoredWeights, width: int, num_labels: int) -> Callable[[Floats, Bools], Floats]:
    """Return the function of states [b, s, d] and the attention mask [b, s] that gives logits [b, c].

    Args:
        weights: of the network; those of the backbone were taken.
        width: d.
        num_labels: c.

    Raises:
        ValueError: a weight is missing or has another shape.
    """
    mean, deviation = weights.take("standardize.mean", width), weights.take("standardize.deviation")
    matrix = np.ascontiguousarray(weights.take("head.weight", num_labels, width).T)
    bias = weights.take("head.bias", num_labels)

    def logits(states: Floats, attention_mask: Bools) -> Floats:
        mask = attention_mask.astype(np.float32)
        means = np.einsum("bs,bsd->bd", mask, states) / mask.sum(1, keepdims=True)
        result: Floats = ((states[:, 0] + means - mean) / deviation) @ matrix + bias
        return result

    return logits
