"""Prediction: the same for a text whatever its neighbours, offsets of the text itself, and long texts in windows."""

import json
import random
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from support import NASTY, SENTENCE, texts, toy_records

from nlpkit.core.model.loading import int8_loss, load_predictor
from nlpkit.core.model.manifest import read_manifest
from nlpkit.core.onnx import choice
from nlpkit.errors import ModelError
from nlpkit.nn.layers.prepack import count_parameters
from nlpkit.tasks.ner.task import NerTask, load

TEXTS = [*NASTY, SENTENCE, *(record["text"] for record in toy_records(30)), SENTENCE * 3, SENTENCE * 12]
THRESHOLD = 0.6
GENERAL = "2008年8月8日，北京奥运会开幕，王小明从上海大学毕业。"


def by_span(prediction):
    return {(entity.start, entity.end, entity.label): entity.score for entity in prediction.answer}


def furthest(one, other):
    """The greatest difference of a span's scores; one that is on the threshold may be missing on a side."""
    ours, theirs = by_span(one), by_span(other)
    pairs = [(ours.get(span, THRESHOLD), theirs.get(span, THRESHOLD)) for span in ours.keys() | theirs.keys()]
    return max((abs(a - b) for a, b in pairs), default=0)


@pytest.fixture(scope="module")
def nested(tiny):
    return load(tiny, "cpu", "fp32", nested=True, threshold=THRESHOLD)


def test_a_model_that_is_fixed_has_the_weights_and_answers_of_one_that_is_not(tiny):
    free, fixed = (
        load_predictor(tiny, NerTask, "cpu", "fp32", runtime="torch", trainable=trainable)
        for trainable in (True, False)
    )
    assert count_parameters(free.network) == count_parameters(fixed.network)
    for ours, theirs in zip(free.predictions(TEXTS), fixed.predictions(TEXTS), strict=True):
        assert by_span(ours) == pytest.approx(by_span(theirs), abs=1e-4)


def test_answers_do_not_depend_on_the_batch(nested):
    together = nested.predictions(TEXTS)
    order = random.Random(0).sample(range(len(TEXTS)), len(TEXTS))
    shuffled = dict(zip(order, nested.predictions([TEXTS[index] for index in order]), strict=True))
    assert sum(len(prediction.answer) for prediction in together) > 500
    for index, text in enumerate(TEXTS):
        alone = nested.predictions([text])[0]
        for other in (together[index], shuffled[index]):
            assert other.windows == alone.windows
            assert furthest(alone, other) < 1e-5


@pytest.mark.parametrize("text", ["", " ", "\x00", "\u200b\u0301"])
def test_a_text_without_units_has_no_entities(nested, text):
    prediction = nested.predictions([text])[0]
    assert (prediction.answer, prediction.windows) == ([], 1)
    assert nested.predictions([]) == []


@settings(max_examples=25)
@given(text=texts)
def test_offsets_are_of_the_text_itself(nested, text):
    encoding = nested.tokenizer.encode(text)
    for entity in nested.predictions([text])[0].answer:
        assert 0 <= entity.start < entity.end <= len(text)
        assert entity.start in encoding.starts
        assert entity.end in encoding.ends


def test_a_long_text_takes_windows_and_loses_nothing(model, nested):
    """Twelve sentences, of which a window holds two: each is found as it is in a window of its own."""
    long = SENTENCE * 12
    assert model.max_length == 64
    prediction = nested.predictions([long])[0]
    assert prediction.windows > 1
    spans = [(entity.start, entity.end, entity.label) for entity in prediction.answer]
    assert len(spans) == len(set(spans))
    found = {entity.start // len(SENTENCE) for entity in prediction.answer}
    assert found == set(range(12))
    assert all(long[entity.start : entity.end] for entity in prediction.answer)


def test_flat_answers_do_not_overlap(tiny):
    flat = load(tiny, "cpu", "fp32", nested=False, threshold=THRESHOLD)
    for prediction in flat.predictions(TEXTS):
        assert all(a.end <= b.start for a, b in pairwise(prediction.answer))


def test_thresholds(tiny, model):
    low, high = (load(tiny, "cpu", "fp32", threshold=threshold, nested=True) for threshold in (THRESHOLD, 0.95))
    found = low.predictions(TEXTS), high.predictions(TEXTS)
    for at_low, at_high in zip(*found, strict=True):
        expected = {span: score for span, score in by_span(at_low).items() if score > 0.95}
        assert by_span(at_high) == pytest.approx(expected)
    again = model.changed(threshold=0.95)
    assert again.predictions([SENTENCE]) == load(tiny, "cpu", "fp32", threshold=0.95).predictions([SENTENCE])


def test_half_precision_is_near(tiny, nested):
    """bf16 keeps 8 bits; heads and their scores stay in fp32."""
    half = load(tiny, "cpu", "bf16", nested=True, threshold=THRESHOLD)
    assert (half.network.backbone.embeddings.weight.dtype, half.network.head.dense.weight.dtype) == (
        torch.bfloat16,
        torch.float32,
    )
    assert 0 < furthest(nested.predictions([SENTENCE])[0], half.predictions([SENTENCE])[0]) < 0.2


def test_the_embedded_model_keeps_to_the_stated_tolerance():
    """README: scores within 0.05 of each other in fp32 and bf16."""
    path = Path(__file__).parents[3] / "data" / "samples" / "news.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    models = (load(None, "cpu", dtype, nested=True, threshold=THRESHOLD) for dtype in ("fp32", "bf16"))
    exact, half = (model.predictions(lines) for model in models)
    assert sum(len(prediction.answer) for prediction in exact) > 20
    assert max(furthest(*pair) for pair in zip(exact, half, strict=True)) < 0.05


def test_int8_is_taken_only_where_the_card_says_so(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset({"avx2", "avx_vnni"}))
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    manifest = read_manifest(folder)
    assert int8_loss(folder, manifest) is None
    weights = manifest.files["model.safetensors"].sha256[:16]
    figures = {"fp32": 78.0, "bits_8": 77.8, "bits_7": 77.0}
    card = {"int8": {"data": "dev", "metric": "F1", **figures, "weights": weights}}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    assert int8_loss(folder, manifest) == pytest.approx(0.2)
    scores = {
        dtype: [by_span(each) for each in load(str(folder), "cpu", dtype, nested=True).predictions(TEXTS)]
        for dtype in ("auto", "int8", "fp32")
    }
    assert scores["auto"] == scores["int8"] != scores["fp32"]


def test_a_damaged_quality_in_int8_is_an_error(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    card = {"int8": {"data": "dev", "metric": "F1", "fp32": "high", "bits_8": 1.0, "bits_7": 1.0, "weights": "a"}}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=r"card\.json: the quality in int8 is damaged \(fp32 must be a number"):
        int8_loss(folder, read_manifest(folder))


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-4), ("bf16", 0.2), ("int8", 0.2)])
def test_a_model_on_the_encoder_of_another_gives_the_same_in_both_runtimes(dtype, tolerance):
    """In fp32; in other precisions nearly so."""
    expected = load("ner-general", "cpu", "fp32", runtime="torch", threshold=0.05)
    found = load("ner-general", "cpu", dtype, runtime="torch" if dtype == "bf16" else "onnx", threshold=0.05)
    assert found.task.settings.labels == ("LOC", "ORG", "PER", "TIME")
    assert found.runner.parameters == expected.runner.parameters > 14_000_000
    for text in (GENERAL, GENERAL * 8):
        ours, theirs = by_span(found.predictions([text])[0]), by_span(expected.predictions([text])[0])
        sure = {span for span, score in theirs.items() if score > 0.5}
        assert len(sure) >= 3
        assert all(abs(ours.get(span, 0) - theirs[span]) < tolerance for span in sure)
