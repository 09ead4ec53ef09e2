"""Pooling of the hidden states of a sequence into one vector; shapes as in `nn.layers.rope`.

    cls           P1 of kexue.fm 8348: the state of the first token
    pooler        P2: the state of the first token, which the caller maps by BERT's pooler without its tanh
    mean          P3: mean of the last layer over the tokens
    first-last    P4: mean of the means of layer 1 and of the last layer ("first" is layer 1, not the embeddings)

The others are those of sentence-transformers: max, mean_sqrt_len_tokens, weightedmean, lasttoken.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def pool(states: Sequence[Tensor], attention_mask: Tensor | None, pooling: str) -> Tensor:
    """Return one vector per sequence.

    Args:
        states: hidden states [b, s, d] of the embeddings and all layers; all poolings except `first-last` need the
            last one only.
        attention_mask: [b, s], True at tokens to include; None includes all.
        pooling: a name of `FUNCTIONS`.

    Returns:
        [b, d] in fp32: means of half-precision states are summed in fp32.
    """
    if attention_mask is None:
        attention_mask = torch.ones(states[-1].shape[:2], dtype=torch.bool, device=states[-1].device)
    return FUNCTIONS[pooling](states, attention_mask)


def _cls(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    sequences = torch.arange(len(mask), device=mask.device)
    return states[-1][sequences, mask.int().argmax(1)].float()


def _mean(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    return _sum(states[-1], mask) / _count(mask)


def _first_last(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    return (_sum(states[1], mask) + _sum(states[-1], mask)) / (2 * _count(mask))


def _root_mean(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    return _sum(states[-1], mask) / _count(mask).sqrt()


def _max(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    return states[-1].float().masked_fill(~mask[..., None], -torch.inf).amax(1)


def _weighted_mean(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    weights = mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return _sum(states[-1], weights) / weights.sum(1, keepdim=True).clamp(min=1)


def _last(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    sequences = torch.arange(len(mask), device=mask.device)
    positions = mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return states[-1][sequences, positions.argmax(1)].float()


def _sum(states: Tensor, weights: Tensor) -> Tensor:
    """Return Σ weight · state over the tokens, [b, d] in fp32."""
    return torch.einsum("bs,bsd->bd", weights.float(), states.float())


def _count(mask: Tensor) -> Tensor:
    return mask.sum(1, keepdim=True).clamp(min=1)


FUNCTIONS: dict[str, Callable[[Sequence[Tensor], Tensor], Tensor]] = {
    "cls": _cls,
    "pooler": _cls,
    "mean": _mean,
    "first-last": _first_last,
    "max": _max,
    "mean_sqrt_len_tokens": _root_mean,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
