"""Classification by the names of labels: cosines by hand, descriptions, and labels that are none."""

import numpy as np
import pytest
from classify_support import example, save_encoder, task
from embed_support import save_embedder
from static_support import save_static

from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.classify.task import WholeTextPredictor
from nlpkit.tasks.classify.zero_shot import SCALE, SimilarityRunner, load_zero_shot, parse_labels

LABELS = ["体育=足球比赛", "财经=股市银行", "天气"]
VECTORS = {"足球比赛": (1.0, 0.0), "天气": (0.6, 0.8), "球": (0.8, 0.6), "雨": (0.0, 1.0)}


def encode(texts):
    return np.array([VECTORS[text] for text in texts], np.float32).reshape(-1, 2)


def test_a_logit_is_the_cosine_of_text_and_label():
    runner = SimilarityRunner(encode, ["足球比赛", "天气"], 10.0)
    np.testing.assert_allclose(runner(["球", "雨"]), [[8.0, 9.6], [0.0, 8.0]], rtol=1e-6)
    assert (runner.parameters, runner.device_type) == (4, "cpu")
    assert runner([]).shape == (0, 2)


@pytest.mark.parametrize("save", [save_static, save_embedder])
def test_scores_are_the_softmax_of_scaled_cosines(tmp_path, save):
    folder = save(tmp_path / "m")
    predictor = load_zero_shot(LABELS, folder, "cpu", "fp32", runtime="auto", top=2)
    texts = ["今天的天气不错", "花呗还款", "电影好看吗"]
    found = np.stack([answer.scores for answer in predictor.predict(texts)])
    encode = predictor.runner.encode
    cosines = encode(texts).astype(np.float64) @ encode(["足球比赛", "股市银行", "天气"]).T.astype(np.float64)
    powers = np.exp(SCALE * cosines)
    np.testing.assert_allclose(found, powers / powers.sum(1, keepdims=True), rtol=1e-3)
    assert (found.argmax(1) == cosines.argmax(1)).all()
    assert type(predictor) is WholeTextPredictor
    assert (predictor.settings.labels, predictor.task.top) == (("体育", "财经", "天气"), 2)


def test_the_embedded_model_knows_sports_from_finance():
    predictor = load_zero_shot(LABELS, "embed-static", "cpu", "fp32", runtime="auto", top=None)
    gold = [example("昨晚的足球比赛很精彩", "体育"), example("银行股大涨", "财经"), example("明天的天气", "天气")]
    found = predictor.evaluate(gold)
    assert (found["accuracy"], found["texts"]) == (1.0, 3)
    fields = predictor.changed(threshold=0.999).records(["今天吃什么", ""])
    assert [one["label"] for one in fields] == [None, None]
    assert [len(one["labels"]) for one in fields] == [3, 0]
    with pytest.raises(UsageError, match="reads single texts, not pairs"):
        predictor.predictions([("甲", "乙")])


@pytest.mark.parametrize(
    ("labels", "names", "texts"),
    [
        (["体育", " 财经 "], ("体育", "财经"), ["体育", "财经"]),
        (["体育=足球 比赛", "财经 = 股市=银行 "], ("体育", "财经"), ["足球 比赛", "股市=银行"]),
        (["a=x", "b=x"], ("a", "b"), ["x", "x"]),
    ],
)
def test_labels_and_their_descriptions(labels, names, texts):
    assert parse_labels(labels) == (names, texts)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "^--labels: one label only; name two or more, separated by commas$"),
        (["体育"], "^--labels: one label only"),
        ([""], "^--labels: '' has no name or no description; write NAME or NAME=DESCRIPTION$"),
        (["", "财经"], "^--labels: '' has no name or no description"),
        (["财经", " "], "^--labels: ' ' has no name or no description"),
        (["体育=", "财经"], "^--labels: '体育=' has no name or no description"),
        (["体育", "=股市"], "^--labels: '=股市' has no name or no description"),
        (["体育", "财经", "体育"], "^--labels: 体育 is given twice; give each label once$"),
        (["体育=a", " 体育=b"], "^--labels: 体育 is given twice"),
    ],
)
def test_labels_that_are_none(labels, message):
    with pytest.raises(UsageError, match=message):
        parse_labels(labels)
    with pytest.raises(UsageError, match=message):  # before a model is loaded
        load_zero_shot(labels, "no-such-model", "cpu", "fp32", runtime="auto", top=None)


def test_models_that_are_none(tmp_path):
    with pytest.raises(ModelError, match="no-such-model: no such model"):
        load_zero_shot(LABELS, "no-such-model", "cpu", "fp32", runtime="auto", top=None)
    for model in ("sentiment", save_encoder(tmp_path / "own", task())):
        message = f"^--labels: {model} has labels of its own; leave out --labels, or name a model of `nlpkit embed`$"
        with pytest.raises(UsageError, match=message):
            load_zero_shot(LABELS, model, "cpu", "fp32", runtime="auto", top=None)
    with pytest.raises(UsageError, match=r"^--top 4: the model has 3 labels"):
        load_zero_shot(LABELS, save_static(tmp_path / "m"), "cpu", "fp32", runtime="auto", top=4)
