"""Loading an embedder: from a folder of any kind, with a whitening; what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from embed_support import PLAIN, save_embedder
from safetensors.torch import load_file, save_file
from static_support import save_static
from support import SENTENCE, vocabulary

from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder.linear_map import Moments, Whitening
from nlpkit.tasks.embed.loading import load


def test_a_whitening_in_the_models_folder(folder, embedder, tmp_path):
    moments = Moments(64)
    moments.add(embedder.raw(PLAIN).vectors)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    map = Whitening(embedder.raw_provenance, moments)
    with pytest.raises(ModelError, match=r"no whitening\.safetensors in it"):
        load(str(copy), "cpu", "fp32", whiten="stored")
    map.save(copy / "whitening.safetensors")
    found = load(str(copy), "cpu", "fp32", whiten="stored", dim=5)
    assert found.fingerprint == embedder.fingerprint  # a whitening is not the model
    assert found.provenance["whitening"] == map.fingerprint
    vectors = map.with_dim(5).transform(embedder.raw(PLAIN).vectors)
    assert np.allclose(found.encode(PLAIN), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-5)
    assert np.array_equal(load(str(copy), "cpu", "fp32").encode(PLAIN), embedder.encode(PLAIN))


def test_what_is_refused(folder, tmp_path, tiny):
    with pytest.raises(UsageError, match=r"--dim 65: the vectors of .* have 64 dimensions"):
        load(folder, "cpu", "fp32", dim=65)
    with pytest.raises(UsageError, match="--pooling max: one of cls, pooler, mean, first-last, auto"):
        load(folder, "cpu", "fp32", pooling="max")
    with pytest.raises(ModelError, match=r"neither nlpkit\.json nor config\.json there"):
        load(str(tmp_path), "cpu", "fp32")
    with pytest.raises(UsageError, match="has no pooler"):
        load(folder, "cpu", "fp32", pooling="pooler")
    moments = Moments(64)
    moments.add(np.random.default_rng(0).standard_normal((99, 64)).astype(np.float32))
    other = load(save_embedder(tmp_path / "other", seed=6), "cpu", "fp32")
    Whitening(other.raw_provenance, moments).save(tmp_path / "w")
    with pytest.raises(ModelError, match="this whitening was fitted for another model"):
        load(folder, "cpu", "fp32", whiten=str(tmp_path / "w"))
    assert load(tiny, "cpu", "fp32").dim == 64  # the backbone of a model for another task


def test_sizes_that_a_manifest_leaves_out_are_the_usual_ones(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "nlpkit.json").read_text(encoding="utf-8"))
    del manifest["backbone"]["max_length"]
    (copy / "nlpkit.json").write_text(json.dumps(manifest), encoding="utf-8")
    expected = load(folder, "cpu", "fp32", runtime="onnx").encode(PLAIN)
    np.testing.assert_allclose(load(str(copy), "cpu", "fp32", runtime="onnx").encode(PLAIN), expected, atol=1e-5)


def test_prompts_of_the_manifest(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "nlpkit.json").read_text(encoding="utf-8"))

    def prompts(value):
        config = {**manifest["config"], "prompts": value}
        (copy / "nlpkit.json").write_text(json.dumps(manifest | {"config": config}), encoding="utf-8")
        return lambda **options: load(str(copy), "cpu", "fp32", **options).prompt

    prompt = prompts({"query": "问：", "passage": "文："})
    assert (prompt(role="query"), prompt(role="passage"), prompt()) == ("问：", "文：", "")
    assert (prompt(prompt="passage", role="query"), prompt(prompt="无", role="query")) == ("文：", "无")
    for value, words in ((["问："], "prompts must be an object, not a list"), ({"query": 1}, "prompts.query must be")):
        with pytest.raises(ModelError, match=words):
            prompts(value)()


def test_weights_with_nan_are_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    weights["backbone.embeddings.weight"][:] = torch.nan
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    manifest = json.loads((copy / "nlpkit.json").read_text(encoding="utf-8"))
    del manifest["files"]  # as in models of before checksums
    (copy / "nlpkit.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ModelError, match=r"embeddings\.weight holds NaN or infinity"):
        load(str(copy), "cpu", "fp32")


def save_bert(folder):
    """A folder of transformers."""
    from transformers import BertConfig, BertModel

    tokens = vocabulary(SENTENCE)
    config = BertConfig(vocab_size=len(tokens), hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=64, max_position_embeddings=64)  # fmt: skip
    BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in tokens), encoding="utf-8")
    return str(folder)


def test_a_backbone_of_another_task_and_a_folder_of_transformers(tiny, tmp_path):
    """Neither says how it is pooled: the mean, and the windows are as long as the backbone takes."""
    for name in (tiny, save_bert(tmp_path / "bert")):
        embedder = load(name, "cpu", "fp32", runtime="torch")
        assert (embedder.pooling, embedder.width) == ("mean", 64)
        assert embedder.components.tokenizer.max_length == embedder.components.backbone.max_length == 64
        assert embedder.encode(["叶老桂"]).shape == (1, 64)


def test_the_maximum_length_of_an_embedding_model_is_its_own(tmp_path):
    embedder = load(save_embedder(tmp_path / "m", max_length=16), "cpu", "fp32", runtime="torch")
    assert (embedder.components.tokenizer.max_length, embedder.components.backbone.max_length) == (16, 64)


def test_pooling_dim_and_length_are_options(folder, embedder):
    assert load(folder, "cpu", "fp32", pooling="auto").provenance == embedder.provenance
    found = load(folder, "cpu", "fp32", pooling="cls", dim=3, normalize=False)
    np.testing.assert_allclose(found.encode(PLAIN), found.raw(PLAIN).vectors[:, :3], atol=1e-6)


def test_a_prompt_comes_before_every_text(folder, embedder):
    found = load(folder, "cpu", "fp32", prompt="浙商：")
    np.testing.assert_allclose(found.encode(["叶老桂"]), embedder.encode(["浙商：叶老桂"]), atol=1e-6)


def test_a_static_model_has_neither_pooling_nor_prompt(tmp_path):
    static = save_static(tmp_path / "static")
    assert load(static, pooling="mean").provenance == load(static, pooling="auto").provenance
    with pytest.raises(UsageError, match=r"--pooling cls: .*static is a table of vectors, whose mean it gives"):
        load(static, pooling="cls")
    with pytest.raises(UsageError, match=r"--prompt: .*static is a table of vectors, to which a prompt means nothing"):
        load(static, prompt="为这个句子：")


def test_weights_that_may_move_are_not_repacked(folder, embedder):
    """Repacked weights cannot be moved to another device; their vectors are the same."""
    found = load(folder, "cpu", "fp32", fixed=False)
    np.testing.assert_allclose(found.encode(PLAIN), embedder.encode(PLAIN), atol=1e-5)
    backbone = found.components.backbone
    assert any(isinstance(module, torch.nn.Linear) for module in backbone.modules())


def test_the_encoder_that_a_model_shares():
    texts = ["王小明在北京。", "海"]
    for runtime in ("torch", "onnx"):
        ours, theirs = (
            load(name, "cpu", "fp32", runtime=runtime).encode(texts) for name in ("ner-general", "ner-cluener")
        )
        np.testing.assert_array_equal(ours, theirs)
