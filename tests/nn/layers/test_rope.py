"""Rotary positions against complex numbers and transformers."""

import torch

from nlpkit.nn.layers.rope import rotary_angles, rotate, rotate_interleaved, split_order


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


def test_roformer_rope_equals_transformers():
    """The layers of transformers' RoFormer turn q and k as our RoPE does, for any pair of positions."""
    from transformers.models.roformer import modeling_roformer

    config = modeling_roformer.RoFormerConfig(hidden_size=16, num_attention_heads=2, max_position_embeddings=32)
    attention = modeling_roformer.RoFormerSelfAttention(config)
    positions = modeling_roformer.RoFormerSinusoidalPositionalEmbedding(32, 8)
    positions.weight.data = positions.create_weight()
    angles = positions(torch.Size([1, 10]))[None, None]
    query, key = torch.randn(1, 2, 10, 8), torch.randn(1, 2, 10, 8)
    theirs_q, theirs_k = attention.apply_rotary_position_embeddings(angles, query, key)
    cos, sin = rotary_angles(torch.arange(10), 8)
    ours = rotate_interleaved(query, cos, sin) @ rotate_interleaved(key, cos, sin).transpose(-1, -2)
    torch.testing.assert_close(ours, theirs_q @ theirs_k.transpose(-1, -2), atol=1e-5, rtol=1e-5)
