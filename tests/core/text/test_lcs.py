"""Longest common subsequences against the table, and the other counts against loops."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kgqa_support import lcs

from nlpkit.core.text.lcs import Matcher, lcs_similarity

tokens = st.lists(st.integers(0, 4), max_size=90)  # more than a machine word


@given(tokens, tokens)
def test_the_length_is_that_of_the_table(question, key):
    matcher = Matcher(question)
    assert matcher.length(matcher.run(key)) == lcs(question, key)


@given(tokens, tokens, tokens)
def test_a_state_can_be_extended(question, first, second):
    matcher = Matcher(question)
    assert matcher.run(second, matcher.run(first)) == matcher.run(first + second)


@given(tokens, tokens, st.sets(st.integers(0, 89)))
def test_excluded_positions_match_nothing(question, key, excluded):
    included = [-1 if position in excluded else token for position, token in enumerate(question)]
    matcher = Matcher(question, excluded)
    assert matcher.length(matcher.run(key)) == lcs(included, key)


@given(st.text("ab 龙C", max_size=12), st.text("ab 龙C", max_size=12))
def test_similarity_of_strings(left, right):
    expected = 2 * lcs(left, right) / (len(left) + len(right)) if left or right else 0.0
    assert lcs_similarity(left, right) == pytest.approx(expected)


@given(tokens, st.lists(st.integers(0, 4), max_size=4))
def test_neighbours_and_pieces(question, key):
    matcher = Matcher(question)
    pairs = set(pairwise(question))
    assert matcher.adjacent(key) == sum(pair in pairs for pair in pairwise(key))
    starts = range(len(question) - len(key) + 1)
    assert matcher.contains(key) == bool(key and any(question[i : i + len(key)] == key for i in starts))
