"""RoFormerV2 against a loop over heads from the publication."""

import pytest
import torch
from backbone_support import TINY, published_weights, reference

from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.convert import load_published
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2
from nlpkit.nn.configs import RoFormerV2Config


def test_roformer_v2_equals_the_reference_on_published_weights():
    config = RoFormerV2Config(**TINY)
    weights = published_weights(config)
    backbone = RoFormerV2(config)
    load_published(backbone, weights)
    ids = torch.tensor([[2, 7, 9, 11, 3], [2, 5, 3, 0, 0]])
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    hidden = backbone(ids, mask)
    torch.testing.assert_close(hidden[0], reference(weights, config, [2, 7, 9, 11, 3]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(hidden[1, :3], reference(weights, config, [2, 5, 3]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", 0.0), ("gelu", -0.158655), ("gelu_new", -0.158808), ("silu", -0.268941), ("swish", -0.268941)],
)
def test_activations(name, expected):
    inner = build({"type": "roformer_v2", **TINY, "activation": name}).layers[0].inner
    ones = torch.ones(inner.in_features)
    inner.weight.data.fill_(-1.0 / inner.in_features)
    assert inner(ones).tolist() == pytest.approx([expected] * inner.out_features, abs=1e-6)
