"""`nlpkit train curve`, and the curves on the card of a model."""

import json
import re

from support import invoke, records

from nlpkit.core.model.manifest import LOG


def test_log_and_curve(trained):
    lines = [json.loads(line) for line in (trained[0] / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if "dev" in line] == [25 * epoch for epoch in range(1, 9)]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] / 5
    result = invoke("train", "curve", trained[0])
    assert result.exit_code == 0
    assert re.search(r"loss: step \d+ … 200, last 0\.\d+", result.stdout)
    assert "f1: step 25 … 200" in result.stdout
    assert "█" in result.stdout


def test_the_card_of_what_was_trained_has_its_curves(nlpkit, trained):
    (card,) = records(nlpkit("models", trained[0]))
    steps, losses = zip(*card["curves"]["loss"], strict=True)
    assert len(steps) <= 32
    assert list(steps) == sorted(steps)
    lines = [json.loads(line) for line in (trained[0] / LOG).read_text().splitlines()]
    assert steps[-1] == [line["step"] for line in lines if "loss" in line][-1]
    assert losses[-1] < losses[0]
    assert max(score for _, score in card["curves"]["f1"]) <= 1
