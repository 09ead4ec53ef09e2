"""Rotary position embedding (RoFormer, arXiv 2104.09864), on interleaved pairs with base 10000.

Shape legend of the whole package: b batch, s sequence, d hidden, h head size, n heads, c labels.

A pair of neighbouring dimensions (x₀, x₁), (x₂, x₃) … is turned by the angle position · 10000^(−2i/h). The products q·k
that RoPE serves do not change when the same permutation is applied to the dimensions of both, so what comes out is in
the *split* order (all first members of the pairs, then all second ones), where each half is contiguous. `split_order`
brings interleaved weights into that order for good.
"""

from typing import Any

import torch
from torch import Tensor


def rotary_angles(positions: Tensor, size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """What `rotate` takes, each [..., h], for positions [...]; 0 is the first unit of a row ([CLS]).

    Cosines and sines of the angles in split order; those sines that are taken away are negative.
    """
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size)
    angles = positions[..., None].float() * frequencies
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns x [..., h], whose last dimension is in split order, by angles broadcastable to it."""
    return _Rotation.apply(x, cos.to(x.dtype), sin.to(x.dtype))  # type: ignore[no-any-return, no-untyped-call]


class _Rotation(torch.autograd.Function):
    """See `rotate`: a gradient is turned back, in as few steps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(gradients[0], cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat([second, first], dim=-1), sin)


def rotate_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns x [..., h] of interleaved pairs; the result is in split order."""
    return rotate(torch.cat([x[..., 0::2], x[..., 1::2]], dim=-1), cos, sin)


def split_order(size: int) -> Tensor:
    """The permutation [h] that brings interleaved dimensions into split order: 0, 2, 4 … then 1, 3, 5 …."""
    return torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
