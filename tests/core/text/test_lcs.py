"""Longest common subsequences against the table, and the other counts against loops."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from kgqa_support import lcs

from nlpkit.core.text.lcs import Matcher

tokens = st.lists(st.integers(0, 4), max_size=90)  # more than a machine word


@given(tokens, tokens)
def test_the_length_is_that_of_the_table(question, key):
    matcher = Matcher(question)
    assert matcher.length(matcher.run(key)) == lcs(question, key)


@given(tokens, tokens, tokens)
def test_a_state_goes_on_where_it_stopped(question, first, second):
    matcher = Matcher(question)
    assert matcher.run(second, matcher.run(first)) == matcher.run(first + second)


@given(tokens, tokens, st.sets(st.integers(0, 89)))
def test_hidden_places_match_nothing(question, key, hidden):
    shown = [-1 if place in hidden else token for place, token in enumerate(question)]
    matcher = Matcher(question, hidden)
    assert matcher.length(matcher.run(key)) == lcs(shown, key)


@given(tokens, st.lists(st.integers(0, 4), max_size=4))
def test_neighbours_and_pieces(question, key):
    matcher = Matcher(question)
    pairs = set(pairwise(question))
    assert matcher.adjacent(key) == sum(pair in pairs for pair in pairwise(key))
    starts = range(len(question) - len(key) + 1)
    assert matcher.contains(key) == bool(key and any(question[i : i + len(key)] == key for i in starts))
