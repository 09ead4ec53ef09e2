"""Training of the n-gram classifier: what it learns, against dense torch, and which options it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from classify_support import example, save_encoder, task, toy_examples

from nlpkit.cli.render.loss_chart import curves
from nlpkit.core.model.manifest import MANIFEST, read_manifest
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.errors import DataError, ModelError, OutputError, UsageError
from nlpkit.nn.losses import sparse_multilabel_loss
from nlpkit.tasks.classify.loading import load
from nlpkit.tasks.classify.ngram.features import features
from nlpkit.tasks.classify.ngram.train import fit, runner_of, train_and_write, train_classifier
from nlpkit.tasks.classify.task import ClassifyTask

BITS = 10
TRAIN, DEV = toy_examples(96), toy_examples(32, 1)
MORE = toy_examples(300)
SETTINGS = TrainSettings(epochs=3, batch_size=16)
OPTIONS = FitOptions("ngram", threshold=None, sources={"training": ["a"], "dev": ["b"]})
SEVERAL = [
    example(text + noun, *labels, multiple=True)
    for noun in ("房间", "电影", "早餐", "手机")
    for text, labels in (("好", ("a",)), ("坏", ("b",)), ("好坏", ("a", "b")), ("真的", ()))
]


def made(examples=TRAIN):
    return ClassifyTask.from_examples(examples, [])


def dense_training(trained, examples, bits, settings):
    """The same weights by dense Adam on the matrix of tf-idf values; gradients of absent n-grams are no updates."""
    task, labels = trained, torch.from_numpy(trained.label_indices(examples))
    matrix = np.zeros((len(examples), 1 << bits))
    text_indices, buckets = features([e.text for e in examples], bits)
    matrix[text_indices, buckets] = 1
    frequencies = matrix.sum(0)
    idf = np.log((1 + len(examples)) / (1 + frequencies)) + 1
    idf[frequencies < 2] = 0
    matrix *= idf
    values = torch.tensor(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), dtype=torch.float32)
    weight = torch.zeros(1 << bits, len(task.settings.labels), requires_grad=True)
    bias = torch.zeros(len(task.settings.labels), requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=0.02)
    total = settings.epochs * -(-len(examples) // settings.batch_size)
    for step in range(total):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / total)
        logits = values @ weight + bias
        several = task.settings.multiple
        loss = sparse_multilabel_loss(logits, labels) if several else F.cross_entropy(logits, labels[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (values @ weight + bias).detach().numpy()


@pytest.mark.parametrize("examples", [TRAIN, SEVERAL], ids=["one", "several"])
def test_weights_are_those_of_dense_training(examples):
    """In batches of the whole set, in which sparse and dense updates are the same."""
    trained, settings = made(examples), replace(SETTINGS, batch_size=len(examples), epochs=5, lr=0.02)
    weights, notes = train_classifier(trained, examples, None, settings, bits=BITS)
    found = runner_of(weights, 2)([e.text for e in examples])
    expected = dense_training(trained, examples, BITS, settings)
    if not trained.settings.multiple:
        expected -= expected[:, :1]
    difference = np.abs(found - expected)  # Adam makes large updates of gradients that are rounding errors
    assert difference.mean() < 0.02 * np.abs(expected).mean()
    assert difference.max() < 0.05
    assert (notes["texts"], notes["best_step"]) == (len(examples), 5)
    assert notes["parameters"] == sum(value.numel() for value in weights.values())


def test_an_ngram_of_one_text_is_left_out():
    """Of many texts, 好 is in more than one and 龘 in one; in 2^18 buckets they hardly meet others."""
    weights, _ = train_classifier(made(), [*TRAIN, example("龘", "positive")], None, SETTINGS)
    own = set(features(["龘"], 18)[1].tolist()) - set(features([""], 18)[1].tolist())
    assert (weights["idf"][0, sorted(own)] == 0).all()
    common = set(features(["好"], 18)[1].tolist()) & set(features(["真好的"], 18)[1].tolist())
    assert (weights["idf"][0, sorted(common)] > 0).all()


def test_the_toy_set_is_learnt_and_the_folder_says_so(tmp_path):
    reports = []
    report = lambda progress: reports.append(replace(progress))  # noqa: E731
    metrics = fit(made(MORE), MORE, DEV, tmp_path / "m", replace(SETTINGS, epochs=15), OPTIONS, report)
    assert metrics["accuracy"] == metrics["auc"] == 1.0
    assert [progress.step for progress in reports] == list(range(19, 286, 19))
    assert {progress.total_steps for progress in reports} == {285}
    assert reports[-1].loss < reports[0].loss
    manifest = read_manifest(tmp_path / "m", "classify")
    assert manifest.backbone == {"type": "ngram", "bits": 18}
    assert manifest.metrics == {"dev": json.loads(json.dumps(metrics))}
    assert manifest.training["data"] == {"training": ["a"], "dev": ["b"]}
    assert manifest.training["best_step"] == next(progress.step for progress in reports if progress.best == 1.0)
    again = load(str(tmp_path / "m"))
    assert again.evaluate(DEV)["accuracy"] == 1.0
    assert again.settings.counts == (150, 150)
    assert again.settings.calibration.temperature != 1
    logged = curves(tmp_path / "m")
    assert logged["loss"] == [(progress.step, progress.loss) for progress in reports]
    assert logged["accuracy"] == [(progress.step, progress.metrics["accuracy"]) for progress in reports]


@pytest.mark.parametrize(
    ("epochs", "lr", "expected"), [(1, None, 0.5), (50, None, 0.02 * 500 / 300), (100, None, 0.02), (50, 0.1, 0.1)]
)
def test_a_short_run_has_a_higher_learning_rate(epochs, lr, expected):
    """Six updates in an epoch; the rate falls to 0."""
    rates, settings = [], replace(SETTINGS, epochs=epochs, lr=lr)
    train_classifier(made(), TRAIN, None, settings, lambda progress: rates.append(progress.lr), bits=4)
    total = 6 * epochs
    assert rates == pytest.approx([expected * (1 - step / total) for step in range(5, total, 6)])


@pytest.mark.parametrize("store", ["fp16", "int8"])
def test_what_is_evaluated_is_what_is_stored(tmp_path, store):
    options = replace(OPTIONS, store=store)
    predictor, metrics = train_and_write(made(), TRAIN, DEV, tmp_path / "m", SETTINGS, options)
    found, expected = (p.predict([e.text for e in DEV]) for p in (load(str(tmp_path / "m")), predictor))
    np.testing.assert_array_equal([a.scores for a in found], [a.scores for a in expected])
    assert metrics["texts"] == len(DEV)


def test_several_labels_are_learnt_with_their_threshold(tmp_path):
    settings = replace(SETTINGS, epochs=30, batch_size=4)
    metrics = fit(made(SEVERAL), SEVERAL, SEVERAL, tmp_path / "m", settings, OPTIONS, lambda progress: None)
    assert metrics["f1"] == 1.0
    predictor = load(str(tmp_path / "m"))
    assert predictor.settings.may_be_empty
    answers = [
        predictor.task.decide(answer.scores) for answer in predictor.predict(["好手机", "坏坏", "好坏房间", "真的"])
    ]
    assert answers == [[0], [1], [0, 1], []]


def test_the_best_weights_are_kept(tmp_path):
    """With a learning rate of 0 all epochs are equal, so the first one is the best."""
    _, metrics = train_and_write(made(), TRAIN, DEV, tmp_path / "m", replace(SETTINGS, lr=0.0), OPTIONS)
    assert metrics["accuracy"] == 0.5
    assert read_manifest(tmp_path / "m").training["best_step"] == 6


def test_without_a_dev_set_the_last_weights_are_kept(tmp_path):
    assert fit(made(), TRAIN, None, tmp_path / "m", SETTINGS, OPTIONS, lambda progress: None) == {}
    manifest = read_manifest(tmp_path / "m")
    assert (manifest.metrics, manifest.training["best_step"]) == ({}, 18)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_seed_makes_the_order(seed):
    ends = [
        train_classifier(made(), TRAIN, None, replace(SETTINGS, seed=value), bits=BITS)[0]["weight"]
        for value in (1, seed)
    ]
    assert torch.equal(*ends) is (seed == 1)


def test_a_given_threshold_is_kept_and_nothing_is_calibrated(tmp_path):
    predictor, _ = train_and_write(made(), TRAIN, DEV, tmp_path / "m", SETTINGS, replace(OPTIONS, threshold=0.75))
    assert (predictor.settings.threshold, predictor.settings.calibration.temperature) == (0.75, 1.0)


def test_a_loss_that_is_no_number_ends_the_run():
    with pytest.raises(ModelError, match=r"^the loss is nan at step \d+; a smaller --lr may help$"):
        train_classifier(made(), TRAIN, None, replace(SETTINGS, lr=float("inf")), bits=BITS)


def refused(folder, trained=None, settings=SETTINGS, options=OPTIONS, train=TRAIN, dev=DEV):
    fit(trained or made(), train, dev, folder, settings, options, lambda progress: None)


@pytest.mark.parametrize(
    ("settings", "options", "own", "names"),
    [
        ({"dropout": 0.3}, {}, {}, "--dropout"),
        ({"fgm": 0.5, "gradient_penalty": 1.0, "ema": 0.9}, {}, {}, "--fgm, --gradient-penalty, --ema"),
        ({"layer_decay": 0.9}, {"max_length": 128}, {}, "--layer-decay, --max-length"),
        ({"freeze_layers": 2, "optimizer": "muon", "head_lr": 0.1}, {}, {}, "--head-lr, --freeze-layers, --optimizer"),
        ({"accumulate": 2, "clip": 0.5, "weight_decay": 0.1}, {}, {}, "--weight-decay, --clip, --accumulate"),
        ({}, {"resume": True, "fold_mask": 0.5}, {}, "--fold-mask, --resume"),
        ({}, {}, {"r_drop": 4.0, "mlm": 0.15, "ids": True}, "--r-drop, --mlm, --ids"),
        ({}, {}, {"unlabelled": ("甲",)}, "--unlabelled"),
    ],
)
def test_options_of_encoders_are_refused(tmp_path, settings, options, own, names):
    trained = ClassifyTask.from_examples(TRAIN, [], **own)
    with pytest.raises(UsageError) as caught:
        refused(tmp_path / "m", trained, replace(SETTINGS, **settings), replace(OPTIONS, **options))
    assert str(caught.value) == f"{names}: nothing that --backbone ngram has; leave out, or name an encoder"
    assert not (tmp_path / "m").exists()


def test_the_device_and_the_precision_are_not_refused(tmp_path):
    """They may come from the environment; the classifier computes on the CPU as in prediction."""
    refused(tmp_path / "m", options=replace(OPTIONS, device="cuda", dtype="bf16"))
    assert (tmp_path / "m" / MANIFEST).exists()


def test_pairs_are_refused(tmp_path):
    pairs = [example("甲", "a", second="乙"), example("丙", "b", second="丁")]
    with pytest.raises(UsageError, match=r"^--backbone ngram: reads single texts, and the n-grams of a pair say"):
        refused(tmp_path / "m", made(pairs), train=pairs, dev=pairs)


def test_a_dev_set_that_does_not_fit_is_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match=r"^b: the dev set is empty$"):
        refused(tmp_path / "m", dev=[])
    with pytest.raises(DataError, match=r"^gold:9: the model has no label neutral; it has: negative, positive$"):
        refused(tmp_path / "m", dev=[*DEV, example("甲", "neutral", number=9)])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_content_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"has other things in it, such as thesis.txt"):
        refused(tmp_path)


def test_an_encoder_in_the_folder_is_replaced(tmp_path):
    save_encoder(tmp_path / "m", task())
    refused(tmp_path / "m")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["model.safetensors", MANIFEST, "training"]
