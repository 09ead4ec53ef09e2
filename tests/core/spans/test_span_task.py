"""Scores and thresholds of a task that finds spans, calibrated on gold texts."""

import pytest
from support import SENTENCE, toy_records

from nlpkit.core.io.records import Line
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration
from nlpkit.tasks.ner.data import Entity, Example

TEXTS = [SENTENCE, *(record["text"] for record in toy_records(20))]


def test_a_converted_threshold_returns_the_same_with_other_scores(model):
    before = model.changed(nested=True, threshold=0.8)
    calibration = Calibration(1.8, -0.6)
    after = before.changed(calibration=calibration, threshold=calibration.score(0.8))
    answers, expected = after.predict(TEXTS), before.predict(TEXTS)
    assert answers == expected
    assert sum(map(len, answers)) > 50
    scores = [entity.score for answer in answers for entity in answer]
    assert scores == [calibration.score(entity.score) for answer in expected for entity in answer]
    assert min(scores) >= calibration.score(0.8) > max(scores) - 0.7


def test_the_threshold_of_the_user_is_one_of_the_printed_scores(model):
    calibrated = model.changed(nested=True, threshold=0.2, calibration=Calibration(1.8, -0.6))
    everything = calibrated.predict(TEXTS)
    scores = sorted(entity.score for answer in everything for entity in answer)
    middle = (scores[len(scores) // 2] + scores[len(scores) // 2 + 1]) / 2
    kept = [[entity for entity in answer if entity.score >= middle] for answer in everything]
    assert calibrated.changed(threshold=middle).predict(TEXTS) == kept
    assert 0 < sum(map(len, kept)) < len(scores)


@pytest.fixture
def gold(model):
    """Texts whose gold is every other entity that a model returns."""
    found = model.changed(nested=True, threshold=0.5).predict(TEXTS)
    return [
        Example(text, tuple(Entity(e.start, e.end, e.label) for e in entities[::2]), Line("", "gold", number))
        for number, (text, entities) in enumerate(zip(TEXTS, found, strict=True), 1)
    ]


def test_calibration_chooses_the_threshold_and_makes_scores_right(model, gold):
    nested = model.changed(nested=True)
    changes = nested.calibrate(gold)
    assert set(changes) == set(nested.task.calibrated_fields)
    calibrated = nested.changed(**changes)
    plain = nested.changed(threshold=calibrated.task.min_probability)
    before, after = plain.evaluate(gold), calibrated.evaluate(gold)
    assert after["f1"] == before["f1"]
    assert after["ece"] < 0.03 < before["ece"]
    assert calibrated.calibrate(gold) == changes  # fitted on the network's probabilities, whatever was set before


def test_calibration_of_the_scores_alone_returns_the_same(model, gold):
    calibrated = model.changed(**model.calibrate(gold, keep_threshold=True))
    assert calibrated.predict(TEXTS) == model.predict(TEXTS)
    assert calibrated.settings.calibration != UNCALIBRATED


def test_without_any_result_the_scores_stay(model):
    changes = model.calibrate([Example("", (), Line("", "gold", 1))])
    assert (changes["threshold"], changes["calibration"]) == (0.5, UNCALIBRATED)
    assert model.evaluate([Example("", (), Line("", "gold", 1))])["ece"] is None
