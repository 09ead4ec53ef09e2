"""DeepNorm against its own definition with α written out, and [MASK] folded against the expectation, token by token."""

import pytest
import torch

from nlpkit.nn.backbones.gau_alpha import GauAlpha
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2
from nlpkit.nn.configs import GauAlphaConfig, RoFormerV2Config
from nlpkit.nn.initialization import deep_norm_, fold_mask_
from nlpkit.nn.layers.norm import rms_norm

SIZES = {"vocab_size": 30, "hidden_size": 128, "num_layers": 3, "intermediate_size": 512, "dropout": 0.0}


def spread(weight, gain):
    """Deviation over Xavier's with that gain; 1 where it was drawn so."""
    return (weight.std() / (gain * (2 / sum(weight.shape)) ** 0.5)).item()


def test_deep_norm_draws_each_matrix_as_the_paper_says():
    encoder = RoFormerV2(RoFormerV2Config(**SIZES, num_heads=2))
    deep_norm_(encoder)
    alpha, beta = (2 * 3) ** 0.25, (8 * 3) ** -0.25  # an encoder of 3 layers, in the paper's own terms
    for layer in encoder.layers:
        query, key, value = layer.attention.qkv.weight.split(128)
        drawn = [(query, 1), (key, 1), (value, beta), (layer.attention.out.weight, beta / alpha)]
        drawn += [(layer.inner.weight, beta), (layer.outer.weight, beta / alpha)]
        for weight, gain in drawn:
            assert spread(weight, gain) == pytest.approx(1, abs=0.05)


def test_deep_norm_of_gau_alpha():
    encoder = GauAlpha(GauAlphaConfig(**SIZES, key_size=64))
    deep_norm_(encoder)
    alpha, beta = 3**0.25, 12**-0.25
    for layer in encoder.layers:
        gate, value, shared = layer.inner.weight.split([512, 512, 64])
        for weight, gain in [(gate, 1), (value, beta), (shared, 1), (layer.outer.weight, beta / alpha)]:
            assert spread(weight, gain) == pytest.approx(1, abs=0.05)
        assert torch.equal(layer.query_scale, torch.ones(64))


def test_alpha_divided_out_of_the_branch_is_alpha_on_the_residual():
    x, branch, alpha = torch.randn(5, 16), torch.randn(5, 16), 1.7
    torch.testing.assert_close(rms_norm(x + branch / alpha), rms_norm(alpha * x + branch))


def test_folding_gives_the_embedding_that_pretraining_expected():
    torch.manual_seed(0)
    before = torch.randn(6, 4)
    after = before.clone()
    fold_mask_(after, mask_id=1, ordinary=torch.tensor([2, 3, 4, 5]), masked=0.15)
    assert torch.equal(after[:2], before[:2])
    mean = before[2:].mean(0)
    for token in range(2, 6):
        torch.testing.assert_close(after[token], 0.865 * before[token] + 0.12 * before[1] + 0.015 * mean)
