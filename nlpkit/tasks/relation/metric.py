"""Strict F1 of triples: a relation is correct if predicate and the strings of subject and object are equal."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from nlpkit.core.model.calibration import Outcome, distinct
from nlpkit.core.training.metric import prf
from nlpkit.tasks.relation.data import Example, Relation


def triple_scores(pairs: Iterable[tuple[Example, Iterable[Relation]]]) -> dict[str, Any]:
    """Return micro precision, recall and F1 over sets of triples, in total and per predicate with its support.

    Published datasets have no offsets. So strings are compared, as in the competitions, and it does not matter which
    of several occurrences of a string was predicted.
    """
    correct: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    for example, answer in pairs:
        gold_set, predicted_set = triples(example.text, example.relations), triples(example.text, answer)
        gold.update(predicate for _, predicate, _ in gold_set)
        predicted.update(predicate for _, predicate, _ in predicted_set)
        correct.update(predicate for _, predicate, _ in gold_set & predicted_set)
    total = prf(correct.total(), predicted.total(), gold.total())
    labels = {
        predicate: {**prf(correct[predicate], predicted[predicate], gold[predicate]), "support": gold[predicate]}
        for predicate in sorted(gold | predicted)
    }
    return {"f1": total["f1"], "triple": total, "support": gold.total(), "labels": labels}


def outcomes(pairs: Iterable[tuple[Example, Iterable[Relation]]]) -> list[Outcome]:
    """Return the score of each predicted triple of strings, the highest of its occurrences, and whether it is right."""
    result = []
    for example, answer in pairs:
        gold = triples(example.text, example.relations)
        predicted = [(relation.triple(example.text), relation.score) for relation in answer]
        result += distinct((strings, score, strings in gold) for strings, score in predicted)
    return result


def triples(text: str, relations: Iterable[Relation]) -> set[tuple[str, str, str]]:
    """Return relations as strings (subject, predicate, object)."""
    return {relation.triple(text) for relation in relations}
