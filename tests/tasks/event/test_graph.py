"""Maximal cliques against the recursion of the publication, and in time; the best readings, and joined fragments."""

import random
import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linker_support import neighbours_of, published

from nlpkit.tasks.event.graph import MAX_CLIQUES, best_readings, joined, maximal_cliques


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
        assert len(maximal_cliques(neighbours)) < MAX_CLIQUES
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05


def test_a_hopeless_graph_is_cut_off():
    chance = random.Random(0)
    linked = {pair for pair in combinations(range(90), 2) if chance.random() < 0.8}
    start = time.process_time()
    assert len(maximal_cliques(neighbours_of(90, linked))) == MAX_CLIQUES
    assert time.process_time() - start < 5


@given(st.integers(0, 8), st.integers(0, 10**6), st.sampled_from([0.3, 0.6, 0.9]))
def test_readings_are_dropped_only_for_a_better_one_that_replaces_them(size, seed, density):
    """What is kept, what is dropped, and that no node without a rival is lost."""
    chance = random.Random(seed)
    pairs = list(combinations(range(size), 2))
    linked = {pair for pair in pairs if chance.random() < density}
    rivals = neighbours_of(size, {pair for pair in pairs if pair not in linked and chance.random() < 0.5})
    scores = [chance.choice((0.125, 0.25, 0.5)) for _ in range(size)]
    cliques = maximal_cliques(neighbours_of(size, linked))
    kept = best_readings(cliques, rivals, scores)

    def replaced(clique, best):
        return all(node in best or rivals[node] & set(best) for node in clique)

    def total(clique):
        return sum(scores[node] for node in clique)

    assert kept == [clique for clique in cliques if clique in kept]
    for clique in cliques:
        better = [best for best in kept if best != clique and total(best) >= total(clique) and replaced(clique, best)]
        if clique not in kept:
            assert better
        else:
            assert all(total(best) == total(clique) and best > clique for best in better)
    assert {node for node in range(size) if not rivals[node]} <= {node for clique in kept for node in clique}
    assert best_readings(cliques, [set()] * size, scores) == cliques


def test_many_cliques_are_resolved_in_little_time():
    """300 nodes in groups of three rivals each, and as many cliques as are kept of a graph."""
    rivals = [{3 * (node // 3) + other for other in range(3)} - {node} for node in range(300)]
    chance = random.Random(0)
    cliques = [sorted(3 * group + chance.randrange(3) for group in range(100)) for _ in range(MAX_CLIQUES)]
    start = time.process_time()
    assert len(best_readings(cliques, rivals, [chance.random() for _ in rivals])) == 1
    distinct = [[node, node + 1] for node in range(MAX_CLIQUES)]
    assert best_readings(distinct, [set()] * (MAX_CLIQUES + 1), [0.5] * (MAX_CLIQUES + 1)) == distinct
    assert time.process_time() - start < 5


@given(st.integers(0, 8), st.integers(0, 10**6), st.sampled_from([0.3, 0.6, 0.9]))
def test_fragments_are_joined_if_no_link_between_them_is_impossible(size, seed, density):
    chance = random.Random(seed)
    pairs = list(combinations(range(size), 2))
    triggers = {node for node in range(size) if chance.random() < 0.4}
    pairs = [pair for pair in pairs if not triggers.issuperset(pair)]
    linked = {pair for pair in pairs if chance.random() < density}
    possible = linked | {pair for pair in pairs if chance.random() < 0.5}
    scores = [chance.random() for _ in range(size)]
    cliques = maximal_cliques(neighbours_of(size, linked))
    events = joined(cliques, triggers, neighbours_of(size, possible), scores)
    assert events == sorted(map(sorted, events))
    assert all(any(set(clique) <= set(event) for event in events) for clique in cliques)
    assert all(set(combinations(event, 2)) <= possible for event in events)
    assert all(event in cliques for event in events if not triggers & set(event))
    of_trigger = [clique for clique in cliques if triggers & set(clique)]
    for one, other in combinations(of_trigger, 2):
        if set(one) & set(other) & triggers and set(combinations(sorted({*one, *other}), 2)) <= possible:
            assert len(events) < len(cliques)  # at least one pair is joined
    assert joined(cliques, set(), neighbours_of(size, possible), scores) == cliques
    assert joined(cliques, triggers, neighbours_of(size, linked), scores) == cliques


def test_many_fragments_are_joined_in_little_time():
    """As many cliques as are kept of a graph, on one trigger: of one event, and each of its own."""
    cliques = [[0, node] for node in range(1, MAX_CLIQUES + 1)]
    scores, every = [0.5] * (MAX_CLIQUES + 1), set(range(MAX_CLIQUES + 1))
    start = time.process_time()
    assert joined(cliques, {0}, [every] * len(scores), scores) == [[*range(MAX_CLIQUES + 1)]]
    assert joined(cliques, {0}, [every, *([{0}] * MAX_CLIQUES)], scores) == cliques
    assert time.process_time() - start < 5
