"""Backbones are built from their descriptions, and a description that does not fit is one line."""

import json

import pytest
from backbone_support import TINY

from nlpkit.errors import ModelError
from nlpkit.nn.backbones import build


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"type": "roformer_v2", **TINY, "activation": "mish"}, "unknown activation 'mish'; supported: relu, gelu"),
        (
            {"type": "roformer_v2", **TINY, "num_heads": 3},
            "16 dimensions cannot be divided into 3 heads of an even size",
        ),
        ({"type": "roformer_v2", **TINY, "dropout": "0.1"}, "dropout cannot be '0.1'"),
        ({"type": "roformer_v2", **TINY, "vocab_size": -1}, "vocab_size cannot be -1"),
        ({"type": "roformer_v2"}, "vocab_size"),
        ({"type": "bert", **TINY, "num_heads": 3}, "16 dimensions cannot be divided into 3 heads"),
        ({"type": "bert", **TINY, "activation": "mish"}, "unknown activation 'mish'"),
        ({"type": "gau_alpha", "vocab_size": 9, "key_size": 7}, "the key size must be even, not 7"),
        ({"type": "gau_alpha", "vocab_size": 9, "max_length": None}, "max_length cannot be None"),
        ({"type": "auto"}, "config"),
        ({"type": "auto", "config": None}, "must be a mapping"),
        ({"type": "auto", "config": {"model_type": "bert", "hidden_size": "x"}}, "hidden_size|argument 'size'"),
        ({"type": "auto", "config": {"model_type": "bert", "hidden_size": 10, "num_attention_heads": 3}}, "multiple"),
    ],
)
def test_descriptions_that_do_not_fit(description, message):
    with pytest.raises(ModelError, match=rf"description does not fit this version of nlpkit \(.*{message}") as caught:
        build(description)
    assert "\n" not in str(caught.value)


def test_an_unknown_type_is_an_error():
    with pytest.raises(ModelError, match="unknown backbone type 'lstm'; a newer nlpkit may know it"):
        build({"type": "lstm"})
    with pytest.raises(ModelError, match="unknown backbone type None"):
        build({})


@pytest.mark.parametrize(
    "description",
    [
        {"type": "roformer_v2", **TINY, "activation": "silu"},
        {"type": "bert", **TINY, "max_length": 9},
        {"type": "gau_alpha", "vocab_size": 30, "hidden_size": 16, "num_layers": 1, "key_size": 8},
        {"type": "auto", "config": {"model_type": "bert", "vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 1,
                                    "num_attention_heads": 2, "intermediate_size": 32}},
    ],
    ids=lambda description: description["type"],
)  # fmt: skip
def test_a_backbone_describes_itself(description):
    backbone = build(description)
    again = build(json.loads(json.dumps(backbone.describe())))
    again.load_state_dict(backbone.state_dict())
    assert again.describe() == backbone.describe()
    assert (again.hidden_size, again.vocab_size, again.max_length) == (16, 30, backbone.max_length)
    assert again.token_embeddings.shape == (30, 16)
