"""Calibration of a trained model: which files are written, and what of the model changes."""

import shutil
from pathlib import Path

import pytest
from support import edit_manifest, toy_records

from nlpkit.core.io.records import Line
from nlpkit.core.model.calibration import UNCALIBRATED
from nlpkit.core.model.manifest import EMBEDDED, LOG, MANIFEST, read_manifest
from nlpkit.core.training.calibrate import calibrate
from nlpkit.errors import OutputError
from nlpkit.tasks.ner.data import Entity, Example
from nlpkit.tasks.ner.task import load

GOLD = [
    Example(
        record["text"],
        tuple(Entity(entity["start"], entity["end"], entity["label"]) for entity in record["entities"]),
        Line("", "gold", number),
    )
    for number, record in enumerate(toy_records(12), 1)
]


@pytest.fixture
def folder(tiny, tmp_path):
    """A copy of the tiny model, with a training log and something of the user's."""
    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / LOG).parent.mkdir()
    (folder / LOG).write_text("{}\n", encoding="utf-8")
    (folder / "README.md").write_text("mine", encoding="utf-8")
    edit_manifest(folder, training={"data": {"training": ["a"]}, "seconds": 3})
    return folder


def run(folder, output, **options):
    return calibrate(str(folder), load(str(folder), "cpu", "fp32"), GOLD, output, ["gold"], **options)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_has_the_same_weights_and_the_fitted_settings(folder, tmp_path):
    old, before = content(folder), read_manifest(folder)
    metrics = run(folder, tmp_path / "new" / "model")
    assert content(folder) == old
    made, after = content(tmp_path / "new" / "model"), read_manifest(tmp_path / "new" / "model")
    assert set(made) == {*old} - {"README.md"}
    assert all(made[name] == old[name] for name in made if name != MANIFEST)
    assert after.metrics == {"dev": metrics}
    assert metrics["ece"] < 0.1
    assert after.training == {"data": {"training": ["a"]}, "seconds": 3, "calibrated_on": ["gold"]}
    assert (after.files, after.backbone) == (before.files, before.backbone)
    loaded = load(str(tmp_path / "new" / "model"), "cpu", "fp32")
    assert loaded.settings.calibration != UNCALIBRATED
    assert loaded.evaluate(GOLD)["ece"] == metrics["ece"]


def test_in_its_own_folder_only_the_manifest_changes(folder):
    old, texts = content(folder), [example.text for example in GOLD]
    expected = load(str(folder), "cpu", "fp32").predict(texts)
    run(folder, Path(f"{folder}/../model"), keep_threshold=True)
    new = content(folder)
    assert {name for name in old if new[name] != old[name]} == {MANIFEST}
    assert set(new) == set(old)
    answers = load(str(folder), "cpu", "fp32").predict(texts)
    assert answers == expected
    assert answers[0][0].score != expected[0][0].score


def test_a_folder_of_something_else_is_refused(folder, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="full: has other things in it, such as mine; name a new folder"):
        run(folder, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_a_model_from_before_calibration_returns_probabilities(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "old")
    config = read_manifest(folder).config
    expected = load(str(folder), "cpu", "fp32").records([GOLD[0].text])
    edit_manifest(folder, config={name: value for name, value in config.items() if name != "calibration"})
    assert load(str(folder), "cpu", "fp32").records([GOLD[0].text]) == expected


def test_a_model_that_shares_an_encoder_still_does(tmp_path):
    gold = [Example("王小明在北京。", (Entity(0, 3, "PER"), Entity(4, 6, "LOC")), Line("", "gold", 1))]
    predictor = load("ner-general", "cpu", "fp32")
    metrics = calibrate("ner-general", predictor, gold, tmp_path / "mine", ["gold"])
    before, after = read_manifest(EMBEDDED / "ner-general"), read_manifest(tmp_path / "mine")
    assert (after.encoder, after.files) == (before.encoder, before.files)
    assert not (tmp_path / "mine" / "vocab.txt").exists()
    assert load(str(tmp_path / "mine"), "cpu", "fp32").evaluate(gold)["f1"] == metrics["f1"]
