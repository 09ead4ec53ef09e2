"""Strict triples: a relation counts when predicate and the strings of subject and object are all right."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from nlpkit.core.training.metric import prf
from nlpkit.tasks.relation.data import Example, Relation


def triple_scores(pairs: Iterable[tuple[Example, Iterable[Relation]]]) -> dict[str, Any]:
    """Micro precision, recall and F1 over sets of triples, in all and per predicate with its support.

    Published data have no offsets, so strings are compared, as in the competitions: which of several occurrences was
    found does not matter.
    """
    correct: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    for example, answer in pairs:
        expected, found = triples(example.text, example.relations), triples(example.text, answer)
        gold.update(predicate for _, predicate, _ in expected)
        predicted.update(predicate for _, predicate, _ in found)
        correct.update(predicate for _, predicate, _ in expected & found)
    triple = prf(correct.total(), predicted.total(), gold.total())
    labels = {
        predicate: {**prf(correct[predicate], predicted[predicate], gold[predicate]), "support": gold[predicate]}
        for predicate in sorted(gold | predicted)
    }
    return {"f1": triple["f1"], "triple": triple, "support": gold.total(), "labels": labels}


def triples(text: str, relations: Iterable[Relation]) -> set[tuple[str, str, str]]:
    """Relations as strings (subject, predicate, object)."""
    return {
        (text[r.subject.start : r.subject.end], r.predicate, text[r.object.start : r.object.end]) for r in relations
    }
