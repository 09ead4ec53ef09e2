"""Rotary position embedding (RoFormer, arXiv 2104.09864), on interleaved pairs with base 10000.

Shape legend of the whole package: b batch, s sequence, d hidden, h head size, n heads, c labels.

Each pair of neighbouring dimensions (x₀, x₁), (x₂, x₃) … is rotated by the angle position · 10000^(−2i/h). The products
q·k do not change when the same permutation is applied to the dimensions of both. So results are in *split* order: the
first members of all pairs, then the second ones, each half contiguous. `split_order` is the permutation that brings
interleaved weights into that order once and for all.
"""

from typing import Any

import torch
from torch import Tensor


def rotary_angles(positions: Tensor, size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return the cosines and signed sines that `rotate` takes, each [..., h] in split order.

    Args:
        positions: [...] positions of tokens; 0 is the first token of a sequence ([CLS]).
        size: h.
        dtype: of the results; angles are computed in fp32.
    """
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size)
    angles = positions[..., None].float() * frequencies
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x [..., h], in split order, rotated by angles broadcastable to it."""
    return _Rotation.apply(x, cos.to(x.dtype), sin.to(x.dtype))  # type: ignore[no-any-return, no-untyped-call]


class _Rotation(torch.autograd.Function):
    """`rotate` with a backward pass that rotates the gradient by the opposite angles, in as few operations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotate(gradients[0], cos, -sin), None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat([second, first], dim=-1), sin)


def rotate_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x [..., h], in interleaved order, rotated; the result is in split order."""
    return rotate(torch.cat([x[..., 0::2], x[..., 1::2]], dim=-1), cos, sin)


def split_order(size: int) -> Tensor:
    """Return the permutation [h] that brings interleaved dimensions into split order: 0, 2, 4 … then 1, 3, 5 …."""
    return torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
