"""The encoder: independent of batch and order, poolings, long texts in windows, refusals."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from embed_support import PLAIN, TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st
from support import SENTENCE, texts

from nlpkit.core.text.padding import TokenBudget
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.loading import load


@pytest.fixture(scope="module")
def embedder(folder):
    return load(folder, "cpu", "fp32", runtime="torch")


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


def test_bf16_is_close(folder, embedder):
    found = load(folder, "cpu", "bf16").encode(PLAIN)
    assert np.einsum("nd,nd->n", found, embedder.encode(PLAIN)).min() > 0.999


def states_of(embedder, text):
    """The states [s, d] of all layers, of one sequence without padding."""
    (ids,) = embedder.components.tokenizer([text]).ids
    with torch.no_grad():
        return [state[0].numpy() for state in embedder.components.backbone.hidden_states(torch.tensor([ids]), None)]


@pytest.mark.parametrize(
    ("pooling", "slow"),
    [
        ("cls", lambda states: states[-1][0]),
        ("mean", lambda states: states[-1].mean(0)),
        ("first-last", lambda states: (states[1].mean(0) + states[-1].mean(0)) / 2),
    ],
)
def test_every_pooling_beside_longer_sequences(folder, pooling, slow):
    embedder = load(folder, "cpu", "fp32", pooling=pooling, runtime="torch")
    batch = ["叶老桂", SENTENCE, "叶"]
    expected = [slow(states_of(embedder, text)) for text in batch]
    np.testing.assert_allclose(embedder.raw(batch).vectors, expected, atol=1e-5)


def test_several_poolings_are_concatenated(embedder):
    both = replace(embedder.components, pooling=("cls", "mean"), width=128)
    found = BackboneEmbedder(both, "m", "1f", embedder.device, Postprocessor())
    assert (found.pooling, found.width) == ("cls+mean", 128)
    states = states_of(embedder, SENTENCE)[-1]
    expected = np.concatenate([states[0], states.mean(0)])
    np.testing.assert_allclose(found.raw(["叶", SENTENCE]).vectors[1], expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_prompt_may_be_left_out_of_the_pooling(embedder, pooling):
    """Its tokens, and [CLS], are attended to but not pooled; `cls` is then the first token after them."""
    prompt, text = "浙商：", "叶老桂"
    components = replace(embedder.components, include_prompt=False, pooling=(pooling,))
    found = BackboneEmbedder(components, "m", "1f", embedder.device, Postprocessor(), prompt)
    states = states_of(embedder, prompt + text)[-1][4:]
    expected = states[0] if pooling == "cls" else states.mean(0)
    np.testing.assert_allclose(found.raw(["叶", text]).vectors[1], expected, atol=1e-5)
    whole = BackboneEmbedder(embedder.components, "m", "1f", embedder.device, Postprocessor(), prompt)
    np.testing.assert_allclose(whole.raw([text]).vectors, embedder.raw([prompt + text]).vectors, atol=1e-5)


def test_no_texts_have_no_vectors(embedder):
    assert embedder.raw([]).vectors.shape == (0, 64)


def test_vectors_of_nan_are_refused(embedder):
    """As half precision gives them where the numbers of a model are too large for it."""
    dense = torch.nn.Linear(64, 64)
    dense.weight.data.fill_(torch.inf)
    broken = BackboneEmbedder(replace(embedder.components, dense=dense), "m", "1f", embedder.device, Postprocessor())
    with pytest.raises(ModelError, match="m: gives NaN or infinity; take --dtype fp32"):
        broken.raw([SENTENCE])
