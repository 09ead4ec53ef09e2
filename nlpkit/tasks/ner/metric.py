"""Strict span F1: an entity counts when start, end and label are all right, in offsets of the untruncated text."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from nlpkit.core.training.metric import prf
from nlpkit.tasks.ner.data import Entity


def span_scores(pairs: Iterable[tuple[Iterable[Entity], Iterable[Entity]]]) -> dict[str, Any]:
    """Micro precision, recall and F1 over (gold, predicted) entity sets, and the same per label with its support."""
    correct: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    for expected, found in pairs:
        expected_set, found_set = set(expected), set(found)
        gold.update(entity.label for entity in expected_set)
        predicted.update(entity.label for entity in found_set)
        correct.update(entity.label for entity in expected_set & found_set)
    labels = {
        label: {**prf(correct[label], predicted[label], gold[label]), "support": gold[label]}
        for label in sorted(gold | predicted)
    }
    return {
        **prf(correct.total(), predicted.total(), gold.total()),
        "support": gold.total(),
        "labels": labels,
    }
