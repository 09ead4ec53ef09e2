"""Scaled dot-product attention over padded batches."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

EXPLICIT_LENGTH = 1024  # longest sequence whose matrix of scores is computed in full


class AttentionFn(Protocol):
    """The attention of one layer, with its mask and, for incremental encoding, its key/value cache."""

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return softmax(q·kᵀ/√h)·v for tokens [..., n, h] with n heads."""

    def select_queries(self, x: Tensor) -> Tensor:
        """Return the part of x [..., d] that belongs to the tokens for which `__call__` returns results."""

    @property
    def context_lengths(self) -> Tensor | int:
        """Return the number of tokens that each token may attend to, broadcastable to [..., n, h]."""


class BatchAttention(AttentionFn):
    """Self-attention within the sequences of a batch [b, s].

    Args:
        attention_mask: [b, s], True at tokens; or [b, s, s], True where a query (second dimension) may attend to a key
            (third dimension); None allows all.
        size: s.
    """

    def __init__(self, attention_mask: Tensor | None, size: int):
        if attention_mask is not None:
            attention_mask = attention_mask[:, None, None, :] if attention_mask.dim() == 2 else attention_mask[:, None]
        self.size, self.attention_mask = size, attention_mask

    @override
    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return attention for [b, s, n, h]."""
        return attend(query, key, value, self.attention_mask)

    @override
    def select_queries(self, x: Tensor) -> Tensor:
        return x

    @property
    @override
    def context_lengths(self) -> Tensor | int:
        return self.size if self.attention_mask is None else self.attention_mask.sum(-1)[:, 0, :, None, None]


class FirstTokenAttention(BatchAttention):
    """Attention with the first token of every sequence as the only query, for pooling by [CLS]."""

    @override
    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return attention [b, 1, n, h] for [b, s, n, h]."""
        mask = self.attention_mask if self.attention_mask is None else self.attention_mask[:, :, :1]
        return attend(query[:, :1], key, value, mask)

    @override
    def select_queries(self, x: Tensor) -> Tensor:
        return x[:, :1]

    @property
    @override
    def context_lengths(self) -> Tensor | int:
        lengths = super().context_lengths
        return lengths if isinstance(lengths, int) else lengths[:, :1]


def attend(query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return softmax(q·kᵀ/√h)·v.

    This is torch's fused kernel, except on a CPU in bf16, where three separate products are 1.8 times faster in
    inference and 3.4 times in training (Zen 4, s = 128).

    Args:
        query: [b, s, n, h].
        key: [b, m, n, h].
        value: as key.
        attention_mask: broadcastable to [b, n, s, m], True where attention is allowed; None allows all.

    Returns:
        [b, s, n, h].
    """
    query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    explicit = query.device.type == "cpu" and query.dtype == torch.bfloat16 and key.shape[-2] <= EXPLICIT_LENGTH
    if not explicit:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask).transpose(1, 2)
    with torch.autocast("cpu", enabled=False):  # it would take softmax to fp32 and back
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if attention_mask is not None:
            scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
        attended: Tensor = scores.softmax(-1) @ value
    return attended.transpose(1, 2)
