"""Our BERT gives the states and gradients of that of transformers."""

import pytest
import torch

from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.configs import ACTIVATIONS
from nlpkit.nn.layers.prepack import prepack

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
         "intermediate_size": 24, "max_position_embeddings": 12, "initializer_range": 0.4}  # fmt: skip


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_our_bert_equals_transformers(activation):
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    theirs = BertModel(BertConfig(hidden_act=activation, **SIZES)).eval()
    ours = Bert.from_transformers(theirs).eval()
    ids = torch.randint(0, 30, (3, 7))
    mask = torch.arange(7) < torch.tensor([7, 2, 5])[:, None]
    with torch.inference_mode():
        expected = theirs(ids, attention_mask=mask, output_hidden_states=True).hidden_states
        for packed in (False, True):
            if packed:
                prepack(ours)
            for found, state in zip(ours.hidden_states(ids, mask), expected, strict=True):
                assert (found - state)[mask].abs().max() < 1e-5
            assert (ours.first_token_states(ids, mask) - expected[-1][:, 0]).abs().max() < 1e-5
            assert (ours(ids, None) - theirs(ids).last_hidden_state).abs().max() < 1e-5


@pytest.mark.parametrize("odd", [{"is_decoder": True}, {"hidden_act": "tanh"}])
def test_another_kind_of_bert_is_left_to_transformers(odd):
    from transformers import BertConfig, BertModel

    assert Bert.from_transformers(BertModel(BertConfig(**{**SIZES, **odd}))) is None


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
    if theirs.embeddings.word_embeddings.padding_idx is not None:  # old versions of transformers do not train [PAD]
        again.token_embeddings.grad[theirs.embeddings.word_embeddings.padding_idx] = 0
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


@pytest.fixture(scope="module")
def published():
    """The configuration and the weights of a folder of the hub."""
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig(**SIZES))
    return model.config.to_dict(), model.state_dict()


def test_published_weights_are_loaded_without_transformers(published):
    config, weights = published
    ours = Bert.from_pretrained(config, {**weights, "pooler.dense.weight": torch.ones(1)})
    assert (ours.config.num_layers, ours.max_length, ours.vocab_size) == (3, 12, 30)
    assert torch.equal(ours.positions.weight, weights["embeddings.position_embeddings.weight"])
    assert torch.equal(ours.layers[2].qkv.bias[16:32], weights["encoder.layer.2.attention.self.key.bias"])


def test_a_missing_weight_and_one_of_another_shape_are_errors(published):
    config, weights = published
    name = "encoder.layer.1.output.dense.bias"
    with pytest.raises(KeyError, match=name):
        Bert.from_pretrained(config, {key: value for key, value in weights.items() if key != name})
    with pytest.raises(RuntimeError, match=r"size mismatch for layers\.1\.outer\.bias"):
        Bert.from_pretrained(config, {**weights, name: torch.ones(7)})
    with pytest.raises(TypeError, match="vocab_size"):
        Bert.from_pretrained({}, weights)
