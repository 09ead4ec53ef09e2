"""Rotary position embedding (RoFormer, arXiv 2104.09864), on interleaved pairs with base 10000.

Shape legend of the whole package: b batch, s sequence, d hidden, h head size, n heads, c labels.

A pair of neighbouring dimensions (x₀, x₁), (x₂, x₃) … is turned by the angle position · 10000^(−2i/h). The products q·k
that RoPE serves do not change when the same permutation is applied to the dimensions of both, so what comes out is in
the *split* order (all first members of the pairs, then all second ones), where each half is contiguous. `split_order`
brings interleaved weights into that order for good.
"""

import torch
from torch import Tensor


def rotary_angles(positions: Tensor, size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles, each [..., h/2], at positions [...]; 0 is the first unit of a row ([CLS])."""
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size)
    angles = positions[..., None].float() * frequencies
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns x [..., h], whose last dimension is in split order, by angles broadcastable to [..., h/2]."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def rotate_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns x [..., s, h] of interleaved pairs; the result is in split order."""
    first, second = x[..., 0::2], x[..., 1::2]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def split_order(size: int) -> Tensor:
    """The permutation [h] that brings interleaved dimensions into split order: 0, 2, 4 … then 1, 3, 5 …."""
    return torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
