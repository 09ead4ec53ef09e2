"""The best of all blocks against a sort of all scores."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.tasks.embed.index.top_k import Hit, TopK


def by_sorting(scores, k):
    """(row, score) of the k highest scores, the first row first where they are equal."""
    return [Hit(row, scores[row]) for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]]


@st.composite
def blocks(draw):
    """Scores [q, n] with many ties, cut into blocks of any size."""
    queries, rows = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    values = st.integers(-4, 4) if draw(st.booleans()) else st.floats(-1, 1, width=32)
    scores = np.array([draw(st.lists(values, min_size=rows, max_size=rows)) for _ in range(queries)], np.float32)
    cuts = sorted(draw(st.sets(st.integers(1, rows))) | {0, rows})
    return scores, cuts


@given(blocks(), st.integers(1, 45))
def test_it_keeps_what_a_sort_of_everything_gives(sample, k):
    scores, cuts = sample
    best = TopK(len(scores), k)
    for start, end in pairwise(cuts):
        best.add(scores[:, start:end], start)
    assert best.hits() == [by_sorting(row.tolist(), k) for row in scores]


def test_nothing_was_added():
    assert TopK(2, 3).hits() == [[], []]


@pytest.mark.parametrize("k", [1, 5])
def test_a_higher_score_in_a_later_block_replaces_the_last(k):
    best = TopK(1, k)
    best.add(np.zeros((1, 8), np.float32), 0)
    best.add(np.array([[0, 0.5]], np.float32), 8)  # an equal score does not
    assert best.hits() == [[Hit(9, 0.5), *(Hit(row, 0.0) for row in range(k - 1))]]
