"""Rotary positions against complex numbers."""

import torch

from nlpkit.nn.layers.rope import rotary_angles, rotate, split_order


def test_a_pair_is_turned_by_its_angle():
    x = torch.randn(2, 7, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)  # interleaved
    angles = torch.arange(7)[:, None, None] * 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    expected = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (4, 2))) * torch.polar(torch.ones(()), angles))
    turned = rotate(x[..., split_order(8)], *rotary_angles(torch.arange(7)[:, None], 8, torch.float64))
    assert torch.allclose(turned, expected.flatten(-2)[..., split_order(8)], atol=1e-6)


def test_its_gradient_is_turned_back():
    x = torch.randn(2, 4, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    angles = rotary_angles(torch.arange(4)[:, None], 8, torch.float64)
    assert torch.autograd.gradcheck(lambda x: rotate(x, *angles), (x,))
