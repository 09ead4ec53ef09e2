"""Scores without a network on the same texts, beside which that of a network is to be read."""

from collections.abc import Sequence
from typing import Any

from nlpkit.tasks.classify.data import Example
from nlpkit.tasks.classify.metric import label_scores, majority
from nlpkit.tasks.classify.task import ClassifyTask, WholeTextPredictor

_NAMES = ("accuracy", "f1", "macro_f1")


def floors(task: ClassifyTask, gold: Sequence[Example], ngram: WholeTextPredictor | None) -> dict[str, Any]:
    """Return the metrics of the most frequent label of the training set, and of an n-gram classifier.

    Args:
        task: with its labels and their counts.
        gold: examples.
        ngram: trained on the same data; None leaves it out.
    """
    result: dict[str, Any] = {}
    labels = task.settings.labels
    expected = [[task.label_ids[label] for label in example.labels] for example in gold]
    if len(task.settings.counts) == len(labels):
        result["majority"] = _brief(label_scores(expected, majority(task.settings.counts, len(gold)), labels))
    if ngram is not None:
        result["ngram"] = _brief(ngram.evaluate(gold))
    return result


def _brief(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: metrics[name] for name in _NAMES}
