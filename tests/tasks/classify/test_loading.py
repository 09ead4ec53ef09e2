"""Loading of classifiers of every kind, and what is said of those that cannot be loaded."""

import json
import shutil

import numpy as np
import pytest
import torch
from classify_support import save_encoder, save_ngram, task
from safetensors.torch import load_file, save_file
from support import edit_manifest

import nlpkit
from nlpkit.core.model.contents import WEIGHTS
from nlpkit.errors import ModelError, NlpkitError, UsageError
from nlpkit.tasks.classify.loading import FLOOR, load, load_floor
from nlpkit.tasks.classify.task import ClassifyPredictor, WholeTextPredictor

TEXTS = ["房间好", "", "这家的早餐真坏", "😀", "电影好坏" * 30]
PAIRS = [("房间好", "坏"), ("", ""), ("电影" * 30, "早餐好" * 20), ("手机", "")]


def scores(predictor, texts=TEXTS):
    return np.stack([prediction.answer.scores for prediction in predictor.predictions(texts)])


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({}, TEXTS),
        ({"multiple": True, "threshold": 0.5}, TEXTS),
        ({"mlm": 0.15}, TEXTS),
        ({"r_drop": 4.0}, TEXTS),
        ({"pairs": True}, PAIRS),
    ],
    ids=["one", "several", "masked", "r-drop", "pairs"],
)
def test_both_runtimes_give_the_same_scores(tmp_path, settings, texts):
    folder = save_encoder(tmp_path / "m", task("abc", **settings))
    onnx, plain = (load(folder, "cpu", "fp32", runtime=runtime) for runtime in ("onnx", "torch"))
    found = scores(onnx, texts)
    np.testing.assert_allclose(found, scores(plain, texts), atol=2e-5)
    assert len(np.unique(found.round(4))) > 6
    assert type(onnx) is type(plain) is ClassifyPredictor
    assert onnx.runner.parameters == plain.runner.parameters > 0


def test_texts_do_not_depend_on_their_batch(tmp_path):
    predictor = load(save_encoder(tmp_path / "m", task("abc")), "cpu", "fp32")
    np.testing.assert_allclose(
        scores(predictor), np.concatenate([scores(predictor, [text]) for text in TEXTS]), atol=1e-5
    )


@pytest.mark.parametrize("save", [save_encoder, save_ngram])
def test_options_of_loading(tmp_path, save):
    folder = save(tmp_path / "m", task("abc", threshold=0.25))
    own, other = load(folder, "cpu", "fp32"), load(folder, "cpu", "fp32", threshold=0.75, top=2)
    assert (own.settings.threshold, own.task.top) == (0.25, None)
    assert (other.settings.threshold, other.task.top) == (0.75, 2)
    np.testing.assert_array_equal(scores(own), scores(other))
    with pytest.raises(UsageError, match=r"^--top 4: the model has 3 labels; pass a number up to 3$"):
        load(folder, "cpu", "fp32", top=4)


def test_a_model_of_ngrams_has_one_runtime(tmp_path):
    folder = save_ngram(tmp_path / "grams", task())
    for runtime in ("onnx", "torch"):
        message = f"^--runtime {runtime}: .*grams has no network, only n-gram weights; leave it out$"
        with pytest.raises(UsageError, match=message):
            load(folder, runtime=runtime)
    predictor = load(folder, "cuda", "int8")  # it computes on the CPU in any case
    assert (type(predictor), predictor.runner.device_type) == (WholeTextPredictor, "cpu")


def test_a_model_of_ids_computes_in_torch(tmp_path):
    folder = save_encoder(tmp_path / "m", task(ids=True))
    with pytest.raises(UsageError, match=r"^--runtime onnx: `nlpkit classify` computes in torch only; leave it out$"):
        load(folder, "cpu", "fp32", runtime="onnx")
    auto, plain = load(folder, "cpu", "fp32"), load(folder, "cpu", "fp32", runtime="torch")
    np.testing.assert_array_equal(scores(auto), scores(plain))


def test_the_default_is_the_embedded_model():
    predictor = nlpkit.load("classify")
    assert predictor.settings.labels == ("negative", "positive")
    found = predictor.records(["房间很干净，服务也好", "太差了，再也不来", ""])
    assert [fields["label"] for fields in found] == ["positive", "negative", None]


def test_labels_are_compared_with_texts_without_a_classifier():
    predictor = nlpkit.load("classify", "embed-static", labels=["体育=足球比赛", "财经=股市银行"], top=1)
    assert predictor.settings.labels == ("体育", "财经")
    found = predictor.records(["昨晚的足球比赛很精彩", "银行的股价大涨"])
    assert [(fields["label"], len(fields["labels"])) for fields in found] == [("体育", 1), ("财经", 1)]
    for labels in ([], [""], ["体育"]):
        with pytest.raises(UsageError, match=r"^--labels: "):
            nlpkit.load("classify", "embed-static", labels=labels)


def test_models_of_other_tasks_are_refused(tiny, tmp_path):
    with pytest.raises(ModelError, match=r"a model for `nlpkit ner`, not for `nlpkit classify`$"):
        load(tiny)
    with pytest.raises(ModelError, match=r"a model for `nlpkit classify`, not for `nlpkit ner`$"):
        nlpkit.load("ner", save_encoder(tmp_path / "m", task()))
    with pytest.raises(ModelError, match="none: no such model"):
        load("none")


def change_config(**changes):
    return lambda folder: edit_manifest(
        folder, config=json.loads((folder / "nlpkit.json").read_text(encoding="utf-8"))["config"] | changes
    )


CONFIGS = [
    ({"labels": []}, "labels"),
    ({"labels": ["a", 5]}, r"labels\[1\] must be a string"),
    ({"threshold": 2}, "threshold must be from 0 to 1, not 2"),
    ({"threshold": None}, "threshold must be a number"),
    ({"counts": [-1, 5]}, r"counts\[0\] must be 0 or more"),
    ({"multiple": "yes"}, "multiple must be true or false"),
    ({"calibration": {"temperature": "x", "shift": 0}}, "temperature must be a number"),
    ({"surprise": 1}, "surprise"),
]


@pytest.mark.parametrize("save", [save_encoder, save_ngram])
@pytest.mark.parametrize(("changes", "message"), CONFIGS)
def test_settings_that_are_none(tmp_path, save, changes, message):
    folder = tmp_path / "m"
    save(folder, task())
    change_config(**changes)(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(folder), "cpu", "fp32")
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


def change_weights(**changes):
    def damage(folder):
        weights = load_file(folder / WEIGHTS)
        for name, value in changes.items():
            weights.pop(name.replace("__", "."), None)
            if value is not None:
                weights[name.replace("__", ".")] = value
        save_file(weights, folder / WEIGHTS)

    return damage


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_weights(head__weight=None), "do not fit the manifest"),
        (change_weights(head__bias=torch.zeros(3)), "do not fit the manifest .*head.bias"),
        (change_weights(surprise=torch.zeros(3)), "do not fit the manifest .*surprise"),
        (change_config(labels=["a", "b", "c"]), r"do not fit the manifest .*head"),
        (change_weights(head__weight=torch.full((2, 64), torch.nan)), "head.weight holds NaN or infinity"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, runtime, damage, message):
    folder = tmp_path / "m"
    save_encoder(folder, task())
    edit_manifest(folder, files={})
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(folder), "cpu", "fp32", runtime=runtime)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [save_encoder, save_ngram])
def test_flipped_bits_and_missing_files(tmp_path, save):
    folder = tmp_path / "m"
    save(folder, task())
    content = (folder / WEIGHTS).read_bytes()
    for place in (9, 200, len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 4
        (folder / WEIGHTS).write_bytes(damaged)
        with pytest.raises(ModelError, match=r"is damaged \(its checksum differs\)|has other bytes"):
            load(str(folder), "cpu", "fp32")
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=f"{WEIGHTS}: no such file"):
        load(str(folder), "cpu", "fp32")


def test_the_floor_is_in_the_folder_of_an_encoder(tmp_path):
    folder = save_encoder(tmp_path / "m", task())
    assert load_floor(folder) is None
    save_ngram(tmp_path / "m" / FLOOR, task(threshold=0.25))
    floor = load_floor(folder)
    assert (type(floor), floor.settings.threshold) == (WholeTextPredictor, 0.25)
    shutil.rmtree(tmp_path / "m" / FLOOR)
    save_encoder(tmp_path / "m" / FLOOR, task())
    assert load_floor(folder) is None


def test_a_broken_floor_is_an_error(tmp_path):
    folder = save_encoder(tmp_path / "m", task())
    save_ngram(tmp_path / "m" / FLOOR, task())
    (tmp_path / "m" / FLOOR / WEIGHTS).write_bytes(b"x")
    with pytest.raises(NlpkitError, match=FLOOR):
        load_floor(folder)
