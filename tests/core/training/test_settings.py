"""Settings of training: default learning rates, and the threshold as it is written on the command line."""

from typing import get_type_hints

import pytest

from nlpkit.core.training.option import Option
from nlpkit.core.training.settings import FitOptions, TrainSettings, learning_rates
from nlpkit.errors import UsageError


@pytest.mark.parametrize(
    ("settings", "width", "expected"),
    [
        ({}, 256, (3e-4, 1e-3)),
        ({}, 768, (3e-5, 1e-3)),
        ({"lr": 1e-3}, 768, (1e-3, 2e-3)),
        ({"lr": 1e-3, "head_lr": 1e-5}, 768, (1e-3, 1e-5)),
    ],
)
def test_default_rates(settings, width, expected):
    assert learning_rates(TrainSettings(**settings), width) == expected


@pytest.fixture
def parse():
    """How the command line reads `--threshold`."""
    (option,) = (
        found
        for found in get_type_hints(FitOptions, include_extras=True)["threshold"].__metadata__
        if isinstance(found, Option)
    )
    return option.parse


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("1e-3", 0.001), ("auto", None)])
def test_a_threshold_is_a_probability_or_auto(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize("text", ["0", "1", "-0.5", "nan", "inf", "", "half", "AUTO"])
def test_any_other_threshold_is_an_error(parse, text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value) == f"--threshold {text}: a number between 0 and 1, or auto"
