"""Precision, recall and F1 against their definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.training.metric import prf


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_fractions_are_those_of_the_definitions(predicted, gold):
    scores = prf(len(predicted & gold), len(predicted), len(gold))
    precision = len(predicted & gold) / len(predicted) if predicted else 0.0
    recall = len(predicted & gold) / len(gold) if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert scores == pytest.approx({"precision": precision, "recall": recall, "f1": f1})


def test_partial_credit_counts():
    assert prf(1.5, 2, 3) == {"precision": 0.75, "recall": 0.5, "f1": 0.6}
