"""Strict triples by hand."""

from dataclasses import replace

import pytest

from nlpkit.core.io.records import Line
from nlpkit.tasks.relation.data import Example, Relation, Span
from nlpkit.tasks.relation.metric import outcomes, triple_scores

TEXT = "三体的作者是刘慈欣，三体很好"
AUTHOR = Relation(Span(0, 2), "作者", Span(6, 9))


def scores(gold, answer):
    return triple_scores([(Example(TEXT, tuple(gold), Line("", "gold", 1)), answer)])


@pytest.mark.parametrize(
    ("answer", "precision", "recall"),
    [
        ([AUTHOR], 1, 1),
        ([Relation(Span(10, 12), "作者", Span(6, 9), 0.3)], 1, 1),  # another occurrence of the same words
        ([AUTHOR, Relation(Span(10, 12), "作者", Span(6, 9))], 1, 1),  # both: one triple
        ([Relation(Span(0, 2), "导演", Span(6, 9))], 0, 0),
        ([Relation(Span(0, 2), "作者", Span(6, 8))], 0, 0),
        ([Relation(Span(6, 9), "作者", Span(0, 2))], 0, 0),
        ([AUTHOR, Relation(Span(6, 9), "作品", Span(0, 2))], 0.5, 1),
        ([], 0, 0),
    ],
)
def test_cases_by_hand(answer, precision, recall):
    found = scores([AUTHOR], answer)
    assert (found["triple"]["precision"], found["triple"]["recall"]) == (precision, recall)
    assert found["f1"] == found["triple"]["f1"]


def test_labels_and_support():
    other = Relation(Span(6, 9), "作品", Span(0, 2))
    found = scores([AUTHOR, other], [AUTHOR])
    assert found["support"] == 2
    assert found["labels"]["作者"] == {"precision": 1, "recall": 1, "f1": 1, "support": 1}
    assert found["labels"]["作品"]["support"] == 1
    assert scores([], [])["f1"] == 0


def test_outcomes_are_the_highest_scores_of_triples():
    found = [
        replace(AUTHOR, score=0.4),
        Relation(Span(10, 12), "作者", Span(6, 9), 0.8),
        Relation(Span(0, 2), "导演", Span(6, 9), 0.3),
    ]
    pairs = [(Example(TEXT, (AUTHOR,), Line("", "gold", 1)), found)] * 2
    assert outcomes(pairs) == [(0.8, True), (0.3, False)] * 2
