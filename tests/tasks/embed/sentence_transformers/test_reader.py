"""Folders of sentence-transformers give the vectors that sentence-transformers gives, and the other way round."""

import json
import os
import shutil
import warnings

import numpy as np
import pytest
import torch
from st_support import TEXTS, published
from support import SENTENCE, invoke

from nlpkit.errors import ModelError
from nlpkit.tasks.embed.loading import load

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    st = pytest.importorskip("sentence_transformers")
    from sentence_transformers.models import Dense, Normalize, Pooling

pytestmark = pytest.mark.filterwarnings("ignore")


def close(ours, theirs, most=1e-5):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < most * max(1.0, float(np.abs(theirs).max()))


POOLINGS = ["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("cls", "mean")]


@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
def test_every_pooling(tmp_path, bert, pooling):
    theirs = published(tmp_path / "m", bert, Pooling(32, pooling))
    ours = load(str(tmp_path / "m"), "cpu", "fp32")
    close(ours.encode(TEXTS), theirs.encode(TEXTS))
    assert ours.provenance["normalised"] is False
    assert ours.dim == (64 if isinstance(pooling, tuple) else 32)


def test_dense_layers_and_norm(tmp_path, bert):
    torch.manual_seed(1)
    modules = (Pooling(32, "mean"), Dense(32, 48), Dense(48, 24, bias=False, activation_function=None), Normalize())
    theirs = published(tmp_path / "m", bert, *modules)
    ours = load(str(tmp_path / "m"), "cpu", "fp32")
    close(ours.encode(TEXTS), theirs.encode(TEXTS))
    assert (ours.dim, ours.provenance["normalised"], ours.provenance["pooling"]) == (24, True, "mean")
    assert np.allclose(np.linalg.norm(ours.encode(TEXTS), axis=1), 1, atol=1e-5)


def test_prompts_are_written_before_and_may_be_left_out_of_the_mean(tmp_path, bert):
    prompts = {"query": "工作：", "document": ""}
    for name, counts in (("a", True), ("b", False)):
        pooling = Pooling(32, "mean", include_prompt=counts)
        theirs = published(tmp_path / name, bert, pooling, prompts=prompts, default_prompt_name="query")
        folder = str(tmp_path / name)
        close(load(folder, "cpu", "fp32").encode(TEXTS), theirs.encode(TEXTS))
        close(load(folder, "cpu", "fp32", prompt="document").encode(TEXTS), theirs.encode(TEXTS, prompt=""))
        close(load(folder, "cpu", "fp32", prompt="银行 ").encode(TEXTS), theirs.encode(TEXTS, prompt="银行 "))


def test_the_first_dimensions(tmp_path, bert):
    theirs = published(tmp_path / "m", bert, Pooling(32, "cls"), truncate_dim=8)
    ours = load(str(tmp_path / "m"), "cpu", "fp32")
    assert ours.dim == 8
    close(ours.encode(TEXTS), theirs.encode(TEXTS))
    normalised = load(str(tmp_path / "m"), "cpu", "fp32", dim=5, normalize=True).encode(TEXTS)
    close(normalised, theirs.encode(TEXTS, truncate_dim=5, normalize_embeddings=True))


def test_a_causal_decoder_read_at_its_last_token(tmp_path, qwen):
    theirs = published(tmp_path / "m", qwen, Pooling(32, "lasttoken"), Normalize(), prompts={"query": "Query: "})
    for prompt in (None, "query"):
        ours = load(str(tmp_path / "m"), "cpu", "fp32", prompt=prompt)
        close(ours.encode(TEXTS), theirs.encode(TEXTS, prompt_name=prompt))


def test_the_layout_before_version_5(tmp_path, bert):
    """As bge, m3e and text2vec are on the hub: old type names, a flag for each pooling, a file for lower-casing."""
    theirs = published(tmp_path / "m", bert, Pooling(32, "cls"), Normalize())
    folder = tmp_path / "m"
    names = ("Transformer", "Pooling", "Normalize")
    old = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(zip(names, ("", "1_Pooling", "2_Normalize"), strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(old))
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **flags}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40, "do_lower_case": True}))
    (folder / "config_sentence_transformers.json").unlink()
    shutil.rmtree(folder / "2_Normalize", ignore_errors=True)
    close(load(str(folder), "cpu", "fp32").encode(TEXTS), theirs.encode(TEXTS))


def test_a_text_that_is_too_long_is_cut_as_there_and_said_to_be(tmp_path, bert):
    published(tmp_path / "m", bert, Pooling(32, "mean"))
    result = invoke("embed", "-m", tmp_path / "m", text=f"{SENTENCE}\n{SENTENCE * 9}\n")
    first, second = map(json.loads, result.stdout.splitlines())
    assert "truncated" not in first
    assert second["truncated"] is True


def edited(folder, name, **changes):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def retyped(folder, index, kind):
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    modules[index]["type"] = f"sentence_transformers.models.{kind}"
    path.write_text(json.dumps(modules))


def modules(**changes):
    def damage(folder):
        entries = json.loads((folder / "modules.json").read_text())
        entries[2] |= changes
        (folder / "modules.json").write_text(json.dumps(entries))

    return damage


def settings(**changes):
    return lambda folder: (folder / "config_sentence_transformers.json").write_text(json.dumps(changes))


def transformer(**changes):
    return lambda folder: (folder / "sentence_bert_config.json").write_text(json.dumps(changes))


def test_a_transformer_in_a_folder_that_is_not_there(tmp_path, bert):
    published(tmp_path / "m", bert, Pooling(32, "mean"))
    entries = json.loads((tmp_path / "m/modules.json").read_text())
    entries[0]["path"] = "0_Transformer"
    (tmp_path / "m/modules.json").write_text(json.dumps(entries))
    with pytest.raises(ModelError, match="0_Transformer: no such folder"):
        load(str(tmp_path / "m"), "cpu", "fp32")


def test_a_padding_token_that_the_model_does_not_have(tmp_path, bert):
    """Padding is not looked at, so any token will do."""
    published(tmp_path / "m", bert, Pooling(32, "mean"))
    expected = load(str(tmp_path / "m"), "cpu", "fp32").encode(TEXTS)
    edited(tmp_path / "m", "tokenizer_config.json", pad_token="新的一个")
    close(load(str(tmp_path / "m"), "cpu", "fp32").encode(TEXTS), expected)


@pytest.mark.parametrize("value", [[512], "512", 0, -5, float("nan"), {}])
def test_a_longest_sequence_that_cannot_be(tmp_path, bert, value):
    published(tmp_path / "m", bert, Pooling(32, "mean"))
    (tmp_path / "m/sentence_bert_config.json").write_text("{}")
    edited(tmp_path / "m", "tokenizer_config.json", model_max_length=value)
    with pytest.raises(ModelError, match=r"tokenizer_config\.json: model_max_length cannot be"):
        load(str(tmp_path / "m"), "cpu", "fp32")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "modules.json").write_text("[{"), "modules.json: broken"),
        (lambda f: (f / "modules.json").write_text("[]"), "begins with nothing, not a Transformer"),
        (lambda f: retyped(f, 0, "BoW"), "begins with BoW, not a Transformer"),
        (lambda f: retyped(f, 2, "LSTM"), "no module LSTM"),
        (lambda f: edited(f, "1_Pooling/config.json", pooling_mode="median"), "unknown pooling median"),
        (lambda f: edited(f, "2_Dense/config.json", in_features=31), "in_features is 31, and the vectors have 32"),
        (lambda f: edited(f, "2_Dense/config.json", out_features=10**12), "2_Dense: not a dense layer"),
        (lambda f: edited(f, "2_Dense/config.json", out_features=7), "2_Dense: not a dense layer"),
        (lambda f: edited(f, "2_Dense/config.json", activation_function="os.system"), "activation os.system"),
        (lambda f: (f / "2_Dense" / "model.safetensors").unlink(), "2_Dense: neither model.safetensors nor"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 9), "model.safetensors: truncated or not safetensors"),
        (modules(path=5), r"\[2\].path must be a string, not 5"),
        (modules(path=None), r"\[2\].path must be a string, not null"),
        (lambda f: edited(f, "config.json", num_hidden_layers=-1), "m: transformers cannot load it"),
        (modules(path="x" * 300), "names a module 'xxx+', which is not in the folder"),
        (modules(path="\ud800"), "which is not in the folder"),
        (modules(path="../x"), r"names a module '../x', which is not in the folder"),
        (modules(type=7), r"\[2\].type must be a string, not 7"),
        (lambda f: (f / "modules.json").write_text("[" * 100_000), "modules.json: is nested too deeply"),
        (lambda f: edited(f, "1_Pooling/config.json", pooling_mode=5), "pooling_mode must be a string, not 5"),
        (lambda f: edited(f, "1_Pooling/config.json", pooling_mode=[{}]), "pooling_mode must be a string, not a list"),
        (lambda f: edited(f, "2_Dense/config.json", out_features=True), "2_Dense: not a dense layer"),
        (lambda f: edited(f, "2_Dense/config.json", activation_function=5), "activation 5"),
        (
            lambda f: edited(f, "2_Dense/config.json", activation_function="torch.nn.Module"),
            "activation torch.nn.Module",
        ),
        (lambda f: edited(f, "2_Dense/config.json", activation_function="torch.nn.Transformer"), "activation torch.nn"),
        (lambda f: (f / "2_Dense/config.json").write_text("[" * 100_000), "config.json: is nested too deeply"),
        (settings(prompts=[]), "prompts must be an object, not a list"),
        (settings(prompts=5), "prompts must be an object, not 5"),
        (settings(prompts={"a": 1}), "prompts.a must be a string, not 1"),
        (settings(default_prompt_name=[]), "default_prompt_name must be a string, not a list"),
        (settings(truncate_dim="x"), "truncate_dim must be a whole number, not a string"),
        (settings(truncate_dim=0), "truncate_dim must be 1 or more, not 0"),
        (settings(truncate_dim=-5), "truncate_dim must be 1 or more, not -5"),
        (settings(truncate_dim=9), "truncate_dim is 9, and the vectors have 8"),
        (settings(prompts={"a": "x" * 2_000_000}), "is larger than"),
        (transformer(max_seq_length="x"), "max_seq_length must be a whole number, not a string"),
        (transformer(max_seq_length=-1), "max_seq_length must be .* not -1"),
        (transformer(max_seq_length=[1]), "max_seq_length must be a whole number, not a list"),
        (lambda f: edited(f, "config.json", num_hidden_layers=10**9), "num_hidden_layers is 1,000,000,000, more than"),
        (lambda f: edited(f, "config.json", vocab_size=10**9), "vocab_size is 1,000,000,000, more than"),
        (lambda f: os.mkfifo(f / "added_tokens.json"), "added_tokens.json: is not a regular file"),
        (lambda f: (f / "config_sentence_transformers.json").write_text("[]"), "it must be an object, not a list"),
    ],
)
def test_a_broken_folder_is_refused_by_name(tmp_path, bert, damage, message):
    published(tmp_path / "m", bert, Pooling(32, "mean"), Dense(32, 8))
    damage(tmp_path / "m")
    with pytest.raises(ModelError, match=message) as caught:
        load(str(tmp_path / "m"), "cpu", "fp32")
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_the_pooler_has_no_tanh(bert):
    from transformers import BertModel

    ours = load(str(bert), "cpu", "fp32", pooling="pooler", normalize=False)
    model = BertModel.from_pretrained(bert).eval()
    rows = torch.tensor(ours.components.tokenizer([SENTENCE]).ids)
    with torch.no_grad():
        first = model(rows).last_hidden_state[:, 0]
        close(ours.encode([SENTENCE]), model.pooler.dense(first).numpy())
        assert np.abs(ours.encode([SENTENCE])).max() > 1  # which no tanh gives


def test_first_and_last_are_layer_1_and_the_last_one(bert):
    from transformers import BertModel

    ours = load(str(bert), "cpu", "fp32", pooling="first-last", normalize=False)
    rows = torch.tensor(ours.components.tokenizer([SENTENCE]).ids)
    with torch.no_grad():
        states = BertModel.from_pretrained(bert).eval()(rows, output_hidden_states=True).hidden_states
    close(ours.encode([SENTENCE]), ((states[1] + states[2]) / 2).mean(1).numpy())
