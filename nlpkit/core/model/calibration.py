"""Calibrate scores: of the results with a score of 0.8, eight in ten should be right.

Platt scaling (Platt 1999; Guo et al., arXiv 1706.04599): a temperature and a shift of the logit, fitted on the results
for a dev set. Beta calibration (Kull et al., AISTATS 2017) adds a third parameter, here `skew`, with which scores may
level off below 1: an event of which every part is certain is still wrong if it lacks a part. Both keep the order of the
results.
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
MAX_SKEW = 10.0
BINS = 10
_EPSILON = 1e-12  # the least distance of a probability from 0 and 1, as their logits are infinite
_MAX_LOGIT = math.log((1 - _EPSILON) / _EPSILON)
_MAX_STEPS, _TOLERANCE = 100, 1e-10
_BISECTIONS = 64
_GOLDEN = (math.sqrt(5) - 1) / 2
# Of the slope (1 / temperature), the shift and the skew.
_DEFAULTS = (1.0, 0.0, 0.0)
_MIN_WEIGHTS, _MAX_WEIGHTS = (1 / MAX_TEMPERATURE, -math.inf, 0.0), (1 / MIN_TEMPERATURE, math.inf, MAX_SKEW)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scale of the scores: score = sigmoid(logit(probability) / temperature + skew · log(probability) + shift).

    Attributes:
        temperature: more than 1 where the network is too sure.
        shift: of the logit.
        skew: slope of the logarithm of the probability; if it is more than 0, scores may level off below 1.
    """

    temperature: Annotated[float, Within(MIN_TEMPERATURE, MAX_TEMPERATURE)] = 1.0
    shift: float = 0.0
    skew: Annotated[float, Within(0.0, MAX_SKEW)] = 0.0

    def score(self, probability: float) -> float:
        """Return the score of a probability of the network; the probability itself for the default."""
        return probability if self == UNCALIBRATED else _sigmoid(self._logit_of_score(_logit(probability)))

    def probability(self, score: float) -> float:
        """Return the probability of a score: the inverse of `score`."""
        if self == UNCALIBRATED:
            return score
        target = _logit(score)
        if not self.skew:
            return _sigmoid((target - self.shift) * self.temperature)
        low, high = -_MAX_LOGIT, _MAX_LOGIT
        for _ in range(_BISECTIONS):  # the score rises with the probability
            middle = (low + high) / 2
            low, high = (low, middle) if self._logit_of_score(middle) > target else (middle, high)
        return _sigmoid((low + high) / 2)

    def _logit_of_score(self, logit: float) -> float:
        log_probability = min(logit, 0.0) - math.log1p(math.exp(-abs(logit)))
        return logit / self.temperature + self.skew * log_probability + self.shift


UNCALIBRATED = Calibration()


def fit(outcomes: Sequence[Outcome]) -> Calibration:
    """Return the calibration with the greatest likelihood of probabilities and outcomes.

    A normal prior of unit variance around slope 1 (the slope is 1 / temperature), shift 0 and skew 0 has the weight of
    about one result. It keeps them finite if all results are right, or all are wrong, and gives them if there is no
    result. The skew is 0 unless it improves the Bayesian information criterion (BIC): most models do not need it, and
    it would only fit noise.
    """
    import numpy as np  # help pages load this module, and have to be fast

    logits = np.array([_logit(probability) for probability, _ in outcomes])
    right = np.array([float(is_right) for _, is_right in outcomes])
    features = np.stack([logits, np.ones_like(logits), -np.logaddexp(0, -logits)], 1)
    (loss, weights), (loss_with_skew, with_skew) = (_fit_within_bounds(features, right, count) for count in (2, 3))
    if loss - loss_with_skew > math.log(max(1, len(outcomes))) / 2:
        weights = with_skew
    slope, shift, skew = weights.tolist()
    return Calibration(1 / slope, shift, skew)


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


def _fit_within_bounds(features: "Array", right: "Array", count: int) -> tuple[float, "Array"]:
    """Return the loss and the weights of a logistic regression of which the first `count` weights are fitted.

    If a weight is beyond its bounds, the others are fitted with the bound: the loss is convex, so the best value is
    there.
    """
    import numpy as np

    defaults, weights = np.array(_DEFAULTS), np.array(_DEFAULTS)
    free = np.arange(len(weights)) < count
    while True:  # until all weights that have bounds are fixed, at the latest
        regression = _Regression(features[:, free], right, features[:, ~free] @ weights[~free], defaults[free])
        weights[free] = regression.best()
        bounded = np.clip(weights, _MIN_WEIGHTS, _MAX_WEIGHTS)
        if (bounded == weights).all():
            return regression.loss(weights[free]), weights
        last = np.flatnonzero(bounded != weights)[-1]
        free[last], weights[last] = False, bounded[last]


@dataclass(frozen=True, slots=True)
class _Regression:
    """A logistic regression with a normal prior of unit variance.

    Attributes:
        features: [n, k].
        right: [n], 0 or 1.
        offset: [n], added to the logits.
        prior_mean: [k].
    """

    features: "Array"
    right: "Array"
    offset: "Array"
    prior_mean: "Array"

    def loss(self, weights: "Array") -> float:
        """Return the negative logarithm of likelihood times prior."""
        import numpy as np

        logits = self.features @ weights + self.offset
        prior = ((weights - self.prior_mean) ** 2).sum() / 2
        return float((np.logaddexp(0, logits) - self.right * logits).sum() + prior)

    def best(self) -> "Array":
        """Return the weights with the least loss, by Newton's method with step halving."""
        import numpy as np

        weights = self.prior_mean
        for _ in range(_MAX_STEPS):
            logits = np.clip(self.features @ weights + self.offset, -_MAX_LOGIT, _MAX_LOGIT)
            fitted: Any = 1 / (1 + np.exp(-logits))
            gradient = self.features.T @ (fitted - self.right) + weights - self.prior_mean
            curvature = (self.features * (fitted * (1 - fitted))[:, None]).T @ self.features + np.eye(len(weights))
            step = np.linalg.solve(curvature, gradient)
            now = self.loss(weights)
            while self.loss(weights - step) > now and np.abs(step).max() > _TOLERANCE:
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
