"""Strict span F1: an entity is correct if start, end and label are equal, in offsets of the whole text."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from nlpkit.core.model.calibration import Outcome
from nlpkit.core.training.metric import prf
from nlpkit.tasks.ner.data import Entity


def span_scores(pairs: Iterable[tuple[Iterable[Entity], Iterable[Entity]]]) -> dict[str, Any]:
    """Return micro precision, recall and F1 over (gold, predicted) entities, in total and per label with support."""
    correct: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    for expected, predictions in pairs:
        gold_set, predicted_set = set(expected), set(predictions)
        gold.update(entity.label for entity in gold_set)
        predicted.update(entity.label for entity in predicted_set)
        correct.update(entity.label for entity in gold_set & predicted_set)
    labels = {
        label: {**prf(correct[label], predicted[label], gold[label]), "support": gold[label]}
        for label in sorted(gold | predicted)
    }
    return {
        **prf(correct.total(), predicted.total(), gold.total()),
        "support": gold.total(),
        "labels": labels,
    }


def outcomes(pairs: Iterable[tuple[Iterable[Entity], Iterable[Entity]]]) -> list[Outcome]:
    """Return the score of each predicted entity, and whether it is right; a dictionary's entities have no score."""
    result = []
    for expected, predictions in pairs:
        gold = set(expected)
        result += [(entity.score, entity in gold) for entity in predictions if not entity.source]
    return result
