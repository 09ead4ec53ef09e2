"""Maximal cliques: the complete subgraphs that are events."""

from collections.abc import Iterator, Sequence
from itertools import islice

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
