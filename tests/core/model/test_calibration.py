"""Platt scaling and beta calibration: the best fit, the order of results, the inverse, and no infinite numbers."""

import math
import random
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.json_shapes import conform
from nlpkit.core.model.calibration import (
    MAX_SKEW,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    UNCALIBRATED,
    Calibration,
    distinct,
    expected_calibration_error,
    fit,
    fit_temperature,
)

probabilities = st.floats(0, 1)
calibrations = st.builds(
    Calibration, st.floats(MIN_TEMPERATURE, MAX_TEMPERATURE), st.floats(-5, 5), st.just(0.0) | st.floats(0, MAX_SKEW)
)


def drawn(number, *calibration, seed=0):
    """Probabilities of a network, and outcomes as often right as their calibrated scores say."""
    chance, calibration = random.Random(seed), Calibration(*calibration)
    values = [1 / (1 + math.exp(-chance.gauss(1, 2))) for _ in range(number)]
    return [(value, chance.random() < calibration.score(value)) for value in values]


def negative_log_posterior(outcomes, slopes, shifts, skews):
    """What `fit` minimizes, for arrays of parameters, term by term."""
    total = ((slopes - 1) ** 2 + shifts**2 + skews**2) / 2
    for probability, is_right in outcomes:
        logits = slopes * math.log(probability / (1 - probability)) + skews * math.log(probability) + shifts
        total += np.log(1 + np.exp(-logits if is_right else logits))
    return total


def slow_fit(outcomes, max_skew):
    """The best (slope, shift, skew) of a grid, which is made finer around it again and again."""
    best, width = np.array([1.0, 0.0, 0.0]), 4.0
    steps = np.array(list(product((-1, -0.5, 0, 0.5, 1), repeat=3)))
    for _ in range(60):
        grid = np.clip(best + width * steps, (1 / MAX_TEMPERATURE, -99, 0), (1 / MIN_TEMPERATURE, 99, max_skew))
        best = grid[np.argmin(negative_log_posterior(outcomes, *grid.T))]
        width *= 0.8
    return best


@pytest.mark.parametrize(
    ("calibration", "number", "skewed"),
    [
        ((1.0, 0.0, 0.0), 60, False),
        ((1.8, -0.4, 0.0), 60, False),
        ((0.6, 0.7, 0.0), 60, False),
        ((8.0, -2.0, 3.0), 60, False),  # too few results to tell
        ((8.0, -1.0, 3.0), 400, True),
        ((2.0, 0.0, 3.0), 2000, True),
    ],
)
def test_the_fit_is_that_of_a_slow_search(calibration, number, skewed):
    """The skew is 0 unless it improves the Bayesian information criterion."""
    outcomes = drawn(number, *calibration)
    without, with_skew = slow_fit(outcomes, 0), slow_fit(outcomes, MAX_SKEW)
    gain = negative_log_posterior(outcomes, *without) - negative_log_posterior(outcomes, *with_skew)
    assert (gain > math.log(number) / 2) == skewed
    fitted, (slope, shift, skew) = fit(outcomes), with_skew if skewed else without
    assert fitted.temperature == pytest.approx(1 / slope, rel=1e-3)
    assert fitted.shift == pytest.approx(shift, abs=1e-3)
    assert fitted.skew == pytest.approx(skew, abs=1e-3)


@pytest.mark.parametrize(("number", "calibration"), [(20000, (1.7, -0.6, 0.0)), (200000, (4.0, -1.0, 1.5))])
def test_the_fit_finds_the_calibration_of_many_results(number, calibration):
    outcomes = drawn(number, *calibration)
    fitted = fit(outcomes)
    assert fitted.temperature == pytest.approx(calibration[0], abs=0.1)
    assert fitted.shift == pytest.approx(calibration[1], abs=0.1)
    assert fitted.skew == pytest.approx(calibration[2], abs=0.1)
    before, after = (
        expected_calibration_error([(scale.score(probability), is_right) for probability, is_right in outcomes])
        for scale in (UNCALIBRATED, fitted)
    )
    assert after < 0.01 < 0.08 < before


def test_scores_may_level_off_below_1():
    """Of sure results, half are right, as of events whose parts are all certain; unsure ones are never right."""
    outcomes = [(0.99, True), (0.99, False), (0.3, False), (0.3, False)] * 100
    assert fit(outcomes).score(0.99) == pytest.approx(0.5, abs=0.01)
    assert fit(outcomes).score(0.3) < 0.05
    assert fit(outcomes).skew > 0


@pytest.mark.parametrize(
    "outcomes",
    [
        [(0.9, True)] * 50,
        [(0.9, False)] * 50,
        [(1.0, True)] * 50,
        [(0.0, True), (1.0, False)] * 50,
        [(0.0, False), (1.0, True)] * 5000,
        [(0.4999, False), (0.5001, True)] * 5000,
        [(0.7, False)],
    ],
)
def test_one_sided_results_give_finite_numbers(outcomes):
    fitted = fit(outcomes)
    assert MIN_TEMPERATURE <= fitted.temperature <= MAX_TEMPERATURE
    assert math.isfinite(fitted.shift)
    scores = [fitted.score(probability) for probability, _ in outcomes]
    assert all(0 < score < 1 for score in scores)
    assert conform(asdict(fitted), Calibration) == fitted  # as it is stored


def test_without_results_nothing_is_calibrated():
    assert fit([]) == UNCALIBRATED
    assert expected_calibration_error([]) is None


def test_wrong_results_that_the_network_is_sure_of_keep_the_order():
    """The likelihood alone would turn the order round."""
    fitted = fit([(0.9, False), (0.2, True)] * 50)
    assert fitted.temperature == MAX_TEMPERATURE
    assert fitted.score(0.2) < fitted.score(0.9)


@given(calibrations, probabilities, probabilities)
def test_a_calibration_keeps_the_order_and_has_an_inverse(calibration, one, other):
    low, high = sorted((one, other))
    assert 0 <= calibration.score(low) <= calibration.score(high) <= 1
    if 1e-3 < one < 1 - 1e-3 and 1e-6 < calibration.score(one) < 1 - 1e-6:
        assert calibration.probability(calibration.score(one)) == pytest.approx(one, rel=1e-6)


@given(probabilities)
def test_the_default_changes_nothing(probability):
    assert UNCALIBRATED.score(probability) == UNCALIBRATED.probability(probability) == probability


def test_the_error_by_hand():
    """Bins of a tenth: two results below 0.1, three at 0.8 and above."""
    outcomes = [(0.02, False), (0.04, False), (0.8, True), (0.85, False), (1.0, True)]
    expected = (abs(0.06 - 0) + abs(1.65 - 1) + abs(1.0 - 1)) / 5
    assert expected_calibration_error(outcomes) == pytest.approx(expected)
    assert expected_calibration_error([(1.0, False)]) == 1


def test_of_several_results_with_a_key_the_highest_score_counts():
    assert distinct([("a", 0.2, True), ("b", 0.5, False), ("a", 0.7, True), ("a", 0.3, True)]) == [
        (0.7, True),
        (0.5, False),
    ]


def softmax_losses(logits, gold, temperature):
    """The negative log-likelihood of the right classes, and the prior of `fit` around temperature 1, term by term."""
    total = (1 / temperature - 1) ** 2 / 2
    for row, right in zip(logits.tolist(), gold, strict=True):
        powers = [math.exp((value - max(row)) / temperature) for value in row]
        total -= math.log(powers[right] / sum(powers))
    return total


def drawn_logits(number, temperature, seed=0):
    """Logits, and classes as often right as softmax(logits / temperature) says."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(number, 3)) * 3
    powers = np.exp(logits / temperature)
    return logits, [int(random.choice(3, p=row)) for row in powers / powers.sum(1, keepdims=True)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_that_of_a_grid_search(temperature):
    logits, gold = drawn_logits(60, temperature)
    grid = np.exp(np.linspace(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE), 4001))
    best = min(grid, key=lambda value: softmax_losses(logits, gold, value))
    fitted = fit_temperature(logits, np.array(gold))
    assert fitted.temperature == pytest.approx(best, rel=2e-3)
    assert fitted.shift == 0
    losses = [softmax_losses(logits, gold, fitted.temperature * factor) for factor in (1, 0.98, 1.02)]
    assert losses[0] == min(losses)


def test_the_temperature_of_many_results_is_found():
    logits, gold = drawn_logits(10000, 2.5)
    assert fit_temperature(logits, np.array(gold)).temperature == pytest.approx(2.5, abs=0.1)
    shifted = fit_temperature(logits + 1000 * np.arange(10000)[:, None], np.array(gold))  # a constant in each row
    assert shifted.temperature == pytest.approx(fit_temperature(logits, np.array(gold)).temperature, rel=1e-4)


@pytest.mark.parametrize("right", [0, 1])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_one_sided_classes_give_finite_temperatures(right, scale):
    fitted = fit_temperature(np.array([[scale, 0.0]] * 50, np.float32), np.full(50, right))
    assert MIN_TEMPERATURE <= fitted.temperature <= MAX_TEMPERATURE
    assert conform(asdict(fitted), Calibration) == fitted
    if scale == 0:
        assert fitted.temperature == pytest.approx(1, rel=1e-3)  # the prior alone
    elif right:
        assert fitted.temperature == pytest.approx(MAX_TEMPERATURE, rel=1e-3)
