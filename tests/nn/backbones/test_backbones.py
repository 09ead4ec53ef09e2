"""Backbones against references: loops from the publication, and transformers on tiny configs."""

import math

import pytest
import torch

from nlpkit.errors import ModelError
from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.backbones.convert import load_published, published_encoder
from nlpkit.nn.backbones.gau_alpha import GauAlpha, GauAlphaConfig
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2, RoFormerV2Config

TINY = {"vocab_size": 30, "hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 32, "dropout": 0.0}


def norm(x: torch.Tensor) -> torch.Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-12).sqrt()


def turn(x: torch.Tensor) -> torch.Tensor:
    """RoPE on interleaved pairs, pair by pair."""
    result = torch.empty_like(x)
    for position in range(x.shape[0]):
        for i in range(0, x.shape[1], 2):
            angle = position * 10000.0 ** (-i / x.shape[1])
            a, b = x[position, i], x[position, i + 1]
            result[position, i] = a * math.cos(angle) - b * math.sin(angle)
            result[position, i + 1] = b * math.cos(angle) + a * math.sin(angle)
    return result


def published_weights(config: RoFormerV2Config) -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    d, wide = config.hidden_size, config.intermediate_size
    torch.manual_seed(3)
    weights = {
        "roformer.embeddings.word_embeddings.weight": torch.randn(config.vocab_size, d),
        "roformer.embeddings.token_type_embeddings.weight": torch.randn(2, d),
        "cls.predictions.bias": torch.randn(config.vocab_size),
    }
    for layer in range(config.num_layers):
        stem = f"roformer.encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            weights[f"{stem}{name}.weight"] = torch.randn(d, d) / d**0.5
        weights[f"{stem}intermediate.dense.weight"] = torch.randn(wide, d) / d**0.5
        weights[f"{stem}output.dense.weight"] = torch.randn(d, wide) / wide**0.5
    return weights


def reference(weights: dict[str, torch.Tensor], config: RoFormerV2Config, ids: list[int]) -> torch.Tensor:
    """RoFormerV2 of one unpadded row, head by head."""
    x = weights["roformer.embeddings.word_embeddings.weight"][ids]
    x = norm(x + weights["roformer.embeddings.token_type_embeddings.weight"][0])
    size = config.hidden_size // config.num_heads
    for layer in range(config.num_layers):
        stem = f"roformer.encoder.layer.{layer}."
        query, key, value = (x @ weights[f"{stem}attention.self.{n}.weight"].T for n in ("query", "key", "value"))
        heads = []
        for head in range(config.num_heads):
            part = slice(head * size, (head + 1) * size)
            scores = turn(query[:, part]) @ turn(key[:, part]).T / size**0.5
            heads.append(scores.softmax(-1) @ value[:, part])
        x = norm(x + torch.cat(heads, -1) @ weights[f"{stem}attention.output.dense.weight"].T)
        inner = (x @ weights[f"{stem}intermediate.dense.weight"].T).relu()
        x = norm(x + inner @ weights[f"{stem}output.dense.weight"].T)
    return x


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


def gau_weights(config: GauAlphaConfig) -> dict[str, torch.Tensor]:
    """Random weights under the published names."""
    d, e, size = config.hidden_size, config.intermediate_size, config.key_size
    torch.manual_seed(4)
    weights = {
        "embeddings.word_embeddings.weight": torch.randn(config.vocab_size, d),
        "embeddings.token_type_embeddings.weight": torch.randn(2, d),
    }
    for layer in range(config.num_layers):
        stem = f"encoder.layer.{layer}.gau."
        weights[f"{stem}i_dense.weight"] = torch.randn(2 * e + size, d) / d**0.5
        weights[f"{stem}o_dense.weight"] = torch.randn(d, e) / e**0.5
        weights[f"{stem}q_scaleoffset.weight"] = torch.randn(size)
        weights[f"{stem}k_scaleoffset.weight"] = torch.randn(size)
    return weights


def gau_reference(weights: dict[str, torch.Tensor], config: GauAlphaConfig, ids: list[int]) -> torch.Tensor:
    """GAU-α of one unpadded row, from the publication."""
    x = norm(weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.token_type_embeddings.weight"][0])
    e, size = config.intermediate_size, config.key_size
    for layer in range(config.num_layers):
        stem = f"encoder.layer.{layer}.gau."
        projected = x @ weights[f"{stem}i_dense.weight"].T
        u, v, z = (projected * projected.sigmoid()).split([e, e, size], dim=-1)
        query = turn(z * weights[f"{stem}q_scaleoffset.weight"])
        key = turn(z * weights[f"{stem}k_scaleoffset.weight"])
        scores = query @ key.T / size**0.5 * math.log(max(len(ids), 16)) / math.log(512)
        x = norm(x + (u * (scores.softmax(-1) @ v)) @ weights[f"{stem}o_dense.weight"].T)
    return x


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


def test_hidden_states_and_attention_masks():
    backbone = RoFormerV2(RoFormerV2Config(**TINY)).eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    states = backbone.hidden_states(ids, None)
    assert len(states) == 3
    torch.testing.assert_close(states[-1], backbone(ids, torch.ones(1, 4, dtype=torch.bool)))
    causal = torch.ones(1, 4, 4, dtype=torch.bool).tril()
    prefix = backbone(ids[:, :2], causal[:, :2, :2])
    torch.testing.assert_close(backbone(ids, causal)[:, :2], prefix, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roformer"])
def test_auto_equals_transformers(kind, tmp_path):
    from transformers import AutoConfig, AutoModel

    from nlpkit.nn.backbones.auto import AutoBackbone

    config = AutoConfig.for_model(
        kind, vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    model = AutoModel.from_config(config).eval()
    model.save_pretrained(tmp_path)
    backbone = AutoBackbone.from_folder(str(tmp_path)).eval()
    ids, mask = torch.tensor([[2, 5, 6, 3], [2, 9, 3, 0]]), torch.tensor([[True] * 4, [True, True, True, False]])
    expected = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(backbone(ids, mask)[mask], expected[mask])
    again = build(backbone.describe())
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again.eval()(ids, mask)[mask], expected[mask])
    assert not any("pooler" in name for name in again.state_dict())


@pytest.mark.parametrize(
    "description",
    [
        {"type": "roformer_v2", **TINY},
        {"type": "bert", **TINY},
        {"type": "gau_alpha", "vocab_size": 30, "hidden_size": 16, "num_layers": 2, "key_size": 8, "dropout": 0.0},
    ],
    ids=lambda description: description["type"],
)
def test_the_first_token_alone(description):
    torch.manual_seed(0)
    backbone = build(description).eval()
    ids, mask = torch.randint(5, 30, (3, 6)), torch.arange(6) < torch.tensor([6, 2, 4])[:, None]
    torch.testing.assert_close(backbone.first_token_states(ids, mask), backbone(ids, mask)[:, 0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(backbone.first_token_states(ids, None), backbone(ids, None)[:, 0], atol=1e-6, rtol=1e-5)


def test_bert_has_the_gradients_of_transformers():
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 32, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # fmt: skip
    theirs = BertModel(BertConfig(**sizes), add_pooling_layer=False)
    ours = Bert.from_transformers(theirs)
    again = build(ours.describe())
    again.load_state_dict(ours.state_dict())
    ids, segments = torch.randint(0, 30, (2, 7)), torch.tensor([[0, 0, 0, 1, 1, 1, 1]] * 2)
    aims = torch.randn(2, 7, 16)
    theirs(ids, token_type_ids=segments).last_hidden_state.mul(aims).sum().backward()
    again(ids, None, segments).mul(aims).sum().backward()
    expected = theirs.embeddings.word_embeddings.weight.grad
    torch.testing.assert_close(again.token_embeddings.grad, expected, atol=1e-5, rtol=1e-4)
    qkv = [getattr(theirs.encoder.layer[0].attention.self, name).weight.grad for name in ("query", "key", "value")]
    torch.testing.assert_close(again.layers[0].qkv.weight.grad, torch.cat(qkv), atol=1e-5, rtol=1e-4)


def test_a_new_bert_begins_as_published():
    weights = build({"type": "bert", "vocab_size": 500, "hidden_size": 64, "num_heads": 4}).state_dict()
    for name, weight in weights.items():
        if weight.dim() == 1:
            assert weight.unique().tolist() == [float(name.endswith("norm.weight"))]
        else:
            assert weight.std().item() == pytest.approx(0.02, rel=0.2)


def test_auto_takes_a_mask_for_each_row():
    """Causal: a prefix is independent of the rest, as in our own; rows that may attend to nothing give no NaN."""
    config = {
        "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 64,
    }  # fmt: skip
    for description in (
        {"type": "auto", "config": config},
        *({"type": kind, **TINY} for kind in ("roformer_v2", "bert")),
    ):
        torch.manual_seed(0)
        backbone = build(description).eval()
        ids = torch.tensor([[2, 7, 9, 3], [2, 7, 5, 3]])
        causal = torch.ones(2, 4, 4, dtype=torch.bool).tril()
        states = backbone(ids, causal)
        torch.testing.assert_close(states[:, :2], backbone(ids[:, :2], causal[:, :2, :2]), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(states[0, :2], states[1, :2], atol=1e-6, rtol=1e-5)
        assert not torch.allclose(backbone(ids, torch.ones_like(causal))[0, :2], states[0, :2], atol=1e-3)
        padded = torch.tensor([[True] * 4, [True, True, False, False]])
        columns = padded[:, None, :].expand(2, 4, 4)
        torch.testing.assert_close(backbone(ids, columns)[padded], backbone(ids, padded)[padded], atol=1e-6, rtol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            assert backbone(ids, causal & padded[:, :, None]).isfinite().all()
        assert backbone.bfloat16()(ids, causal).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_auto_is_in_single_precision(dtype):
    config = {
        "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "dtype": dtype,
    }  # fmt: skip
    backbone = build({"type": "auto", "config": config})
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", 0.0), ("gelu", -0.158655), ("gelu_new", -0.158808), ("silu", -0.268941), ("swish", -0.268941)],
)
def test_activations(name, expected):
    inner = build({"type": "roformer_v2", **TINY, "activation": name}).layers[0].inner
    ones = torch.ones(inner.in_features)
    inner.weight.data.fill_(-1.0 / inner.in_features)
    assert inner(ones).tolist() == pytest.approx([expected] * inner.out_features, abs=1e-6)


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
        ({"type": "auto", "config": {"model_type": "bert", "hidden_size": "x"}}, "hidden_size"),
        ({"type": "auto", "config": {"model_type": "bert", "hidden_size": 10, "num_attention_heads": 3}}, "multiple"),
    ],
)
def test_descriptions_that_do_not_fit(description, message):
    with pytest.raises(ModelError, match=rf"description does not fit this version of nlpkit \(.*{message}") as caught:
        build(description)
    assert "\n" not in str(caught.value)


def test_half_precision_is_single_once_filled():
    config = RoFormerV2Config(**TINY)
    backbone = RoFormerV2(config)
    load_published(backbone, {name: value.half() for name, value in published_weights(config).items()})
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


def test_roformer_rope_equals_transformers():
    """The layers of transformers' RoFormer turn q and k as our RoPE does, for any pair of positions."""
    from transformers.models.roformer import modeling_roformer

    from nlpkit.nn.layers.rope import rotary_angles, rotate_interleaved

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
