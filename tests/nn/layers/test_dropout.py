"""Our dropout against what dropout is."""

import pytest
import torch

from nlpkit.nn.layers.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_is_dropped_and_the_rest_scaled(p, dtype):
    torch.manual_seed(0)
    x = torch.ones(401, 1003, dtype=dtype, requires_grad=True)  # no multiple of eight
    y = Dropout(p)(x)
    assert y.dtype == dtype
    dropped = y == 0
    share = round(p * 256) / 256
    assert dropped.float().mean().item() == pytest.approx(share, abs=0.003)
    assert y[~dropped].unique().tolist() == pytest.approx([1 / (1 - share)], rel=0.01)
    for dim in (0, 1):  # no row or column is another's
        assert dropped.float().mean(dim).sub(share).abs().max() < 0.2
    y.sum().backward()
    assert x.grad.equal(y.detach())


def test_neighbours_are_independent():
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(1 << 20)) == 0).float() - 0.5
    for distance in range(1, 17):
        assert (dropped[distance:] * dropped[:-distance]).mean().abs() < 0.002


def test_it_repeats_with_the_seed_and_not_otherwise():
    layer, x = Dropout(0.3), torch.ones(1000)
    first = torch.manual_seed(1) and layer(x)
    again = torch.manual_seed(1) and layer(x)
    assert first.equal(again)
    assert not layer(x).equal(again)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (7,)])
def test_odd_shapes(shape):
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


def test_nothing_is_dropped_in_evaluation_or_without_p():
    x = torch.randn(100)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x).equal(x)
