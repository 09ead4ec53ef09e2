"""The encoder: independent of batch and order, long texts in windows, every pooling and postprocessing, refusals."""

import json
import random
import shutil

import numpy as np
import pytest
import torch
from embed_support import save_embedder
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from support import NASTY, SENTENCE, texts

from nlpkit.core.text.padding import TokenBudget
from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder.linear_map import Moments, Whitening
from nlpkit.tasks.embed.encoder.postprocess import normalize
from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.loading import load

PLAIN = [SENTENCE, SENTENCE * 4, "叶老桂", "浙商银行" * 10, "在 北京", "，。！？"]  # known characters alone
TEXTS = [*NASTY, *PLAIN]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_embedder(tmp_path_factory.mktemp("embed") / "model")


@pytest.fixture(scope="module")
def embedder(folder):
    return load(folder, "cpu", "fp32")


@pytest.mark.parametrize("budget", [1, 40, 100_000])
def test_vectors_depend_on_neither_batch_nor_order(embedder, monkeypatch, budget):
    alone = np.concatenate([embedder.encode([text]) for text in TEXTS])
    monkeypatch.setattr(embedder, "budget", TokenBudget(budget, budget))
    order = random.Random(budget).sample(range(len(TEXTS)), len(TEXTS))
    found = embedder.encode([TEXTS[index] for index in order])
    assert np.abs(found - alone[order]).max() < 1e-5
    lengths = [float(not is_blank(TEXTS[index])) for index in order]
    assert np.allclose(np.linalg.norm(found, axis=1), lengths, atol=1e-5)
    assert found.dtype == np.float32


@given(st.lists(texts, max_size=6))
@settings(max_examples=30)
def test_any_text_has_a_vector(embedder, given_texts):
    found = embedder.encode(given_texts)
    assert found.shape == (len(given_texts), 64)
    assert np.isfinite(found).all()


def test_a_vector_is_the_mean_of_the_last_states(embedder):
    components = embedder.components
    (row,) = components.tokenizer([SENTENCE]).ids
    assert row[0] == components.tokenizer.tokenizer.cls_id
    assert row[-1] == components.tokenizer.tokenizer.sep_id
    with torch.no_grad():
        states = components.backbone(torch.tensor([row]), None)[0].mean(0).numpy()
    assert np.allclose(embedder.raw([SENTENCE]).vectors[0], states, atol=1e-5)
    assert np.allclose(embedder.encode([SENTENCE])[0], states / np.linalg.norm(states), atol=1e-5)


def test_a_long_text_is_the_mean_of_its_windows(embedder):
    found = embedder.raw(["叶", SENTENCE * 4, "桂"])
    rows = embedder.components.tokenizer([SENTENCE * 4])
    assert found.windows == {1: len(rows.ids)}
    assert len(rows.ids) >= 3
    assert max(map(len, rows.ids)) <= 32
    lengths = np.array([len(row) for row in rows.ids], np.float32)
    with torch.no_grad():
        vectors = [embedder.components.backbone(torch.tensor([row]), None)[0].mean(0).numpy() for row in rows.ids]
    assert np.allclose(found.vectors[1], lengths @ np.array(vectors) / lengths.sum(), atol=1e-5)
    assert np.allclose(found.vectors[0], embedder.raw(["叶"]).vectors[0], atol=1e-5)


def test_provenance_and_its_changes(folder, embedder, tmp_path):
    assert embedder.provenance == {
        "model": folder, "fingerprint": embedder.fingerprint, "pooling": "mean", "whitening": None, "dim": 64,
        "normalised": True,
    }  # fmt: skip
    shutil.copytree(folder, tmp_path / "copy")
    assert load(str(tmp_path / "copy"), "cpu", "fp32").fingerprint == embedder.fingerprint
    assert load(save_embedder(tmp_path / "other", seed=6), "cpu", "fp32").fingerprint != embedder.fingerprint
    assert load(folder, "cpu", "fp32", pooling="cls", dim=3, normalize=False).provenance == {
        **embedder.provenance, "pooling": "cls", "dim": 3, "normalised": False
    }  # fmt: skip


def test_the_first_dimensions_are_kept_and_normalised(folder, embedder):
    found = load(folder, "cpu", "fp32", dim=7).encode(PLAIN)
    expected = embedder.raw(PLAIN).vectors[:, :7]
    assert np.allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    raw = load(folder, "cpu", "fp32", normalize=False)
    assert np.allclose(raw.encode(PLAIN), embedder.raw(PLAIN).vectors)


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


def test_a_model_that_gives_nan_is_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    weights["backbone.embeddings.weight"][:] = torch.nan
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    manifest = json.loads((copy / "nlpkit.json").read_text(encoding="utf-8"))
    del manifest["files"]  # as in models of before checksums
    (copy / "nlpkit.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ModelError, match=r"embeddings\.weight holds NaN or infinity"):
        load(str(copy), "cpu", "fp32").encode([SENTENCE])


def test_bf16_is_close(folder, embedder):
    found = load(folder, "cpu", "bf16").encode(PLAIN)
    assert np.einsum("nd,nd->n", found, embedder.encode(PLAIN)).min() > 0.999


def cosine(embedder, first, second):
    first, second = embedder.encode([first, second])
    return float(first @ second)


@pytest.mark.parametrize(("first", "second"), [("😀", "😡"), ("王䶮", "王𬭎"), ("สวัสดี", "ขอบคุณ"), ("叶😀在", "叶👎在")])
@pytest.mark.parametrize("dim", [None, 40])
def test_different_unknown_characters_differ_and_a_text_equals_itself(folder, first, second, dim):
    embedder = load(folder, "cpu", "fp32", dim=dim)
    assert cosine(embedder, first, second) < 0.95
    assert cosine(embedder, first, first) == pytest.approx(1, abs=1e-6)
    assert np.allclose(np.linalg.norm(embedder.encode([first, second]), axis=1), 1, atol=1e-6)


def test_only_texts_with_unknown_characters_have_directions(embedder):
    found = embedder.embed([*PLAIN, "叶老桂😀"])
    assert set(found.unknown) == {len(PLAIN)}
    assert found.unknown[len(PLAIN)] == (("😀",), 0.25)
    assert np.array_equal(found.vectors[:-1], normalize(embedder.raw([*PLAIN, "叶老桂😀"]).vectors)[:-1])
    assert cosine(embedder, SENTENCE, SENTENCE + "😀") > 0.95


@pytest.mark.parametrize("text", ["", "  ", "\u3000\u00a0", "\u200b\ufeff", "\t"])
def test_a_blank_text_has_zeros(embedder, text):
    found = embedder.embed([text, SENTENCE])
    assert found.blank == {0}
    assert not found.vectors[0].any()
