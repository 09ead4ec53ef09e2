"""Maximal cliques: the complete subgraphs that are events, and the readings of one event among them."""

from collections.abc import Iterator, Sequence
from itertools import islice
from math import fsum

MOST = 2000  # cliques of one component: a random graph of a hundred spans would have millions


def maximal_cliques(neighbours: Sequence[set[int]]) -> list[list[int]]:
    """The maximal cliques of a graph, sorted; a node without a neighbour is one by itself.

    What the publication (kexue.fm 8926) finds by recursion from each pair of spans that are not linked is this very
    set; Bron and Kerbosch's algorithm finds it without meeting any of them twice.

    Args:
        neighbours: of each node, without itself.
    """
    found = []
    for component in _components(neighbours):
        if all(len(neighbours[node]) == len(component) - 1 for node in component):  # complete, as nearly always
            found.append(component)
        else:
            found += islice(_search(component, neighbours), MOST)
    return sorted(map(sorted, found))


def best_readings(
    cliques: Sequence[Sequence[int]], rivals: Sequence[set[int]], scores: Sequence[float]
) -> list[list[int]]:
    """Return the cliques without those that only repeat a better one with other fillers, in the same order.

    A clique is dropped if each of its nodes is also in a better clique, or has a rival there that takes its place. A
    node without a rival is therefore never lost. The better of two cliques has the higher sum of scores, so only the
    nodes that they do not share decide; of equal cliques the first stays.

    Args:
        cliques: maximal ones, each a list of nodes.
        rivals: of each node, the nodes that it excludes; none of them is in a clique with it.
        scores: of the nodes, positive.
    """
    masks = [sum(1 << node for node in clique) for clique in cliques]
    excluded = [sum(1 << rival for rival in {r for node in clique for r in rivals[node]}) for clique in cliques]
    totals = [fsum(scores[node] for node in clique) for clique in cliques]  # exact, so that equal ones are equal
    kept: list[int] = []
    better: list[list[int]] = [[] for _ in scores]  # of each node, the kept cliques that hold it
    for index in sorted(range(len(cliques)), key=lambda index: -totals[index]):
        first = cliques[index][0]  # only a clique that holds it or a rival of it can take the place of this one
        nearby = {best for node in (first, *rivals[first]) for best in better[node]}
        if not any(masks[index] & ~(masks[best] | excluded[best]) == 0 for best in nearby):
            kept.append(index)
            for node in cliques[index]:
                better[node].append(index)
    return [list(cliques[index]) for index in sorted(kept)]


def _components(neighbours: Sequence[set[int]]) -> Iterator[list[int]]:
    """The nodes that hang together."""
    seen: set[int] = set()
    for start in range(len(neighbours)):
        if start in seen:
            continue
        component = [start]
        seen.add(start)
        for node in component:  # it grows while it is walked
            new = neighbours[node] - seen
            seen |= new
            component += sorted(new)
        yield component


def _search(component: Sequence[int], neighbours: Sequence[set[int]]) -> Iterator[list[int]]:
    from networkx import Graph, find_cliques  # it takes a sixth of a second to load, and is seldom needed

    found: Iterator[list[int]] = find_cliques(Graph((node, near) for node in component for near in neighbours[node]))
    return found
