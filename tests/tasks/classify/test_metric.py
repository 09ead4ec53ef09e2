"""Metrics of classification: numbers by hand, definitions term by term, and scikit-learn where it is installed."""

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.tasks.classify.metric import CONFUSIONS, area_under_curve, interval, label_scores, majority

NAMES = ("a", "b", "c", "d")


def one(*indices):
    return [[index] for index in indices]


def test_one_label_by_hand():
    """Of a three texts, two right; of b two, one right; of c one, wrong; d does not occur."""
    found = label_scores(one(0, 0, 0, 1, 1, 2), one(0, 0, 1, 1, 2, 1), NAMES)
    assert found["accuracy"] == found["precision"] == found["recall"] == found["f1"] == 0.5
    assert found["labels"]["a"] == {"precision": 1.0, "recall": 2 / 3, "f1": pytest.approx(0.8), "support": 3}
    assert found["labels"]["b"] == {"precision": 1 / 3, "recall": 0.5, "f1": pytest.approx(0.4), "support": 2}
    assert found["labels"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert found["labels"]["d"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert found["macro_f1"] == pytest.approx((0.8 + 0.4 + 0.0) / 3)  # without d
    assert found["confusions"] == [
        {"gold": "a", "predicted": "b", "count": 1},
        {"gold": "b", "predicted": "c", "count": 1},
        {"gold": "c", "predicted": "b", "count": 1},
    ]
    assert list(found) == ["accuracy", "precision", "recall", "f1", "macro_f1", "labels", "confusions"]


def test_several_labels_by_hand():
    """Four pairs of a text and a label are found, three of them right, of five."""
    gold, predicted = [[0, 1], [2], [], [1, 2]], [[1, 0], [1], [], [2]]
    found = label_scores(gold, predicted, NAMES)
    assert (found["precision"], found["recall"]) == (0.75, 0.6)
    assert found["f1"] == pytest.approx(2 * 3 / (4 + 5))
    assert found["accuracy"] == 0.5  # texts with exactly their labels
    assert found["macro_f1"] == pytest.approx((1.0 + 2 / 4 + 2 / 3) / 3)
    assert found["confusions"] == [
        {"gold": "c", "predicted": "b", "count": 1},
        {"gold": "b", "predicted": None, "count": 1},
    ]


def test_a_missing_answer_is_no_answer():
    """As of one label below the threshold."""
    found = label_scores(one(0, 0, 1), [[0], [], [0]], NAMES)
    assert (found["precision"], found["recall"], found["accuracy"]) == (0.5, 1 / 3, 1 / 3)
    assert found["confusions"] == [
        {"gold": "a", "predicted": None, "count": 1},
        {"gold": "b", "predicted": "a", "count": 1},
    ]


def test_a_wrong_answer_without_gold_is_a_confusion():
    assert label_scores([[]], [[1]], NAMES)["confusions"] == [{"gold": None, "predicted": "b", "count": 1}]


def test_confusions_are_the_most_frequent_ones_first():
    gold, predicted = [], []
    for count, (wanted, found) in enumerate([pair for pair in product(range(4), range(4)) if pair[0] != pair[1]], 1):
        gold += [wanted] * count
        predicted += [found] * count
    counts = [item["count"] for item in label_scores(one(*gold), one(*predicted), NAMES)["confusions"]]
    assert counts == list(range(12, 12 - CONFUSIONS, -1))


def test_without_texts_all_is_zero():
    found = label_scores([], [], NAMES)
    assert (found["accuracy"], found["f1"], found["macro_f1"], found["confusions"]) == (0.0, 0.0, 0.0, [])


scored = st.lists(st.tuples(st.sampled_from([-1.5, 0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1, max_size=40)


@given(scored)
def test_the_area_is_the_probability_that_a_positive_is_above_a_negative(pairs):
    positive, negative = ([score for score, is_positive in pairs if is_positive is kind] for kind in (True, False))
    found = area_under_curve(np.array([score for score, _ in pairs]), np.array([kind for _, kind in pairs]))
    if not positive or not negative:
        assert found is None
        return
    wins = sum((p > n) + (p == n) / 2 for p, n in product(positive, negative))
    assert found == pytest.approx(wins / (len(positive) * len(negative)))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.1, 0.4, 0.35, 0.8], 0.75), ([0.1, 0.2, 0.3, 0.4], 1.0), ([0.4, 0.3, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5)],
)
def test_areas_by_hand(scores, expected):
    assert area_under_curve(np.array(scores), np.array([False, False, True, True])) == expected


def drawn(number, seed=0):
    """Gold and predicted labels of texts, about two thirds of them right."""
    chance = random.Random(seed)
    gold = [chance.randrange(4) for _ in range(number)]
    return gold, [index if chance.random() < 0.55 else chance.randrange(4) for index in gold]


def test_scikit_learn_agrees():
    metrics = pytest.importorskip("sklearn.metrics")
    gold, predicted = drawn(200)
    found = label_scores(one(*gold), one(*predicted), NAMES)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(gold, predicted, average="macro"))
    assert found["f1"] == pytest.approx(metrics.f1_score(gold, predicted, average="micro"))
    chance = np.random.default_rng(0)
    scores, positive = chance.integers(0, 9, 200) / 9, chance.random(200) < 0.4
    assert area_under_curve(scores, positive) == pytest.approx(metrics.roc_auc_score(positive, scores))
    wanted, answered = chance.random((80, 4)) < 0.4, chance.random((80, 4)) < 0.4
    several = label_scores([np.flatnonzero(row) for row in wanted], [np.flatnonzero(row) for row in answered], NAMES)
    for average, name in (("micro", "f1"), ("macro", "macro_f1")):
        assert several[name] == pytest.approx(metrics.f1_score(wanted, answered, average=average))
    assert several["accuracy"] == pytest.approx(metrics.accuracy_score(wanted, answered))


@pytest.mark.parametrize("multiple", [False, True])
@pytest.mark.parametrize("number", [20, 400])
def test_the_interval_is_that_of_the_bootstrap(multiple, number):
    """Against the standard error of a mean; the metric is inside, and a second call gives the same."""
    gold, predicted = (one(*indices) for indices in drawn(number))
    found = interval(gold, predicted, multiple=multiple)
    value = label_scores(gold, predicted, NAMES)["f1" if multiple else "accuracy"]
    assert found["low"] < value < found["high"]
    error = 1.96 * (value * (1 - value) / number) ** 0.5
    assert found["low"] == pytest.approx(value - error, abs=error / 4 + 1 / number)
    assert found["high"] == pytest.approx(value + error, abs=error / 4 + 1 / number)
    assert interval(gold, predicted, multiple=multiple) == found


def test_the_interval_of_several_labels_is_that_of_micro_f1():
    gold = [[0, 1, 2], [0], [1], [], [2, 3], [3], [0, 1]] * 8
    predicted = [[0, 1], [0], [2], [1], [2, 3], [], [0, 1, 2, 3]] * 8
    found = interval(gold, predicted, multiple=True)
    chance, values = random.Random(1), []
    for _ in range(2000):
        indices = chance.choices(range(len(gold)), k=len(gold))
        values.append(label_scores([gold[i] for i in indices], [predicted[i] for i in indices], NAMES)["f1"])
    low, high = np.quantile(values, [0.025, 0.975])
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))


@pytest.mark.parametrize("number", [1, 2, 40])
def test_an_interval_without_spread_is_that_of_clopper_and_pearson(number):
    """All of n texts are right with a probability of at least 2.5 % where each is right with low."""
    bound = 0.025 ** (1 / number)
    zeros, ones = [[0]] * number, [[1]] * number
    for multiple in (False, True):
        assert interval(zeros, zeros, multiple=multiple) == pytest.approx({"low": bound, "high": 1.0})
        assert interval(zeros, ones, multiple=multiple) == pytest.approx({"low": 0.0, "high": 1 - bound})
    assert interval([[]] * number, [[]] * number, multiple=True) == pytest.approx({"low": bound, "high": 1.0})
    assert interval([[]] * number, ones, multiple=True) == pytest.approx({"low": 0.0, "high": 1 - bound})
    assert interval([[0, 1]] * number, zeros, multiple=False)["low"] == 0.0


def test_the_majority_is_the_most_frequent_label():
    assert majority([3, 9, 9], 2) == [[1], [1]]
    assert majority([3], 0) == []
