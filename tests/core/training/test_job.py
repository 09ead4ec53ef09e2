"""A training job from examples to a folder: what is kept, resumed, calibrated, and refused before it starts."""

import json
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file
from support import toy_records
from toy_task import Example, LabelTask, load

from nlpkit.core.io.records import Line
from nlpkit.core.model.manifest import MANIFEST, STATE, read_manifest
from nlpkit.core.model.text_task import THRESHOLDS
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.core.training.job import fit
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.errors import DataError, ModelError, OutputError, UsageError
from nlpkit.nn.backbones import build
from nlpkit.nn.layers.shared_rows import SharedRows

SETTINGS = TrainSettings(epochs=2, batch_size=8, lr=5e-3)
OPTIONS = FitOptions("roformer_v2:1x64", max_length=64, device="cpu", dtype="fp32", sources={"training": ["a", "b"]})
EXAMPLES = [
    Example(text[:20], "doctor" if "医院" in text[:20] else "other", Line(text, "gold", number))
    for number, text in enumerate((record["text"] for record in toy_records(60)), 1)
]


class CheckedTask(LabelTask):
    """A task that does not know every label."""

    def validate(self, example):
        if example.label not in self.settings.labels:
            raise example.line.error(f"no label {example.label}")


@pytest.fixture
def train(tmp_path):
    """Trains on the first examples, and gives the metrics; `train.reports` has the progress of each update."""

    def run(train=EXAMPLES[:40], dev=EXAMPLES[40:], folder=tmp_path / "model", settings=SETTINGS, **options):
        run.reports.clear()
        task = CheckedTask.from_examples(EXAMPLES, [])
        return fit(task, train, dev, folder, settings, replace(OPTIONS, **options), report)

    def report(progress):
        run.reports.append(replace(progress))

    run.reports = []
    return run


def test_a_job_ends_with_a_complete_folder(train, tmp_path):
    metrics = train(evaluations=2)
    folder = tmp_path / "model"
    manifest = read_manifest(folder, "label")
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors", MANIFEST, "training", "vocab.txt"]
    assert not (folder / STATE).exists()
    assert manifest.metrics == {"dev": metrics}
    assert set(metrics) == {"accuracy", "texts", "misaligned", "seconds", "texts_per_second"}
    assert manifest.config == {"labels": ["doctor", "other"], "threshold": 0.5}
    assert manifest.max_length == 22  # of the longest text, not the maximum
    assert (manifest.training["sequences"], manifest.training["data"]) == (40, {"training": ["a", "b"]})
    evaluated = [progress.step for progress in train.reports if progress.metrics]
    assert evaluated == [2, 4, 6, 8, 10]
    assert manifest.training["best_step"] in evaluated
    assert manifest.training["settings"]["head_lr"] == 0.01


def test_the_best_weights_are_stored_with_their_metrics(train, tmp_path):
    """With a learning rate of 0 all evaluations are equal, so the first one is the best."""
    train(settings=replace(SETTINGS, lr=0.0, head_lr=0.0), evaluations=5)
    manifest = read_manifest(tmp_path / "model")
    assert manifest.training["best_step"] == 1


def test_without_a_dev_set_the_last_weights_are_kept(train, tmp_path):
    assert train(dev=None) == {}
    manifest = read_manifest(tmp_path / "model")
    assert (manifest.metrics, manifest.training["best_step"]) == ({}, 10)


@pytest.mark.parametrize("threshold", [0.25, None])
def test_the_threshold_is_the_given_one_or_the_best_on_dev(train, tmp_path, threshold):
    metrics = train(threshold=threshold)
    stored = read_manifest(tmp_path / "model").config["threshold"]
    assert stored == threshold or (threshold is None and stored in THRESHOLDS)
    assert metrics["accuracy"] >= 0.5


def test_a_finished_run_is_not_repeated(train, tmp_path):
    metrics = train()
    weights = (tmp_path / "model" / "model.safetensors").read_bytes()
    assert train(resume=True) == metrics
    assert train.reports == []
    with pytest.raises(ModelError, match=r"model: holds a finished run with other options; leave out --resume to"):
        train(resume=True, settings=replace(SETTINGS, seed=1))
    with pytest.raises(ModelError, match="holds a finished run with other options"):
        train(resume=True, train=EXAMPLES[:39])
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights
    train(settings=replace(SETTINGS, seed=1))  # without --resume it is replaced
    assert (tmp_path / "model" / "model.safetensors").read_bytes() != weights


def test_a_finished_run_with_a_calibrated_threshold_is_not_repeated(train):
    metrics = train(threshold=None)
    assert train(resume=True, threshold=None) == metrics


def test_a_finished_run_with_another_threshold_is_an_error(train):
    train(threshold=0.25)
    with pytest.raises(ModelError, match="holds a finished run with other options"):
        train(resume=True, threshold=0.75)


def test_the_last_batches_of_an_epoch_are_an_update_too(train):
    """Five batches an epoch are three updates of two."""
    train(settings=replace(SETTINGS, accumulate=2))
    assert [progress.step for progress in train.reports if not progress.metrics] == [1, 2, 3, 4, 5, 6]


def test_a_model_of_another_origin_is_trained_again(train, tmp_path):
    """A manifest without the seconds of a run is not that of a finished one."""
    train()
    path = tmp_path / "model" / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["training"]["seconds"]
    path.write_text(json.dumps(manifest))
    train(resume=True)
    assert len(train.reports) > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_seed_makes_the_run(train, tmp_path, seed):
    for name, value in (("a", 1), ("b", seed)):
        train(folder=tmp_path / name, settings=replace(SETTINGS, seed=value, epochs=1))
        torch.rand(3)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in "ab")
    assert all(torch.equal(one[name], other[name]) for name in one) is (seed == 1)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({"train": []}, "^a, b: the training set is empty$"),
        ({"dev": []}, "^the dev set is empty$"),
        (
            {"dev": [Example("好", "other", Line("", "dev", 1)), Example("坏", "bad", Line("", "dev", 2))]},
            "^dev:2: no label bad$",
        ),
    ],
)
def test_sets_that_do_not_fit_are_errors_before_anything_is_written(train, tmp_path, examples, message):
    with pytest.raises(DataError, match=message):
        train(**examples)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_content_is_left_alone(train, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="model: "):
        train()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["thesis.txt"]


class Adapting(CheckedTask):
    """A task that trains with a vocabulary of its own; `seen` has what it was made of."""

    seen: ClassVar[list] = []

    def adapt(self, backbone, tokenizer, examples):
        self.seen.append((backbone, tokenizer, examples))
        characters = sorted(set("".join(example.text for example in examples)))
        tokenizer = CharTokenizer([*SPECIALS, *characters])
        return build({**backbone.describe(), "vocab_size": tokenizer.vocab_size}), tokenizer


def test_a_task_may_adapt_the_backbone_and_the_tokenizer(tmp_path):
    task, examples = Adapting.from_examples(EXAMPLES, []), EXAMPLES[:40]
    fit(task, examples, None, tmp_path / "model", replace(SETTINGS, epochs=1), OPTIONS, lambda progress: None)
    ((backbone, tokenizer, seen),) = Adapting.seen
    assert seen is examples
    assert backbone.vocab_size == tokenizer.vocab_size
    characters = sorted(set("".join(example.text for example in examples)))
    tokens = (tmp_path / "model" / "vocab.txt").read_text(encoding="utf-8").split()
    assert tokens == [*SPECIALS, *characters]
    assert read_manifest(tmp_path / "model").backbone["vocab_size"] == len(tokens)


class Sharing(CheckedTask):
    """A task whose labels share a part in training."""

    def prepare_training(self, network):
        network.head = SharedRows(network.head, [["a", "both"], ["b", "both"]])


def test_what_is_stored_are_plain_weights_with_what_the_labels_have_learned_together(tmp_path):
    task, (one, other) = Sharing.from_examples(EXAMPLES, []), (tmp_path / "one", tmp_path / "other")
    metrics = fit(task, EXAMPLES[:40], EXAMPLES[40:], one, SETTINGS, OPTIONS, lambda progress: None)
    fit(CheckedTask(task.settings), EXAMPLES[:40], EXAMPLES[40:], other, SETTINGS, OPTIONS, lambda progress: None)
    shared, plain = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert {name: value.shape for name, value in shared.items()} == {name: value.shape for name, value in plain.items()}
    assert not torch.equal(shared["head.weight"], plain["head.weight"])
    assert load(str(one), "cpu", "fp32").evaluate(EXAMPLES[40:])["accuracy"] == metrics["accuracy"]
    parameters = [read_manifest(folder).training["parameters"] for folder in (one, other)]
    assert parameters[0] == parameters[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze_layers": 1, "fgm": 0.5}, "^--freeze-layers: keeps the embeddings fixed, which --fgm perturbs; pass"),
        (
            {"freeze_layers": 1, "gradient_penalty": 1.0},
            "^--freeze-layers: keeps the embeddings fixed, which --gradient-penalty needs; pass only one of them$",
        ),
        (
            {"fgm": 0.5, "gradient_penalty": 1.0},
            "^--fgm and --gradient-penalty: two ways to the same end; pass only one of them$",
        ),
        ({"freeze_layers": 9}, "^--freeze-layers 9: the backbone has fewer layers; pass a smaller number$"),
    ],
)
def test_settings_that_exclude_each_other(train, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        train(settings=replace(SETTINGS, **changes))
    assert not (tmp_path / "model").exists()
