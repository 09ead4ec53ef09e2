"""Maximal cliques against the recursion of the publication, and in time."""

import random
import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linker_support import neighbours_of, published

from nlpkit.tasks.event.graph import MOST, maximal_cliques


@given(st.integers(0, 7), st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0]))
def test_the_cliques_are_those_of_the_published_search(size, seed, density):
    chance = random.Random(seed)
    linked = {pair for pair in combinations(range(size), 2) if chance.random() < density}
    expected = published(set(range(size)), linked) if size else set()
    found = maximal_cliques(neighbours_of(size, linked))
    assert found == sorted(map(sorted, expected))


@pytest.mark.parametrize(
    ("linked", "size", "expected"),
    [
        (set(), 0, []),
        (set(), 2, [[0], [1]]),
        ({(0, 1), (0, 2), (1, 2)}, 4, [[0, 1, 2], [3]]),
        ({(0, 1), (1, 2)}, 3, [[0, 1], [1, 2]]),
    ],
)
def test_small_graphs(linked, size, expected):
    assert maximal_cliques(neighbours_of(size, linked)) == expected


def test_the_worst_graph_takes_little_time():
    import networkx  # noqa: F401  it is loaded at the first graph that needs it

    seconds = []
    for seed in range(5):
        chance = random.Random(seed)
        linked = {pair for pair in combinations(range(25), 2) if chance.random() < 0.8}
        neighbours = neighbours_of(25, linked)
        start = time.process_time()
        assert len(maximal_cliques(neighbours)) < MOST
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05


def test_a_hopeless_graph_is_cut_off():
    chance = random.Random(0)
    linked = {pair for pair in combinations(range(90), 2) if chance.random() < 0.8}
    start = time.process_time()
    assert len(maximal_cliques(neighbours_of(90, linked))) == MOST
    assert time.process_time() - start < 5
