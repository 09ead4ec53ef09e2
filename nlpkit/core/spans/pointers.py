"""The heads of `nn.global_pointer` in numpy, for prediction without torch.

They compute what the modules compute, from the weights of the same names.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.spans.spans import Bools, Floats
from nlpkit.nn.factors import Factors

_LOWEST = np.finfo(np.float32).min


class Sizes(NamedTuple):
    """Sizes of a pointer: d of the backbone, c labels, h dimensions of its q and k."""

    width: int
    labels: int
    head: int


def standardized(
    weights: StoredWeights, width: int, head: Callable[[Floats, Bools], Any]
) -> Callable[[Floats, Bools], Any]:
    """Return a head on standardized states, as `SpanNetwork.states` gives them.

    Raises:
        ValueError: a weight is missing or has another shape.
    """
    if "standardize.mean" not in weights:  # of an older checkpoint
        return head
    mean, deviation = weights.take("standardize.mean", width), weights.take("standardize.deviation")
    return lambda states, attention_mask: head((states - mean) / deviation, attention_mask)


def efficient_pointer(
    weights: StoredWeights, sizes: Sizes, *, rope: bool = True, triangle: bool = True
) -> Callable[[Floats, Bools], Factors[Floats]]:
    """Return `EfficientGlobalPointer.factors` as a function of states [b, s, d] and the attention mask [b, s].

    Args:
        weights: of the head.
        sizes: of the head.
        rope: as of the module.
        triangle: as of the module.

    Raises:
        ValueError: a weight is missing or has another shape.
    """
    dense = _linear(weights.under("dense."), sizes.width, 2 * sizes.head)
    bias = _linear(weights.under("bias."), 2 * sizes.head, 2 * sizes.labels)

    def factors(states: Floats, attention_mask: Bools) -> Factors[Floats]:
        projected = dense(states)
        pairs = _scores(projected[..., 0::2], projected[..., 1::2], rope)
        pairs[~_allowed(attention_mask, triangle)] = _LOWEST
        biases: Floats = bias(projected) / np.float32(2)
        return Factors(pairs, biases[..., 1::2], biases[..., 0::2])

    return factors


def global_pointer(weights: StoredWeights, sizes: Sizes) -> Callable[[Floats, Bools], Floats]:
    """Return `GlobalPointer.forward` as a function of states [b, s, d] and the attention mask; see above."""
    dense = _linear(weights.under("dense."), sizes.width, 2 * sizes.labels * sizes.head)

    def logits(states: Floats, attention_mask: Bools) -> Floats:
        b, s, _ = states.shape
        query, key = dense(states).reshape(b, s, sizes.labels, 2, sizes.head).transpose(3, 0, 2, 1, 4)
        scores = _scores(query, key, rope=True)
        scores[np.broadcast_to(~_allowed(attention_mask, triangle=True)[:, None], scores.shape)] = _LOWEST
        return scores

    return logits


def _linear(weights: StoredWeights, inputs: int, outputs: int) -> Callable[[Floats], Floats]:
    matrix, bias = np.ascontiguousarray(weights.take("weight", outputs, inputs).T), weights.take("bias", outputs)

    def apply(x: Floats) -> Floats:  # one product; numpy multiplies stacks of matrices one by one
        result: Floats = (x.reshape(-1, x.shape[-1]) @ matrix + bias).reshape(*x.shape[:-1], -1)
        return result

    return apply


def _scores(query: Floats, key: Floats, rope: bool) -> Floats:
    """Return q·kᵀ/√h for [..., s, h]."""
    if rope:
        query, key = _rotated(query), _rotated(key)
    scores: Floats = query @ key.mT / np.float32(query.shape[-1] ** 0.5)
    return scores


def _rotated(x: Floats) -> Floats:
    """Return x [..., s, h], in interleaved order, rotated by its positions; the result is in split order."""
    frequencies = 10000.0 ** (-np.arange(0, x.shape[-1], 2, dtype=np.float32) / x.shape[-1])
    angles = np.arange(x.shape[-2], dtype=np.float32)[:, None] * frequencies
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = x[..., 0::2], x[..., 1::2]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _allowed(attention_mask: Bools, triangle: bool) -> Bools:
    """Return [b, s, s], True for pairs of tokens, with `triangle` of tokens i ≤ j."""
    allowed = attention_mask[:, :, None] & attention_mask[:, None, :]
    result: Bools = allowed & np.triu(np.ones(allowed.shape[1:], dtype=np.bool_)) if triangle else allowed
    return result
