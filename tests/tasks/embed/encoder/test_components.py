"""The components of an encoder: prompts by name, another pooling, a pooler from a file, the fingerprint of weights."""

import pytest
import torch
from safetensors.torch import save_file
from support import SENTENCE, vocabulary
from torch import nn

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.auto import AutoBackbone
from nlpkit.nn.backbones.bert import Bert
from nlpkit.tasks.embed.encoder.components import Components, as_native, with_pooling
from nlpkit.tasks.embed.encoder.tokenize import WindowTokenizer

WIDTH = 8


def components(**changes):
    tokenizer = CharTokenizer(vocabulary(SENTENCE))
    sizes = {"hidden_size": WIDTH, "num_layers": 1, "num_heads": 2, "intermediate_size": 8, "max_length": 32}
    backbone = build({"type": "roformer_v2", "vocab_size": tokenizer.vocab_size, **sizes})
    return Components(WindowTokenizer(tokenizer, 32), backbone, width=WIDTH, **changes)


@pytest.mark.parametrize(
    ("given", "text"),
    [(None, "为这个句子："), ("query", "为这个句子："), ("document", ""), ("Query: ", "Query: "), ("", "")],
)
def test_a_prompt_is_given_by_its_name_or_as_text(given, text):
    found = components(prompts={"query": "为这个句子：", "document": ""}, default_prompt="query")
    assert found.prompt_text(given) == text


@pytest.mark.parametrize(
    ("prompts", "query", "passage"),
    [
        ({"query": "query: ", "passage": "passage: "}, "query: ", "passage: "),
        ({"query": "query: ", "document": "title: none | "}, "query: ", "title: none | "),
        ({"query": "为这个句子："}, "为这个句子：", "默认："),
        ({}, "默认：", "默认："),
    ],
)
def test_a_role_has_its_prompt(prompts, query, passage):
    found = components(prompts={"own": "默认：", **prompts}, default_prompt="own")
    assert (found.prompt_text(None, "query"), found.prompt_text(None, "passage")) == (query, passage)
    assert found.prompt_text("text: ", "query") == "text: "
    assert found.prompt_text("", "passage") == ""


def test_without_a_default_there_is_no_prompt():
    assert components(prompts={"query": "问："}).prompt_text(None) == ""
    assert components().prompt_text(None) == ""


@pytest.mark.parametrize("name", [None, "auto"])
def test_the_own_pooling_is_kept(name):
    own = components(pooling=("cls", "mean"))
    assert with_pooling(own, name, "m") is own


@pytest.mark.parametrize("name", ["cls", "mean", "first-last"])
def test_another_pooling_replaces_all_own_ones(name):
    """The vectors of several poolings are concatenated; those of one have the width of the backbone."""
    own = components(pooling=("cls", "mean"))
    own.width = 2 * WIDTH
    found = with_pooling(own, name, "m")
    assert (found.pooling, found.width) == ((name,), WIDTH)
    assert (own.pooling, own.width) == (("cls", "mean"), 2 * WIDTH)


def test_dense_layers_keep_their_width_and_need_as_many_poolings():
    dense = nn.Sequential(nn.Linear(WIDTH, 3))
    one = components(dense=dense)
    one.width = 3
    assert with_pooling(one, "cls", "m").width == 3
    with pytest.raises(UsageError, match=r"--pooling cls: the dense layers of m need cls\+mean"):
        with_pooling(components(dense=dense, pooling=("cls", "mean")), "cls", "m")


def test_no_such_pooling():
    with pytest.raises(UsageError, match="--pooling max: one of cls, pooler, mean, first-last, auto"):
        with_pooling(components(), "max", "m")


@pytest.mark.parametrize("key", ["pooler.dense", "bert.pooler.dense", "pooler"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_pooler_is_read_from_the_folder(tmp_path, key, bias):
    matrix, shift = torch.randn(WIDTH, WIDTH), torch.randn(WIDTH)
    weights = {f"{key}.weight": matrix, "embeddings.weight": torch.zeros(3, WIDTH)}
    save_file(weights | ({f"{key}.bias": shift} if bias else {}), tmp_path / "model.safetensors")
    pooler = with_pooling(components(source=tmp_path), "pooler", "m").pooler
    torch.testing.assert_close(pooler.weight, matrix, rtol=0, atol=0)
    torch.testing.assert_close(pooler.bias, shift if bias else torch.zeros(WIDTH), rtol=0, atol=0)
    assert not pooler.weight.requires_grad


def test_a_folder_without_a_pooler(tmp_path):
    save_file({"pooler.dense.weight": torch.zeros(WIDTH, 2 * WIDTH)}, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match="--pooling pooler: m has no pooler; take cls, mean or first-last"):
        with_pooling(components(source=tmp_path), "pooler", "m")


def test_a_bert_of_transformers_becomes_native_and_others_stay():
    sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 16, "max_position_embeddings": 32}  # fmt: skip
    theirs = AutoBackbone.from_config({"model_type": "bert", **sizes}).eval()
    ours = as_native(theirs).eval()
    assert isinstance(ours, Bert)
    ids = torch.tensor([[1, 5, 7, 2]])
    with torch.no_grad():
        torch.testing.assert_close(ours(ids, None), theirs(ids, None), rtol=1e-5, atol=1e-5)
    other = AutoBackbone.from_config({"model_type": "bert", "hidden_act": "quick_gelu", **sizes})
    assert as_native(other) is other
    assert as_native(ours) is ours
