"""`nlpkit calibrate`: a model of each task that it can calibrate, and what it refuses."""

import shutil

import pytest
from classify_support import save_encoder, save_ngram, task, toy_reviews
from embed_support import save_embedder
from linker_support import save_linker
from support import edit_manifest, records, toy_records, write_jsonl

from nlpkit.tasks.classify.loading import FLOOR
from nlpkit.tasks.event.data import TRIGGER
from nlpkit.tasks.event.task import EventSettings, EventTask
from nlpkit.tasks.relation.task import RelationSettings, RelationTask


@pytest.fixture
def gold(tmp_path):
    return write_jsonl(tmp_path / "gold.jsonl", toy_records(30))


def test_the_scores_of_a_model_are_fitted_to_texts(nlpkit, tiny, gold):
    (before,) = records(nlpkit("evaluate", "ner", gold, "--model", tiny))
    (after,) = records(nlpkit("calibrate", gold, "--model", tiny, "-o", "out", "--keep-threshold"))
    assert (after["f1"], after["support"]) == (before["f1"], before["support"])
    assert after["ece"] < before["ece"]
    (again,) = records(nlpkit("evaluate", "ner", gold, "--model", "out"))
    assert again["ece"] == after["ece"]
    (best,) = records(nlpkit("calibrate", gold, "--model", "out", "-o", "out"))  # in place, with the threshold
    assert best["f1"] >= after["f1"]


def test_relations_and_events(nlpkit, tmp_path):
    relation = save_linker(tmp_path / "relation", RelationTask(RelationSettings(("总部",))))
    path = write_jsonl(tmp_path / "r.jsonl", [{"text": "东方电器的总部在北京。", "relations": []}])
    (metrics,) = records(nlpkit("calibrate", path, "--model", relation, "-o", "r"))
    assert "ece" in metrics
    labels = (("收购", TRIGGER, ""), ("收购", "买方", ""))
    event = save_linker(tmp_path / "event", EventTask(EventSettings(labels)))
    path = write_jsonl(tmp_path / "e.jsonl", [{"text": "东方电器收购了南山银行。", "events": []}])
    (metrics,) = records(nlpkit("calibrate", path, "--model", event, "-o", "e"))
    assert {"ece", "event_ece"} <= set(metrics)


@pytest.mark.parametrize("save", [save_encoder, save_ngram])
def test_classifiers(nlpkit, tmp_path, save):
    path = write_jsonl(tmp_path / "c.jsonl", toy_reviews(40))
    model = save(tmp_path / "model", task(counts=(20, 20)))
    save_ngram(tmp_path / "model" / FLOOR, task(counts=(20, 20)))
    (before,) = records(nlpkit("evaluate", "classify", path, "--model", model))
    (metrics,) = records(nlpkit("calibrate", path, "--model", model, "-o", "out"))
    (after,) = records(nlpkit("evaluate", "classify", path, "--model", "out"))
    assert metrics["accuracy"] == after["accuracy"] == before["accuracy"]
    assert after["ece"] == metrics["ece"] < before["ece"]
    assert after["floors"] == before["floors"]
    assert list(after["floors"]) == ["majority", "ngram"]
    assert nlpkit("models", "out", "--check").exit_code == 0


def test_classifiers_of_pairs_and_of_several_labels(nlpkit, tmp_path):
    pairs = [{"q": r["text"], "c": "好", "l": r["label"]} for r in toy_reviews(20)]
    path, model = write_jsonl(tmp_path / "p.jsonl", pairs), save_encoder(tmp_path / "pairs", task(pairs=True))
    result = nlpkit("calibrate", path, "--model", model, "-o", "p", "--field", "q", "--pair", "c", "--label", "l")
    assert (result.exit_code, records(result)[0]["texts"]) == (0, 20)
    several = save_encoder(tmp_path / "several", task(multiple=True, threshold=0.5))
    path = write_jsonl(tmp_path / "s.jsonl", toy_reviews(20))
    (before,) = records(nlpkit("evaluate", "classify", path, "--model", several))
    (kept,) = records(nlpkit("calibrate", path, "--model", several, "-o", "kept", "--keep-threshold"))
    (best,) = records(nlpkit("calibrate", path, "--model", several, "-o", "best"))
    assert kept["f1"] == before["f1"] < best["f1"]


def test_a_classifier_replaces_one_of_another_kind(nlpkit, tmp_path):
    """Which had a vocabulary."""
    path = write_jsonl(tmp_path / "c.jsonl", toy_reviews(10))
    for save in (save_encoder, save_ngram):
        model = save(tmp_path / save.__name__, task())
        assert nlpkit("calibrate", path, "--model", model, "-o", "out").exit_code == 0
        assert nlpkit("models", "out", "--check").exit_code == 0
    assert not (tmp_path / "out" / "vocab.txt").exists()


def test_options_of_classifiers_are_not_for_other_models(fails, tiny, gold):
    for option in ("--label", "--pair"):
        message = fails(2, "calibrate", gold, "--model", tiny, "-o", "out", option, "x")
        assert message == f"{option} x: only `nlpkit classify` has labelled texts and pairs; leave it out"


def test_texts_that_do_not_fit_are_skipped_or_errors(nlpkit, fails, tiny, tmp_path):
    strange = {"text": "三体", "entities": [{"start": 0, "end": 2, "label": "book"}]}
    path = write_jsonl(tmp_path / "gold.jsonl", [strange, *toy_records(5)])
    message = fails(1, "calibrate", path, "--model", tiny, "-o", "out")
    assert message.endswith("gold.jsonl:1: the model has no label book; it has: company, name")
    result = nlpkit("calibrate", path, "--model", tiny, "-o", "out", "--on-error", "skip")
    assert (result.exit_code, records(result)[0]["texts"]) == (3, 5)
    only = write_jsonl(tmp_path / "only.jsonl", [strange])
    result = nlpkit("calibrate", only, "--model", tiny, "-o", "none", "--on-error", "skip")
    assert "only.jsonl: no gold texts in it" in result.stderr
    assert not (tmp_path / "none").exists()


def test_models_and_folders_that_cannot_be_calibrated(fails, tiny, gold, tmp_path):
    embedder = save_embedder(tmp_path / "embed")
    message = fails(2, "calibrate", gold, "--model", embedder, "-o", "out")
    assert message == f"--model {embedder}: a model for `nlpkit embed`, which this command cannot calibrate"
    assert "no such model" in fails(1, "calibrate", gold, "--model", "nosuch", "-o", "out")
    assert "unknown format 'nosuch'" in fails(2, "calibrate", gold, "--model", tiny, "-o", "out", "-f", "nosuch")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("", encoding="utf-8")
    assert "full: has other things in it" in fails(1, "calibrate", gold, "--model", tiny, "-o", "full")


@pytest.mark.parametrize("calibration", [{"temperature": 0}, {"temperature": 99}, {"shift": float("nan")}, 3, None])
def test_a_damaged_calibration_is_an_error(fails, tiny, tmp_path, calibration):
    folder = shutil.copytree(tiny, tmp_path / "damaged")
    edit_manifest(folder, config={"labels": ["a"], "calibration": calibration})
    message = fails(1, "ner", "--model", folder, text="王\n")
    assert "its config does not fit this version of nlpkit (calibration" in message
