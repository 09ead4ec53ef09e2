"""Events to the cells of the three heads and back: `assemble(perfect findings of encode(x)) == x`.

It is so unless the links of several events of one type make a further complete subgraph, or make one of them part of
another: links know neither role nor event.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from nlpkit.core.spans.linker import Linked
from nlpkit.core.spans.spans import Cell, align, best_of_each_row, candidates, in_rows, logit
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import Encoding
from nlpkit.core.text.windows import Window, best_window, together
from nlpkit.nn.global_pointer import Factors
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, Label, in_text_order
from nlpkit.tasks.event.graph import best_readings, maximal_cliques

LINKS = 4  # links kept of a row for each of its units, where no published text needs two


class Graph(NamedTuple):
    """Spans of a row, each for one label, and the links (i, j, probability) between those of one type, i < j."""

    cells: list[Cell]
    links: list[tuple[int, int, float]]


class Node(NamedTuple):
    """A span of a document: its label, and its units [begin, end)."""

    label: int
    begin: int
    end: int


def encode(
    events: Iterable[Event], encoding: Encoding, window: Window, labels: Mapping[Label, int]
) -> Linked[list[Cell]]:
    """The cells of the arguments that lie inside a window, and their links; triggers are arguments, too."""
    cells: Linked[list[Cell]] = Linked([], [], [])
    shift = 1 - window.begin
    for event in events:
        spans = []
        for argument, begin, end in align(event.arguments, encoding):
            if window.begin <= begin and end <= window.end:
                spans.append((begin + shift, end + shift - 1))
                cells.spans.append(Cell(labels[Label(event.type, argument.role, argument.value)], *spans[-1]))
        for (h1, t1), (h2, t2) in combinations(spans, 2):
            cells.heads.append(Cell(0, min(h1, h2), max(h1, h2)))
            cells.tails.append(Cell(0, min(t1, t2), max(t1, t2)))
    return Linked(*(list(dict.fromkeys(group)) for group in (cells.spans, cells.heads, cells.tails)))


def decode(
    outputs: Linked[Factors], mask: Tensor, threshold: float, types: Tensor, wanted: Tensor | None = None
) -> list[Graph]:
    """The spans of each row, and those links between spans of one type whose head and tail are both there.

    Two triggers are never linked. A span that plays two roles is two nodes; these, too, are in one event only if the
    span is linked to itself.

    Args:
        outputs: of `EventNetwork`.
        mask: [b, s].
        threshold: in (0, 1), of all probabilities.
        types: [c], the number of each label's type; that of a trigger negative.
        wanted: [c], True for the labels to look for; None is all.
    """
    found, scores = candidates(outputs.spans, mask, threshold)
    if wanted is not None:
        kept = wanted[found[:, 1]]
        found, scores = found[kept], scores[kept]
    row, one, other = _same_type(found, types, len(mask))
    linked = torch.minimum(
        *(
            factors.at(row, torch.minimum(edge[one], edge[other]), torch.maximum(edge[one], edge[other]))[:, 0]
            for factors, edge in ((outputs.heads, found[:, 2]), (outputs.tails, found[:, 3]))
        )
    )
    kept = (linked > logit(threshold)).nonzero()[:, 0]
    kept = kept[best_of_each_row(row[kept], linked[kept], LINKS * mask.sum(1))]
    graphs = [Graph([], []) for _ in mask]
    for (index, label, first, last), score in zip(found.tolist(), scores.sigmoid().tolist(), strict=True):
        graphs[index].cells.append(Cell(label, first, last, score))
    begin = found[:, 0].bincount(minlength=len(mask)).cumsum(0) - found[:, 0].bincount(minlength=len(mask))
    ends = torch.stack([row, one - begin[row], other - begin[row]], 1)[kept]
    for (index, i, j), score in zip(ends.tolist(), linked[kept].sigmoid().tolist(), strict=True):
        graphs[index].links.append((i, j, score))
    return graphs


def _same_type(found: Tensor, types: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """(row, index, index) of all pairs of cells in a row that are of one type and not both triggers."""
    table = in_rows(found[:, 0], rows)  # [b, k]
    kind = types[found[:, 1]]
    kinds = torch.where(table >= 0, kind[table], 0)  # types count from 1
    same = (kinds.abs()[:, :, None] == kinds.abs()[:, None]) & (kinds != 0)[:, :, None]
    same &= ~((kinds < 0)[:, :, None] & (kinds < 0)[:, None])
    row, i, j = same.triu(1).nonzero(as_tuple=True)
    return row, table[row, i], table[row, j]


def assemble(
    document: Document,
    found: Sequence[Graph],
    labels: Sequence[Label],
    threshold: float,
    triggered: bool = False,
    all_cliques: bool = False,
) -> list[Event]:
    """Return events in character offsets and text order: the maximal cliques of what is above a threshold.

    Cliques that are readings of one event become one (`best_readings`): they differ by overlapping fillers of a role,
    the trigger among the roles, or by the role of a span (`_rivals`). Links know neither role nor type, so each such
    choice doubles the cliques. A span counts by how far its probability is above the threshold.

    A span is taken from the window that sees it best; a link holds if some window has it. What a long text says of an
    event in places too far apart for any window is joined (`_joined`).

    Args:
        document: the text.
        found: in each of its windows.
        labels: of the spans.
        threshold: in (0, 1).
        triggered: leave out what has no trigger.
        all_cliques: return an event for every maximal clique.
    """
    nodes = _nodes(document, found, threshold)
    number = {node: index for index, node in enumerate(nodes)}
    links: dict[tuple[int, int], float] = {}
    for window, graph in zip(document.windows, found, strict=True):
        for i, j, score in graph.links:
            ends = [number.get(_node(graph.cells[index], window)) for index in (i, j)]
            if score >= threshold and ends[0] is not None and ends[1] is not None:
                pair = min(ends[0], ends[1]), max(ends[0], ends[1])
                links[pair] = max(score, links.get(pair, 0.0))
    neighbours: list[set[int]] = [set() for _ in nodes]
    for one, other in links:
        neighbours[one].add(other)
        neighbours[other].add(one)
    places, scores = list(nodes), list(nodes.values())
    cliques = maximal_cliques(neighbours)
    if not all_cliques:
        margins = [score - threshold for score in scores]
        cliques = best_readings(cliques, _rivals(places, labels, neighbours), margins)
    groups = []
    for clique in cliques:
        weakest = min(*(scores[i] for i in clique), *(links[pair] for pair in combinations(clique, 2)), 1.0)
        arguments = [_argument(document, labels[places[i].label], places[i], scores[i]) for i in clique]
        begin, end = min(places[i].begin for i in clique), max(places[i].end for i in clique)
        groups.append(_Group(labels[places[clique[0]].label].type, arguments, weakest, begin, end))
    if len(document.windows) > 1:
        groups = _joined(groups, document)
    events = (Event(g.type, tuple(sorted(g.arguments)), g.score, g.parts) for g in groups)
    return sorted((e for e in events if e.trigger or not triggered), key=in_text_order)


def _rivals(nodes: Sequence[Node], labels: Sequence[Label], neighbours: Sequence[set[int]]) -> list[set[int]]:
    """Return, for each of the nodes, which are in text order, those that it excludes from its events.

    Two spans of one type exclude each other if they are not linked and either overlap in the same role, or are the
    same span in two roles. A trigger and an argument at the same span do not: 公司上市's 环节 stands at the trigger.
    """
    rivals: list[set[int]] = [set() for _ in nodes]
    for i, node in enumerate(nodes):
        for j in range(i + 1, len(nodes)):
            if nodes[j].begin >= node.end:
                break
            if j not in neighbours[i] and _excludes(node, nodes[j], labels):
                rivals[i].add(j)
                rivals[j].add(i)
    return rivals


def _excludes(one: Node, other: Node, labels: Sequence[Label]) -> bool:
    """Return whether two overlapping spans compete for one place in an event."""
    first, second = labels[one.label], labels[other.label]
    if first.type != second.type:
        return False
    same_span = (one.begin, one.end) == (other.begin, other.end)
    return first.role == second.role or (same_span and TRIGGER not in (first.role, second.role))


@dataclass(slots=True)
class _Group:
    """An event that others may join: its arguments, and the units [begin, end) over which it extends."""

    type: str
    arguments: list[Argument]
    score: float
    begin: int
    end: int
    parts: int = 1
    fillers: dict[str, set[str]] = field(default_factory=dict)


def _joined(groups: Sequence[_Group], document: Document) -> list[_Group]:
    """Groups of one type made one where no window could have linked them.

    Two are if they share a trigger (the very place) or an argument (role and words), and do not contradict each other:
    of each role that both fill, the one has all fillers of the other. What any window has seen together it has judged.
    A group is held against the latest one before it that shares something.
    """
    latest: dict[tuple[str, ...], _Group] = {}
    result = []
    for group in sorted(groups, key=lambda group: (group.begin, group.end)):
        for argument in group.arguments:
            group.fillers.setdefault(argument.role, set()).add(argument.says(document.text))
        shared = [_key(group, argument, document.text) for argument in group.arguments]
        earlier = next((latest[key] for key in shared if key in latest and _fit(latest[key], group, document)), None)
        if earlier is None:
            result.append(group)
        else:
            _absorb(earlier, group, document.text)
        latest |= dict.fromkeys(shared, earlier or group)
    return result


def _key(group: _Group, argument: Argument, text: str) -> tuple[str, ...]:
    place = str(argument.start) if argument.role == TRIGGER else ""
    return group.type, argument.role, argument.says(text), place


def _fit(one: _Group, other: _Group, document: Document) -> bool:
    if together(document.windows, min(one.begin, other.begin), max(one.end, other.end)):
        return False
    both = one.fillers.keys() & other.fillers.keys()
    return all(one.fillers[role] <= other.fillers[role] or other.fillers[role] <= one.fillers[role] for role in both)


def _absorb(group: _Group, other: _Group, text: str) -> None:
    """Adds to a group what another has besides."""
    new = [a for a in other.arguments if a.says(text) not in group.fillers.get(a.role, ())]
    group.arguments += new
    for argument in new:
        group.fillers.setdefault(argument.role, set()).add(argument.says(text))
    group.score = min(group.score, other.score)
    group.begin, group.end = min(group.begin, other.begin), max(group.end, other.end)
    group.parts += other.parts


def _nodes(document: Document, found: Sequence[Graph], threshold: float) -> dict[Node, float]:
    """The spans above a threshold with their scores, each from the window that sees it best; in text order."""
    nodes = {}
    for index, (window, graph) in enumerate(zip(document.windows, found, strict=True)):
        for cell in graph.cells:
            node = _node(cell, window)
            if cell.score >= threshold and best_window(document.windows, node.begin, node.end) == index:
                nodes[node] = cell.score
    return dict(sorted(nodes.items(), key=lambda item: (item[0].begin, -item[0].end, item[0].label)))


def _node(cell: Cell, window: Window) -> Node:
    return Node(cell.label, window.begin + cell.first - 1, window.begin + cell.last)


def _argument(document: Document, label: Label, node: Node, score: float) -> Argument:
    encoding = document.encoding
    return Argument(encoding.starts[node.begin], encoding.ends[node.end - 1], label.role, label.value, score)
