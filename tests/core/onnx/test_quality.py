"""Quality in int8 on a model's card."""

import pytest

from nlpkit.core.model.manifest import CARD, EMBEDDED, embedded_names, read_card, read_manifest
from nlpkit.core.onnx import quality
from nlpkit.core.onnx.quality import int8_loss

CARD_OF_78 = {"int8": {"data": "dev", "metric": "F1", "fp32": 78.0, "bits_8": 77.9, "bits_7": 77.5, "weights": "12ab"}}


@pytest.mark.parametrize(("vnni", "loss"), [(True, 0.1), (False, 0.5)])
def test_the_loss_is_that_of_the_bits_that_this_cpu_uses(monkeypatch, vnni, loss):
    monkeypatch.setattr(quality, "has_vnni", lambda: vnni)
    assert int8_loss(CARD_OF_78, "12abff") == pytest.approx(loss)


def test_a_card_of_other_weights_or_without_a_test_says_nothing():
    assert int8_loss(CARD_OF_78, "12acff") is None
    assert int8_loss({}, "12abff") is None
    assert int8_loss({"int8": CARD_OF_78["int8"] | {"weights": ""}}, "12abff") is None


@pytest.mark.parametrize(
    ("change", "message"), [({"fp32": "high"}, "fp32"), ({"bits_7": None}, "bits_7"), ({"bits_6": 1.0}, "bits_6")]
)
def test_a_damaged_card(change, message):
    with pytest.raises(ValueError, match=message):
        int8_loss({"int8": CARD_OF_78["int8"] | change}, "12abff")


def test_the_cards_of_the_embedded_models_are_those_of_their_weights():
    tested = [name for name in embedded_names() if "int8" in read_card(EMBEDDED / name)]
    assert {"ner-cluener", "ner-general", "event", "relation-duie", "kgqa", "embed-base"} == set(tested)
    for name in tested:
        weights = read_manifest(EMBEDDED / name).files["model.safetensors"].sha256
        assert int8_loss(read_card(EMBEDDED / name), weights) is not None, f"{name}/{CARD} is of other weights"
