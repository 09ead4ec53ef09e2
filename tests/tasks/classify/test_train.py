"""Training with either backbone: the toy set is learnt, the floor is stored, and nothing of an older model is left."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from classify_support import example, task, toy_examples, toy_reviews

from nlpkit.core.model.manifest import MANIFEST, read_manifest
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.classify.loading import FLOOR, load, load_floor
from nlpkit.tasks.classify.task import ClassifyTask
from nlpkit.tasks.classify.train import fit

TRAIN, DEV = toy_examples(96), toy_examples(32, 1)
FEW = TRAIN[:32]
SETTINGS = TrainSettings(epochs=6, batch_size=16, lr=2e-3)
OPTIONS = FitOptions("roformer_v2:1x64", device="cpu", dtype="fp32", threshold=None, sources={"training": ["a"]})
NGRAM = replace(OPTIONS, backbone="ngram")
RAW = [record["text"] for record in toy_reviews(20, 5)]
PAIRS = [example(one.text[:3], str(index % 2), second="好坏"[index % 2] * 2) for index, one in enumerate(TRAIN[:40])]
chance = random.Random(0)
IDS = [example(" ".join([*chance.choices(["11", "12", "13", "14"], k=6), "78"[n % 2]]), "ab"[n % 2]) for n in range(48)]


@pytest.fixture
def train(tmp_path):
    """Trains into a folder, and gives the metrics; `train.steps` has the steps that were reported."""

    def run(train=TRAIN, dev=DEV, settings=SETTINGS, options=OPTIONS, **own):
        run.steps.clear()
        made = ClassifyTask.from_examples(train, [], **own)
        return fit(
            made, train, dev, tmp_path / "m", settings, options, lambda progress: run.steps.append(progress.step)
        )

    run.steps = []
    run.folder = tmp_path / "m"
    return run


def scores(folder, texts, **options):
    return np.stack([answer.scores for answer in load(str(folder), "cpu", "fp32", **options).predict(texts)])


def test_an_encoder_learns_the_toy_set_and_has_a_floor(train):
    metrics = train()
    assert metrics["accuracy"] == metrics["auc"] == 1.0
    assert list(metrics["floors"]) == ["majority", "ngram"]
    assert metrics["floors"]["majority"] == {"accuracy": 0.5, "f1": 0.5, "macro_f1": pytest.approx(1 / 3)}
    assert 0.6 < metrics["floors"]["ngram"]["accuracy"] <= 1
    texts = [one.text for one in DEV]
    found = [scores(train.folder, texts, runtime=runtime) for runtime in ("onnx", "torch")]
    np.testing.assert_allclose(*found, atol=2e-5)
    assert [row.argmax() for row in found[0]] == [int(one.labels == ("positive",)) for one in DEV]
    floor = load_floor(str(train.folder))
    assert floor.evaluate(DEV)["accuracy"] == metrics["floors"]["ngram"]["accuracy"]
    manifest = read_manifest(train.folder, "classify")
    assert manifest.metrics == {"dev": {name: metrics[name] for name in metrics if name != "floors"}}
    assert (manifest.training["texts"], manifest.training["unlabelled"]) == (96, 0)
    assert manifest.config["counts"] == [48, 48]
    assert manifest.config["calibration"]["temperature"] != 1


def test_ngrams_have_no_floor(train):
    metrics = train(options=NGRAM)
    assert list(metrics["floors"]) == ["majority"]
    assert load_floor(str(train.folder)) is None
    assert sorted(path.name for path in train.folder.iterdir()) == ["model.safetensors", MANIFEST, "training"]


def test_pairs_are_learnt_and_have_no_floor(train):
    metrics = train(PAIRS, PAIRS)
    assert metrics["accuracy"] == 1.0
    assert list(metrics["floors"]) == ["majority"]
    assert not (train.folder / FLOOR).exists()
    pairs = [one.input for one in PAIRS]
    np.testing.assert_allclose(
        scores(train.folder, pairs, runtime="onnx"), scores(train.folder, pairs, runtime="torch"), atol=2e-5
    )


def test_several_labels_are_learnt(train):
    several = [
        example(text + noun, *labels, multiple=True)
        for noun in ("房间", "电影", "早餐", "手机")
        for text, labels in (("好", ("a",)), ("坏", ("b",)), ("好坏", ("a", "b")), ("真的", ()))
    ]
    metrics = train(several, several, replace(SETTINGS, epochs=25, batch_size=4))
    assert (metrics["f1"], metrics["accuracy"]) == (1.0, 1.0)
    found = load(str(train.folder), "cpu", "fp32").records([one.text for one in several])
    assert [sorted(item["label"] for item in fields["labels"]) for fields in found] == [
        list(one.labels) for one in several
    ]
    assert metrics["floors"]["majority"]["accuracy"] == 0.25


def test_ids_are_learnt(train):
    metrics = train(IDS, IDS, replace(SETTINGS, epochs=10), ids=True)
    assert metrics["accuracy"] == 1.0
    predictor = load(str(train.folder), "cpu", "fp32")
    assert predictor.tokenizer.kind == "id"
    assert predictor.tokenizer.tokens[5:7] == ["[LABEL0]", "[LABEL1]"]
    assert [fields["label"] for fields in predictor.records(["11 7 12", "8", "99", ""])][::3] == ["a", None]
    assert load_floor(str(train.folder)).settings.ids is False


def test_the_floor_is_trained_without_what_an_encoder_has(train):
    settings = replace(SETTINGS, epochs=1, dropout=0.2)
    train(FEW, settings=settings, r_drop=1.0, mlm=0.15, unlabelled=RAW)
    manifest = read_manifest(train.folder, "classify")
    assert (manifest.config["r_drop"], manifest.config["mlm"], manifest.training["unlabelled"]) == (1.0, 0.15, 20)
    floor = load_floor(str(train.folder)).settings
    assert (floor.r_drop, floor.mlm) == (0.0, 0.0)
    assert len(train.steps) == 4 + 1  # as many batches of unlabelled texts, and one evaluation
    assert scores(train.folder, ["房间好"], runtime="onnx").shape == (1, 2)


def test_without_a_dev_set_there_are_no_metrics(train):
    assert train(FEW, None) == train(FEW, None, options=NGRAM) == {}


def test_the_floor_of_an_older_model_is_removed(train):
    """Otherwise a later evaluation would compare with a classifier of other labels."""
    settings = replace(SETTINGS, epochs=1)
    train(FEW, settings=settings)
    assert {"vocab.txt", FLOOR} <= {path.name for path in train.folder.iterdir()}
    train(PAIRS, PAIRS, settings)
    assert not (train.folder / FLOOR).exists()
    train(FEW, settings=settings)
    train(FEW, options=NGRAM)
    assert sorted(path.name for path in train.folder.iterdir()) == ["model.safetensors", MANIFEST, "training"]
    train(FEW, settings=settings)
    assert load_floor(str(train.folder)) is not None


def test_a_finished_run_is_not_repeated(train):
    settings = replace(SETTINGS, epochs=2)
    metrics = train(FEW, settings=settings)
    weights = (train.folder / "model.safetensors").read_bytes()
    again = train(FEW, settings=settings, options=replace(OPTIONS, resume=True))
    assert train.steps == []
    assert (again["accuracy"], again["interval"]) == (metrics["accuracy"], metrics["interval"])
    assert again["floors"] == metrics["floors"]
    assert (train.folder / "model.safetensors").read_bytes() == weights


class Killed(BaseException):
    """In place of a signal."""


def killed_at_4(progress):
    if progress.step == 4 and not progress.metrics:
        raise Killed


@pytest.mark.parametrize("own", [{}, {"unlabelled": RAW, "mlm": 0.15, "r_drop": 1.0}], ids=["plain", "all"])
def test_a_killed_run_that_is_resumed_ends_with_the_same_weights(train, own):
    settings = replace(SETTINGS, epochs=2, dropout=0.1, save_every=0)
    train(FEW, settings=settings, **own)
    expected, folder, steps = train.folder / "model.safetensors", train.folder.parent / "killed", []
    arguments = ClassifyTask.from_examples(FEW, [], **own), FEW, DEV, folder, settings
    with pytest.raises(Killed):
        fit(*arguments, OPTIONS, killed_at_4)
    fit(*arguments, replace(OPTIONS, resume=True), lambda progress: steps.append(progress.step))
    assert steps[0] == 4
    assert (folder / "model.safetensors").read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("options", [OPTIONS, NGRAM], ids=["encoder", "ngram"])
def test_a_given_threshold_is_stored(train, options):
    train(FEW, settings=replace(SETTINGS, epochs=1), options=replace(options, threshold=0.75))
    config = read_manifest(train.folder).config
    assert (config["threshold"], config["calibration"]) == (0.75, {"temperature": 1.0, "shift": 0.0, "skew": 0.0})


@pytest.mark.parametrize("options", [OPTIONS, NGRAM], ids=["encoder", "ngram"])
def test_what_does_not_fit_is_an_error_before_anything_is_written(train, options):
    strange = [*DEV, example("甲", "neutral", number=9)]
    with pytest.raises(DataError, match=r"^gold:9: the model has no label neutral; it has: negative, positive$"):
        train(dev=strange, options=options)
    with pytest.raises(UsageError, match="reads single texts, not pairs"):
        train(dev=PAIRS, options=options)
    with pytest.raises(DataError, match="the dev set is empty"):
        train(dev=[], options=options)
    assert not train.folder.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fgm": 0.5, "gradient_penalty": 1.0}, "^--fgm and --gradient-penalty: two ways to the same end; pass only"),
        (
            {"freeze_layers": 1, "gradient_penalty": 1.0},
            "^--freeze-layers: keeps the embeddings fixed, which --gradient-",
        ),
        (
            {"gradient_penalty": 1.0},
            r"^--gradient-penalty: a part of this network has no second derivative; pass --fgm 0\.5$",
        ),
    ],
)
def test_a_gradient_penalty_that_cannot_be(train, settings, message):
    with pytest.raises(UsageError, match=message):
        train(settings=replace(SETTINGS, **settings))


def test_the_metrics_can_be_written_as_json(train):
    metrics = train(FEW, settings=replace(SETTINGS, epochs=1))
    assert json.loads(json.dumps(metrics)) == metrics
    assert task().metric == "accuracy"
