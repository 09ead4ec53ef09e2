"""The states under the pointers: standardized, in fp32 for any backbone, and measured before training; and scores."""

import pytest
import torch
from support import SENTENCE, toy_records

from nlpkit.core.io.records import Line
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration
from nlpkit.core.model.task import Inputs
from nlpkit.core.spans.span_task import SpanNetwork
from nlpkit.nn.backbones import build
from nlpkit.tasks.ner.data import Entity, Example

SIZES = {"hidden_size": 64, "num_layers": 1, "num_heads": 1, "intermediate_size": 64, "vocab_size": 30}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SpanNetwork(build({"type": "roformer_v2", **SIZES})).eval()


@pytest.fixture
def inputs():
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    return Inputs(torch.randint(5, 30, (2, 9), generator=torch.Generator().manual_seed(1)), mask)


def test_states_are_standardized_by_those_of_the_first_batch(network, inputs):
    network.calibrate_statistics([(inputs, {})].__getitem__)  # of a single batch
    states = network.states(inputs)[inputs.attention_mask]
    assert states.mean(0).abs().max() < 1e-4
    assert states.square().mean().item() == pytest.approx(1, abs=1e-4)
    raw = network.backbone(inputs.input_ids, inputs.attention_mask)[inputs.attention_mask]
    assert torch.allclose(states, (raw - raw.mean(0)) / (raw - raw.mean(0)).square().mean().sqrt(), atol=1e-4)


def test_measuring_leaves_padding_out(network, inputs):
    network.calibrate_statistics(lambda step: (inputs, {}))
    mean = network.standardize.mean.clone()
    wider = torch.nn.functional.pad(inputs.input_ids, (0, 5))
    network.calibrate_statistics(
        lambda step: (Inputs(wider, torch.nn.functional.pad(inputs.attention_mask, (0, 5))), {})
    )
    torch.testing.assert_close(network.standardize.mean, mean, atol=1e-5, rtol=1e-5)
    assert not network.standardize.mean.requires_grad


@pytest.mark.parametrize("autocast", [False, True])
def test_states_are_in_single_precision_for_any_backbone(network, inputs, autocast):
    network.calibrate_statistics(lambda step: (inputs, {}))
    exact = network.states(inputs)
    if not autocast:
        network.backbone.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        states = network.states(inputs)
    assert states.dtype == exact.dtype == torch.float32
    difference = (states - exact)[inputs.attention_mask].abs()
    assert 0 < difference.max() < 0.2


def test_states_are_dropped_out_in_training_alone(network, inputs):
    assert torch.equal(network.states(inputs), network.states(inputs))
    network.dropout.train()
    dropped = (network.states(inputs) == 0).float().mean()
    assert 0.05 < dropped < 0.15


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
