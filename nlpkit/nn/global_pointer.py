"""GlobalPointer (kexue.fm 8373) and Efficient GlobalPointer (kexue.fm 8877): scores of all spans of a text."""

from typing import Literal

import torch
from torch import Tensor, nn

from nlpkit.nn.factors import Factors
from nlpkit.nn.layers.rope import rotary_angles, rotate_interleaved


class GlobalPointer(nn.Module):
    """s_α(i, j) = q_{α,i}·k_{α,j} / √h, with RoPE on q and k; 2·h·c·(d + 1) parameters.

    Args:
        hidden_size: d of the backbone.
        num_labels: c.
        head_size: h, 64 in the publication.
        rope: whether to apply RoPE to q and k; links between spans do without.
        triangle: whether to mask spans with i > j.
    """

    def __init__(
        self,
        hidden_size: int,
        num_labels: int,
        head_size: int = 64,
        *,
        rope: bool = True,
        triangle: bool = True,
    ):
        super().__init__()
        self.num_labels, self.head_size, self.rope, self.triangle = num_labels, head_size, rope, triangle
        self.dense = nn.Linear(hidden_size, num_labels * 2 * head_size)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits of all spans.

        Args:
            hidden: [b, s, d].
            attention_mask: [b, s], True at tokens, False at padding.

        Returns:
            Logits [b, c, s, s]; those of spans with padding and, with `triangle`, of spans with i > j are the lowest
            number of the dtype.
        """
        b, s, _ = hidden.shape
        projected = self.dense(hidden).view(b, s, self.num_labels, 2, self.head_size)
        query, key = projected.permute(3, 0, 2, 1, 4)  # each [b, c, s, h]
        logits = _scores(query, key, self.rope)
        return _masked(logits, attention_mask, self.triangle)


class EfficientGlobalPointer(nn.Module):
    """s_α(i, j) = q_i·k_j / √h + b_{2α}(j) + b_{2α+1}(i): one score for all labels, plus a bias per label.

    2·h·(d + 1) + 2·c·(2h + 1) parameters. The arguments are those of `GlobalPointer`.
    """

    def __init__(
        self,
        hidden_size: int,
        num_labels: int,
        head_size: int = 64,
        *,
        rope: bool = True,
        triangle: bool = True,
    ):
        super().__init__()
        self.rope, self.triangle = rope, triangle
        self.dense = nn.Linear(hidden_size, 2 * head_size)
        self.bias = nn.Linear(2 * head_size, 2 * num_labels)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits of all spans; see `GlobalPointer.forward`."""
        pairs, starts, ends = self._terms(hidden)
        return _masked(Factors(pairs, starts, ends).dense(), attention_mask, self.triangle)

    def factors(self, hidden: Tensor, attention_mask: Tensor) -> Factors[Tensor]:
        """Return the same logits as `Factors`: b·s·(s + 2c) numbers instead of b·c·s²."""
        pairs, starts, ends = self._terms(hidden)
        return Factors(_masked(pairs[:, None], attention_mask, self.triangle)[:, 0], starts, ends)

    def _terms(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        projected = self.dense(hidden)  # [b, s, 2h]
        pairs = _scores(projected[..., 0::2], projected[..., 1::2], self.rope)
        bias = self.bias(projected) / 2  # [b, s, 2c], from the projection before RoPE
        return pairs, bias[..., 1::2], bias[..., 0::2]


Head = Literal["efficient", "global"]
HEADS: dict[str, type[GlobalPointer] | type[EfficientGlobalPointer]] = {
    "efficient": EfficientGlobalPointer,
    "global": GlobalPointer,
}


def _scores(query: Tensor, key: Tensor, rope: bool) -> Tensor:
    """Return q·kᵀ/√h for [..., s, h]."""
    if rope:
        position_ids = torch.arange(query.shape[-2], device=query.device)
        cos, sin = rotary_angles(position_ids, query.shape[-1], query.dtype)
        query, key = rotate_interleaved(query, cos, sin), rotate_interleaved(key, cos, sin)
    scores: Tensor = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return scores


def _masked(logits: Tensor, attention_mask: Tensor, triangle: bool) -> Tensor:
    """Return logits masked with the lowest finite number of their dtype, which is safe in fp16 too."""
    allowed = attention_mask[:, None, :, None] & attention_mask[:, None, None, :]
    if triangle:
        size = attention_mask.shape[1]
        allowed = allowed & torch.ones(size, size, dtype=torch.bool, device=attention_mask.device).triu()
    return logits.masked_fill(~allowed, torch.finfo(logits.dtype).min)
