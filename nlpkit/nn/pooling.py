"""From the hidden states of a row to one vector; shapes as in `nn.rope`.

    cls           P1 of kexue.fm 8348: the state of the first unit
    pooler        P2: a linear map of it, without the tanh that BERT's own has (the map is the caller's)
    mean          P3: mean over the units of the last layer
    first-last    P4: mean of the means of layer 1 and of the last layer ("first" is layer 1, not the embeddings)

and those that sentence-transformers has besides: max, mean_sqrt_len_tokens, weightedmean, lasttoken.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

POOLINGS = ("cls", "pooler", "mean", "first-last")


def pool(states: Sequence[Tensor], mask: Tensor | None, pooling: str) -> Tensor:
    """One vector a row.

    Args:
        states: hidden states [b, s, d] from the embedding's output to the last layer's; only `first-last` needs others
            than the last.
        mask: [b, s], True at units that count; None where all do.
        pooling: a name of `FUNCTIONS`.

    Returns:
        [b, d] in fp32: means of half-precision states are summed in fp32.
    """
    if mask is None:
        mask = torch.ones(states[-1].shape[:2], dtype=torch.bool, device=states[-1].device)
    return FUNCTIONS[pooling](states, mask)


def _cls(states: Sequence[Tensor], mask: Tensor) -> Tensor:
    rows = torch.arange(len(mask), device=mask.device)
    return states[-1][rows, mask.int().argmax(1)].float()


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
    rows = torch.arange(len(mask), device=mask.device)
    places = mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return states[-1][rows, places.argmax(1)].float()


def _sum(states: Tensor, weights: Tensor) -> Tensor:
    """Σ weight · state over the units, [b, d]: a matrix product, in fp32."""
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
