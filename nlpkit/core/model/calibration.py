"""Calibrate scores: of the results with a score of 0.8, eight in ten should be right.

Platt scaling (Platt 1999; Guo et al., arXiv 1706.04599): a temperature and a shift of the logit, fitted on the results
for a dev set. It keeps the order of the results.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from nlpkit.core.io.json_shapes import Within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Outcome = tuple[float, bool]  # the probability or the score of a result, and whether the result is right

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.1, 10.0
BINS = 10
_EPSILON = 1e-12  # the least distance of a probability from 0 and 1, as their logits are infinite
_MAX_LOGIT = math.log((1 - _EPSILON) / _EPSILON)
_MAX_STEPS, _TOLERANCE = 100, 1e-10
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scale of the scores: score = sigmoid(logit(probability) / temperature + shift).

    Attributes:
        temperature: more than 1 where the network is too sure.
        shift: of the logit.
    """

    temperature: Annotated[float, Within(MIN_TEMPERATURE, MAX_TEMPERATURE)] = 1.0
    shift: float = 0.0

    def score(self, probability: float) -> float:
        """Return the score of a probability of the network; the probability itself for temperature 1 and shift 0."""
        if (self.temperature, self.shift) == (1.0, 0.0):
            return probability
        return _sigmoid(_logit(probability) / self.temperature + self.shift)

    def probability(self, score: float) -> float:
        """Return the probability of a score: the inverse of `score`."""
        if (self.temperature, self.shift) == (1.0, 0.0):
            return score
        return _sigmoid((_logit(score) - self.shift) * self.temperature)


UNCALIBRATED = Calibration()


def fit(outcomes: Sequence[Outcome]) -> Calibration:
    """Return the calibration with the greatest likelihood of probabilities and outcomes.

    A normal prior of unit variance around slope 1 (the slope is 1 / temperature) and shift 0 has the weight of about
    one result. It keeps both finite if all results are right, or all are wrong, and gives them if there is no result.
    """
    import numpy as np  # help pages load this module, and have to be fast

    logits = np.array([_logit(probability) for probability, _ in outcomes])
    right = np.array([float(is_right) for _, is_right in outcomes])
    features = np.stack([logits, np.ones_like(logits)], 1)
    start = np.array([1.0, 0.0])
    slope, shift = _maximize(features, right, np.zeros_like(logits), start)
    bounded = min(max(slope, 1 / MAX_TEMPERATURE), 1 / MIN_TEMPERATURE)
    if bounded != slope:  # the likelihood is concave, so the best slope within the bounds is the nearest
        (shift,) = _maximize(features[:, 1:], right, logits * bounded, start[1:])
    return Calibration(float(1 / bounded), float(shift))


def fit_temperature(logits: "NDArray[Any]", gold: "NDArray[Any]") -> Calibration:
    """Return the temperature with the greatest likelihood of softmax(logits / temperature); its shift is 0.

    The likelihood is unimodal in the inverse temperature, which is found by a golden-section search.

    Args:
        logits: [n, c].
        gold: [n] index of the right class of each.
    """
    import numpy as np

    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(1, keepdims=True)

    def loss(log_slope: float) -> float:
        scaled = logits * math.exp(log_slope)
        right = scaled[np.arange(len(gold)), gold]
        # the prior of `fit` around slope 1
        return float((np.log(np.exp(scaled).sum(1)) - right).sum() + (math.exp(log_slope) - 1) ** 2 / 2)

    low, high = math.log(1 / MAX_TEMPERATURE), math.log(1 / MIN_TEMPERATURE)
    while high - low > 1e-6:
        first, second = high - (high - low) * _GOLDEN, low + (high - low) * _GOLDEN
        low, high = (low, second) if loss(first) < loss(second) else (first, high)
    return Calibration(math.exp(-(low + high) / 2))


def expected_calibration_error(outcomes: Sequence[Outcome], bins: int = BINS) -> float | None:
    """Return the mean difference of score and precision over bins of equal width, weighted by their results.

    None if there are no results. It is defined in Guo et al., arXiv 1706.04599, (3).
    """
    differences = [0.0] * bins
    for score, is_right in outcomes:
        differences[min(int(score * bins), bins - 1)] += score - is_right
    return sum(map(abs, differences)) / len(outcomes) if outcomes else None


def distinct(results: Iterable[tuple[Hashable, float, bool]]) -> list[Outcome]:
    """Return the outcomes of (key, score, is right), one per key, with the highest score."""
    best: dict[Hashable, Outcome] = {}
    for key, score, is_right in results:
        if key not in best or score > best[key][0]:
            best[key] = score, is_right
    return list(best.values())


def _maximize(features: "Array", right: "Array", offset: "Array", start: "Array") -> "Array":
    """Return the weights of a logistic regression with a prior around `start`, by Newton's method with step halving."""
    import numpy as np

    def loss(weights: "Array") -> float:
        logits = features @ weights + offset
        prior = ((weights - start) ** 2).sum() / 2
        return float((np.logaddexp(0, logits) - right * logits).sum() + prior)

    weights = start
    for _ in range(_MAX_STEPS):
        fitted: Any = 1 / (1 + np.exp(-np.clip(features @ weights + offset, -_MAX_LOGIT, _MAX_LOGIT)))
        gradient = features.T @ (fitted - right) + weights - start
        curvature = (features * (fitted * (1 - fitted))[:, None]).T @ features + np.eye(len(start))
        step = np.linalg.solve(curvature, gradient)
        now = loss(weights)
        while loss(weights - step) > now and np.abs(step).max() > _TOLERANCE:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() <= _TOLERANCE:
            break
    return weights


def _logit(probability: float) -> float:
    bounded = min(max(probability, _EPSILON), 1 - _EPSILON)
    return math.log(bounded / (1 - bounded))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-min(max(logit, -_MAX_LOGIT), _MAX_LOGIT)))
