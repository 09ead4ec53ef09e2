"""Attention over padded batches against loops over heads and queries."""

import pytest
import torch

from nlpkit.nn.layers.attention import EXPLICIT_LENGTH, BatchAttention, FirstTokenAttention, attend

LENGTHS = torch.tensor([6, 2, 4])
PADDING = torch.arange(6) < LENGTHS[:, None]  # [b, s]
CAUSAL = PADDING[:, None, :] & torch.ones(6, 6, dtype=torch.bool).tril()  # [b, s, s]


def random_heads(dtype=torch.float32, size=6):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, size, 2, 4, generator=generator).to(dtype) for _ in range(3)]


def slow(query, key, value, allowed):
    """softmax(q·kᵀ/√h)·v, query by query; `allowed` is [b, s, m]."""
    result = torch.zeros_like(query, dtype=torch.float32)
    query, key, value = query.float(), key.float(), value.float()
    for b, i, n in torch.cartesian_prod(*map(torch.arange, query.shape[:3])).tolist():
        keys = allowed[b, i].nonzero()[:, 0]
        scores = key[b, keys, n] @ query[b, i, n] / query.shape[-1] ** 0.5
        result[b, i, n] = scores.softmax(0) @ value[b, keys, n]
    return result


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("mask", [None, PADDING, CAUSAL], ids=["all", "padding", "causal"])
def test_attention_is_that_of_a_loop(dtype, tolerance, mask):
    heads = random_heads(dtype)
    allowed = torch.ones(3, 6, 6, dtype=torch.bool) if mask is None else mask.view(3, -1, 6).expand(3, 6, 6)
    expected = slow(*heads, allowed)
    found = BatchAttention(mask, 6)(*heads)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, atol=tolerance, rtol=tolerance)
    first = FirstTokenAttention(mask, 6)(*heads)
    torch.testing.assert_close(first.float(), expected[:, :1], atol=tolerance, rtol=tolerance)


def test_half_precision_has_the_gradients_of_single_precision():
    grads = []
    for dtype in (torch.float32, torch.bfloat16):
        heads = [head.requires_grad_() for head in random_heads(dtype)]
        attend(*heads, CAUSAL[:, None]).float().square().sum().backward()
        grads.append([head.grad.float() for head in heads])
    for exact, half in zip(*grads, strict=True):
        torch.testing.assert_close(half, exact, atol=0.1, rtol=0.1)


def test_a_long_sequence_in_half_precision_is_that_of_single_precision():
    heads = random_heads(torch.bfloat16, EXPLICIT_LENGTH + 1)
    found = attend(*heads, None)
    exact = attend(*(head.float() for head in heads), None)
    torch.testing.assert_close(found.float(), exact, atol=0.03, rtol=0.03)


def test_autocast_does_not_change_the_precision_of_the_heads():
    heads = random_heads(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attend(*heads, CAUSAL[:, None]), attend(*heads, CAUSAL[:, None]))
        assert attend(*heads, None).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (None, [[6] * 6] * 3),
        (PADDING, [[length] * 6 for length in (6, 2, 4)]),
        (CAUSAL, [[1, 2, 3, 4, 5, 6], [1, 2, 2, 2, 2, 2], [1, 2, 3, 4, 4, 4]]),
    ],
    ids=["all", "padding", "causal"],
)
def test_lengths_of_contexts(mask, expected):
    heads = torch.zeros(3, 6, 2, 4)
    for attention, size in ((BatchAttention(mask, 6), 6), (FirstTokenAttention(mask, 6), 1)):
        lengths = attention.context_lengths + torch.zeros_like(heads[:, :size])  # broadcast to [b, s, n, h]
        assert lengths[:, :, 1, 3].tolist() == [row[:size] for row in expected]


def test_what_belongs_to_the_queries():
    x = torch.rand(3, 6, 8)
    assert BatchAttention(None, 6).select_queries(x) is x
    assert torch.equal(FirstTokenAttention(None, 6).select_queries(x), x[:, :1])
