"""Reciprocal rank fusion against the formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.tasks.embed.index.fusion import fuse
from nlpkit.tasks.embed.index.top_k import Hit


def ranking(*rows):
    return [Hit(row, 1.0) for row in rows]


def test_the_first_of_both_has_1():
    (first, second, third) = fuse([ranking(7, 3), ranking(7, 5)], 10)
    assert first == Hit(7, 1.0)
    assert (second.row, third.row) == (3, 5)  # equal, so that of the first ranking
    assert second.score == third.score == pytest.approx(61 / 62 / 2)


def test_equal_scores_are_in_the_order_of_the_first_ranking():
    assert [hit.row for hit in fuse([ranking(2, 1), ranking(1, 2)], 10)] == [2, 1]
    assert [hit.row for hit in fuse([ranking(2), ranking(1)], 10)] == [2, 1]
    assert [hit.row for hit in fuse([ranking(4, 2), ranking(3, 1)], 10)] == [4, 3, 2, 1]


def test_one_ranking_alone_keeps_its_order():
    assert [hit.row for hit in fuse([ranking(5, 1, 9), []], 2)] == [5, 1]
    assert fuse([[], []], 3) == []


@given(st.lists(st.lists(st.integers(0, 30), unique=True), min_size=2, max_size=3), st.integers(1, 40))
def test_scores_are_those_of_the_formula(rows, k):
    sums = {}
    for ranks in rows:
        for rank, row in enumerate(ranks, 1):
            sums[row] = sums.get(row, 0) + 1 / (60 + rank)
    best = len(rows) / 61
    fused = fuse([ranking(*ranks) for ranks in rows], k)
    assert len(fused) == min(k, len(sums))
    for hit in fused:
        assert hit.score == pytest.approx(sums[hit.row] / best)
    assert [-hit.score for hit in fused] == sorted(-hit.score for hit in fused)
    assert all(sums[row] <= sums[fused[-1].row] + 1e-12 for row in set(sums) - {hit.row for hit in fused})
