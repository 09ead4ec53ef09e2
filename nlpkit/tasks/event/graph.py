"""Maximal cliques of an event graph, which are the events; alternative readings and fragments of an event."""

from collections.abc import Iterator, Sequence, Set
from itertools import islice
from math import fsum

MAX_CLIQUES = 2000  # of one component: a random graph of a hundred spans would have millions


def maximal_cliques(neighbours: Sequence[set[int]]) -> list[list[int]]:
    """Return the maximal cliques of a graph, sorted; a node without neighbours is a clique.

    The recursive search of the publication (kexue.fm 8926), which starts from each pair of unlinked spans, results in
    the same set; the algorithm of Bron and Kerbosch finds each clique once.

    Args:
        neighbours: of each node, without itself.
    """
    cliques = []
    for component in _components(neighbours):
        if all(len(neighbours[node]) == len(component) - 1 for node in component):  # complete, as nearly always
            cliques.append(component)
        else:
            cliques += islice(_find_cliques(component, neighbours), MAX_CLIQUES)
    return sorted(map(sorted, cliques))


def best_readings(
    cliques: Sequence[Sequence[int]], rivals: Sequence[set[int]], scores: Sequence[float]
) -> list[list[int]]:
    """Return the cliques without those that repeat a better one with other fillers, in the same order.

    A clique is dropped if each of its nodes is in a better clique or has a rival in it. So a node without rivals is
    never lost. The better of two cliques has the higher sum of scores; of equal cliques the first is kept.

    Args:
        cliques: maximal cliques, each a list of nodes.
        rivals: of each node, the nodes that it excludes; none of them is in a clique with it.
        scores: of the nodes, positive.
    """
    masks = [sum(1 << node for node in clique) for clique in cliques]
    excluded = [sum(1 << rival for rival in {r for node in clique for r in rivals[node]}) for clique in cliques]
    totals = [fsum(scores[node] for node in clique) for clique in cliques]  # exact, so that equal ones are equal
    kept: list[int] = []
    better: list[list[int]] = [[] for _ in scores]  # of each node, the kept cliques that hold it
    for index in sorted(range(len(cliques)), key=lambda index: -totals[index]):
        first = cliques[index][0]  # only a clique with this node or a rival of it can replace the clique
        nearby = {best for node in (first, *rivals[first]) for best in better[node]}
        if not any(masks[index] & ~(masks[best] | excluded[best]) == 0 for best in nearby):
            kept.append(index)
            for node in cliques[index]:
                better[node].append(index)
    return [list(cliques[index]) for index in sorted(kept)]


def joined(
    cliques: Sequence[Sequence[int]], triggers: Set[int], possible: Sequence[set[int]], scores: Sequence[float]
) -> list[list[int]]:
    """Return the cliques with the fragments of an event joined, sorted.

    Two cliques are fragments of one event if they have the same trigger, and every link that is missing between them is
    possible. The cliques with the highest sums of scores are joined first.

    Args:
        cliques: cliques, each a list of nodes, at most one of them a trigger.
        triggers: nodes that are triggers.
        possible: of each node, the nodes whose link to it is possible, those of its cliques among them.
        scores: of the nodes.
    """
    events: list[set[int]] = []
    by_trigger: dict[int | None, list[set[int]]] = {}
    for clique in sorted(cliques, key=lambda clique: -fsum(scores[node] for node in clique)):
        nodes = set(clique)
        trigger = next((node for node in clique if node in triggers), None)
        for event in by_trigger.get(trigger, ()):
            rest = event - nodes
            if all(rest <= possible[node] for node in nodes - event):
                event |= nodes
                break
        else:
            events.append(nodes)
            if trigger is not None:
                by_trigger.setdefault(trigger, []).append(nodes)
    return sorted(map(sorted, events))


def _components(neighbours: Sequence[set[int]]) -> Iterator[list[int]]:
    """Yield the connected components."""
    seen: set[int] = set()
    for start in range(len(neighbours)):
        if start in seen:
            continue
        component = [start]
        seen.add(start)
        for node in component:  # which grows during the iteration
            new = neighbours[node] - seen
            seen |= new
            component += sorted(new)
        yield component


def _find_cliques(component: Sequence[int], neighbours: Sequence[set[int]]) -> Iterator[list[int]]:
    from networkx import Graph, find_cliques  # rarely needed, and slow to import

    edges = ((node, neighbour) for node in component for neighbour in neighbours[node])
    cliques: Iterator[list[int]] = find_cliques(Graph(edges))
    return cliques
