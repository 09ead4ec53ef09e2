"""Published configurations and weights under their names."""

import pytest
import torch
from backbone_support import TINY, published_weights

from nlpkit.nn.backbones.convert import load_published, published_encoder
from nlpkit.nn.backbones.gau_alpha import GauAlpha
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2
from nlpkit.nn.configs import RoFormerV2Config


def test_published_configs_are_recognised():
    published = {
        "model_type": "roformer", "norm_type": "rms_norm", "use_bias": False, "vocab_size": 12000, "hidden_size": 384,
        "num_hidden_layers": 6, "num_attention_heads": 6, "intermediate_size": 1536, "hidden_act": "relu",
    }  # fmt: skip
    encoder = published_encoder(published)
    assert isinstance(encoder, RoFormerV2)
    assert encoder.config == RoFormerV2Config(vocab_size=12000)
    assert isinstance(published_encoder({"model_type": "gau_alpha", "vocab_size": 12000, "hidden_size": 768}), GauAlpha)
    assert published_encoder({"model_type": "roformer", "vocab_size": 50000, "num_attention_heads": 12}) is None
    assert published_encoder({"model_type": "bert"}) is None


def test_missing_weight_is_named():
    config = RoFormerV2Config(**TINY)
    weights = published_weights(config)
    del weights["roformer.encoder.layer.1.output.dense.weight"]
    with pytest.raises(KeyError, match=r"encoder\.layer\.1\.output"):
        load_published(RoFormerV2(config), weights)


def test_half_precision_is_single_once_filled():
    config = RoFormerV2Config(**TINY)
    backbone = RoFormerV2(config)
    load_published(backbone, {name: value.half() for name, value in published_weights(config).items()})
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


def test_prefixes_of_published_names_are_ignored():
    weights = published_weights(RoFormerV2Config(**TINY))
    one, other = RoFormerV2(RoFormerV2Config(**TINY)), RoFormerV2(RoFormerV2Config(**TINY))
    load_published(one, weights)
    load_published(other, {name.removeprefix("roformer."): value for name, value in weights.items()})
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_weight_of_another_shape_is_an_error():
    weights = published_weights(RoFormerV2Config(**TINY))
    weights["roformer.encoder.layer.0.intermediate.dense.weight"] = torch.ones(3, 16)
    with pytest.raises(RuntimeError, match=r"size mismatch for layers\.0\.inner\.weight"):
        load_published(RoFormerV2(RoFormerV2Config(**TINY)), weights)


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"model_type": "roformer", "norm_type": "rms_norm", "vocab_size": 30}, KeyError),
        ({"model_type": "gau_alpha"}, TypeError),
        ({"model_type": "gau_alpha", "vocab_size": 30, "attention_key_size": 7}, ValueError),
        ({"model_type": "gau_alpha", "vocab_size": "30"}, TypeError),
    ],
)
def test_published_configs_with_a_size_that_cannot_be(config, error):
    with pytest.raises(error):
        published_encoder(config)
