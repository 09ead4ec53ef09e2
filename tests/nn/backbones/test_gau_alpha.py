"""GAU-α against a loop over layers from the publication."""

import pytest
import torch
from backbone_support import gau_reference, gau_weights

from nlpkit.nn.backbones.convert import load_published
from nlpkit.nn.backbones.gau_alpha import GauAlpha
from nlpkit.nn.configs import GauAlphaConfig


@pytest.mark.parametrize("length", [5, 20])
def test_gau_alpha_equals_the_reference_on_published_weights(length):
    config = GauAlphaConfig(vocab_size=30, hidden_size=16, num_layers=2, intermediate_size=32, key_size=8, dropout=0.0)
    weights = gau_weights(config)
    backbone = GauAlpha(config)
    load_published(backbone, weights)
    ids = torch.randint(5, 30, (2, length))
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[1, 3:] = False
    hidden = backbone(ids, mask)
    torch.testing.assert_close(hidden[0], gau_reference(weights, config, ids[0].tolist()), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(hidden[1, :3], gau_reference(weights, config, ids[1, :3].tolist()), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(backbone(ids[:1], None)[0], hidden[0], atol=1e-5, rtol=1e-4)
