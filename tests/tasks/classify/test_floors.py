"""The scores beside which that of a network is read: by hand."""

import pytest
from classify_support import example, ngram_weights, task

from nlpkit.tasks.classify.floors import floors
from nlpkit.tasks.classify.ngram.model import NgramRunner
from nlpkit.tasks.classify.task import WholeTextPredictor

GOLD = [example("甲", "negative"), example("乙", "positive"), example("丙", "positive"), example("丁", "positive")]


def test_the_majority_is_that_of_the_training_set():
    found = floors(task(counts=(5, 4)), GOLD, None)
    assert found == {"majority": {"accuracy": 0.25, "f1": 0.25, "macro_f1": pytest.approx(0.2)}}
    assert floors(task(counts=(4, 5)), GOLD, None)["majority"]["accuracy"] == 0.75


def test_of_several_labels_the_majority_is_one_label():
    gold = [example("甲", "a", multiple=True), example("乙", "a", "b", multiple=True), example("丙", multiple=True)]
    (found,) = floors(task("ab", multiple=True, counts=(2, 1)), gold, None).values()
    assert found == {"accuracy": 1 / 3, "f1": pytest.approx(2 * 2 / (3 + 3)), "macro_f1": pytest.approx(0.8 / 2)}


@pytest.mark.parametrize("counts", [(), (1,), (1, 2, 3)])
def test_without_a_count_for_each_label_there_is_no_majority(counts):
    """As with the names of labels alone, or a damaged manifest."""
    assert floors(task(counts=counts), GOLD, None) == {}


def test_the_ngram_classifier_is_evaluated():
    made, weights = task(counts=(1, 1)), ngram_weights(1, 8)
    runner = NgramRunner(weights["weight"].numpy().T, weights["idf"].numpy()[0], weights["bias"].numpy(), 2)
    ngram = WholeTextPredictor(made, runner)
    found = floors(made, GOLD, ngram)
    assert list(found) == ["majority", "ngram"]
    metrics = ngram.evaluate(GOLD)
    assert found["ngram"] == {name: metrics[name] for name in ("accuracy", "f1", "macro_f1")}
