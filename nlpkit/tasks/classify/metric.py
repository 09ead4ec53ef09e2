"""Metrics of classification: accuracy, micro and macro F1, per label, confusions, AUC, and a bootstrap interval."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.training.metric import prf

CONFUSIONS = 10
_RESAMPLES, _CHUNK, _LEVEL = 1000, 100, 0.95

Counts = NDArray[np.int64]


def label_scores(
    gold: Sequence[Sequence[int]], predicted: Sequence[Sequence[int]], labels: Sequence[str]
) -> dict[str, Any]:
    """Return the metrics of predicted labels.

    Micro F1 counts (text, label) pairs; if every text has one label and gets one, it is the accuracy. Macro F1 is the
    mean F1 of the labels that occur in the gold or the predictions. Accuracy is the fraction of texts with exactly
    their labels.

    Args:
        gold: indices of the labels of each text.
        predicted: the same of the answers.
        labels: names.
    """
    pairs = [(set(expected), set(answer)) for expected, answer in zip(gold, predicted, strict=True)]
    correct, answered, present = (_per_label(sets, len(labels)) for sets in (
        [expected & answer for expected, answer in pairs],
        [answer for _, answer in pairs],
        [expected for expected, _ in pairs],
    ))  # fmt: skip
    per_label = {
        label: {**prf(int(right), int(many), int(support)), "support": int(support)}
        for label, right, many, support in zip(labels, correct, answered, present, strict=True)
    }
    used = [per_label[label]["f1"] for label, many in zip(labels, answered + present, strict=True) if many]
    return {
        "accuracy": sum(expected == answer for expected, answer in pairs) / len(pairs) if pairs else 0.0,
        **prf(int(correct.sum()), int(answered.sum()), int(present.sum())),
        "macro_f1": sum(used) / len(used) if used else 0.0,
        "labels": per_label,
        "confusions": _confusions(pairs, labels),
    }


def interval(gold: Sequence[Sequence[int]], predicted: Sequence[Sequence[int]], *, multiple: bool) -> dict[str, float]:
    """Return the 95 % interval of the main metric, by a bootstrap over the texts with a fixed seed.

    Where all texts are right, or none, a bootstrap has no spread; then the bound is that of Clopper and Pearson: of n
    right answers the lower one is 0.025^(1/n).

    Args:
        gold: indices of the labels of each text; at least one text.
        predicted: the same of the answers.
        multiple: whether the main metric is micro F1; else it is accuracy.
    """
    pairs = [(set(expected), set(answer)) for expected, answer in zip(gold, predicted, strict=True)]
    counts = np.array(
        [
            (len(expected & answer), len(expected) + len(answer)) if multiple else (expected == answer, 1)
            for expected, answer in pairs
        ]
    )
    tail = (1 - _LEVEL) / 2
    if all(expected == answer for expected, answer in pairs):
        return {"low": float(tail ** (1 / len(pairs))), "high": 1.0}
    if not counts[:, 0].any():
        return {"low": 0.0, "high": float(1 - tail ** (1 / len(pairs)))}
    random = np.random.default_rng(0)
    values: list[float] = []
    for _ in range(_RESAMPLES // _CHUNK):
        drawn = random.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), size=_CHUNK)
        right, total = (drawn @ counts).T
        values += ((2 if multiple else 1) * right / np.maximum(total, 1)).tolist()
    low, high = np.quantile(values, [tail, 1 - tail])
    return {"low": float(low), "high": float(high)}


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve: the probability that a positive has a higher score than a negative.

    Equal scores count one half. None if all texts are positive, or all negative.
    """
    number = int(positive.sum())
    if number in (0, len(positive)):
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1; the mean rank of equal scores
    above = ranks[positive].sum() - number * (number + 1) / 2
    return float(above / (number * (len(positive) - number)))


def majority(counts: Sequence[int], num_texts: int) -> list[list[int]]:
    """Return the answer of the floor "majority class" to every text: the most frequent label of the training set."""
    return [[int(np.argmax(counts))]] * num_texts


def _per_label(sets: Sequence[set[int]], size: int) -> Counts:
    return np.bincount([label for answer in sets for label in answer], minlength=size)


def _confusions(pairs: Sequence[tuple[set[int], set[int]]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the most frequent (gold, predicted) pairs of different labels, one side of which may be missing."""
    counts: Counter[tuple[str | None, str | None]] = Counter()
    name: Callable[[int | None], str | None] = lambda index: None if index is None else labels[index]  # noqa: E731
    for expected, answer in pairs:
        missed: list[int | None] = sorted(expected - answer) or [None]  # type: ignore[assignment]
        wrong: list[int | None] = sorted(answer - expected) or [None]  # type: ignore[assignment]
        if expected != answer:
            counts.update((name(one), name(other)) for one in missed for other in wrong)
    return [{"gold": one, "predicted": other, "count": count} for (one, other), count in counts.most_common(CONFUSIONS)]
