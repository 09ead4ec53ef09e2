"""Conversion between events and the spans and links of the heads: `assemble` of perfect predictions inverts `encode`.

The exception are several events of one type whose links form a further complete subgraph, or make one event a subset of
another: links have neither role nor event.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import numpy as np

from nlpkit.core.spans.linked import Linked
from nlpkit.core.spans.spans import (
    Bools,
    Floats,
    Ints,
    SpanIndex,
    align,
    candidates,
    group_by_sequence,
    logit,
    sigmoid,
    top_of_each_sequence,
)
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import Encoding
from nlpkit.core.text.windows import Window, best_window, in_one_window
from nlpkit.nn.factors import Factors
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, Label, in_text_order
from nlpkit.tasks.event.graph import best_readings, joined, maximal_cliques

LIKELY_LINK = 0.2  # minimum probability of a link; at the threshold of spans, arguments lose their trigger
POSSIBLE_LINK = 0.05  # minimum probability of a link between parts of an event that share its trigger
LINKS_PER_TOKEN = 4  # maximum number of links kept of a sequence; no text of the published datasets needs two


class EventGraph(NamedTuple):
    """Spans of a sequence, each for one label, and the links (i, j, probability) between those of one type, i < j."""

    spans: list[SpanIndex]
    links: list[tuple[int, int, float]]


class Node(NamedTuple):
    """A span of a document: its label, and its tokens [begin, end)."""

    label: int
    begin: int
    end: int


def encode(
    events: Iterable[Event], encoding: Encoding, window: Window, labels: Mapping[Label, int]
) -> Linked[list[SpanIndex]]:
    """Return the spans of the arguments that a window contains, and their links; triggers are arguments, too."""
    targets: Linked[list[SpanIndex]] = Linked([], [], [])
    for event in events:
        positions = []
        for argument, begin, end in align(event.arguments, encoding):
            if window.contains(begin, end):
                positions.append(window.to_positions(begin, end))
                targets.spans.append(
                    SpanIndex(labels[Label(event.type, argument.role, argument.value)], *positions[-1])
                )
        for (h1, t1), (h2, t2) in combinations(positions, 2):
            targets.heads.append(SpanIndex(0, min(h1, h2), max(h1, h2)))
            targets.tails.append(SpanIndex(0, min(t1, t2), max(t1, t2)))
    return Linked(*(list(dict.fromkeys(group)) for group in (targets.spans, targets.heads, targets.tails)))


def decode(
    outputs: Linked[Factors[Floats]],
    attention_mask: Bools,
    threshold: float,
    types: Ints,
    include: Bools | None = None,
) -> list[EventGraph]:
    """Return the spans of each sequence, and the links between spans of one type that both heads think possible.

    Two triggers are never linked. A span in two roles is two nodes, which are in one event only if the span is linked
    to itself.

    Args:
        outputs: of `EventNetwork`.
        attention_mask: [b, s].
        threshold: in (0, 1), of the spans; links are returned from `POSSIBLE_LINK` on.
        types: [c] index of each label's type, from 1; negative for triggers.
        include: [c], True for the labels to return; None returns all.
    """
    batch_size = len(attention_mask)
    spans, scores = candidates(outputs.spans, attention_mask, threshold)
    if include is not None:
        kept = include[spans[:, 1]]
        spans, scores = spans[kept], scores[kept]
    sequence, one, other = _same_type(spans, types, batch_size)
    links = np.minimum(
        *(
            factors.at(sequence, np.minimum(edge[one], edge[other]), np.maximum(edge[one], edge[other]))[:, 0]
            for factors, edge in ((outputs.heads, spans[:, 2]), (outputs.tails, spans[:, 3]))
        )
    )
    likely = np.flatnonzero(links > logit(min(threshold, POSSIBLE_LINK)))
    likely = likely[top_of_each_sequence(sequence[likely], links[likely], LINKS_PER_TOKEN * attention_mask.sum(1))]
    graphs = [EventGraph([], []) for _ in attention_mask]
    for (index, label, first, last), score in zip(spans.tolist(), sigmoid(scores).tolist(), strict=True):
        graphs[index].spans.append(SpanIndex(label, first, last, score))
    counts = np.bincount(spans[:, 0], minlength=batch_size)
    offset = (counts.cumsum(0) - counts)[sequence]
    ends = np.stack([sequence, one - offset, other - offset], 1)[likely]
    for (index, i, j), score in zip(ends.tolist(), sigmoid(links[likely]).tolist(), strict=True):
        graphs[index].links.append((i, j, score))
    return graphs


def _same_type(spans: Ints, types: Ints, batch_size: int) -> tuple[Ints, Ints, Ints]:
    """Return (sequence, index, index) of all pairs of spans of one type in a sequence that are not both triggers."""
    table = group_by_sequence(spans[:, 0], batch_size)  # [b, k]
    kind = types[spans[:, 1]]
    kinds = np.where(table >= 0, kind[table], 0) if table.size else table
    same = (np.abs(kinds)[:, :, None] == np.abs(kinds)[:, None]) & (kinds != 0)[:, :, None]
    same &= ~((kinds < 0)[:, :, None] & (kinds < 0)[:, None])
    sequence, i, j = np.nonzero(np.triu(same, 1))
    return sequence, table[sequence, i], table[sequence, j]


def assemble(
    document: Document,
    graphs: Sequence[EventGraph],
    labels: Sequence[Label],
    threshold: float,
    triggered: bool = False,
    all_cliques: bool = False,
) -> list[Event]:
    """Return events in character offsets and text order: the maximal cliques of spans and likely links.

    Cliques that are alternative readings of one event are reduced to the best one (`best_readings`). Readings differ
    in overlapping fillers of a role, triggers included, or in the role of a span (`_rivals`). As links have neither
    role nor type, each such alternative doubles the number of cliques. The score of a span in this comparison is its
    probability above the threshold. Then cliques that share a trigger are joined, unless a link between them is surely
    missing: its probability is below `POSSIBLE_LINK`.

    A span is taken from its best window; a link is kept if any window has it. In long texts, parts of an event that are
    too far apart for any window are merged (`_merged`).

    Args:
        document: the text.
        graphs: the event graph of each of its windows.
        labels: of the spans.
        threshold: in (0, 1), of the spans; that of links is `LIKELY_LINK`, or this one if it is lower.
        triggered: whether to omit events without a trigger.
        all_cliques: whether to return an event for every maximal clique.
    """
    nodes = _nodes(document, graphs, threshold)
    node_index = {node: index for index, node in enumerate(nodes)}
    links: dict[tuple[int, int], float] = {}
    for window, graph in zip(document.windows, graphs, strict=True):
        for i, j, score in graph.links:
            ends = [node_index.get(_node(graph.spans[index], window)) for index in (i, j)]
            if score >= min(threshold, POSSIBLE_LINK) and ends[0] is not None and ends[1] is not None:
                pair = min(ends[0], ends[1]), max(ends[0], ends[1])
                links[pair] = max(score, links.get(pair, 0.0))
    possible = _neighbours(links, len(nodes))
    likely = (pair for pair, score in links.items() if score >= min(threshold, LIKELY_LINK))
    neighbours = _neighbours(likely, len(nodes))
    spans, scores = list(nodes), list(nodes.values())
    cliques = maximal_cliques(neighbours)
    if not all_cliques:
        margins = [round(score - threshold, 4) for score in scores]  # equal in a repeated text, but for the last digits
        cliques = best_readings(cliques, _rivals(spans, labels, neighbours), margins)
        triggers = {index for index, span in enumerate(spans) if labels[span.label].role == TRIGGER}
        cliques = joined(cliques, triggers, possible, margins)
    groups = []
    for clique in cliques:
        score = min(*(scores[i] for i in clique), *(links[pair] for pair in combinations(clique, 2)), 1.0)
        arguments = [_argument(document, labels[spans[i].label], spans[i], scores[i]) for i in clique]
        begin, end = min(spans[i].begin for i in clique), max(spans[i].end for i in clique)
        groups.append(_Group(labels[spans[clique[0]].label].type, arguments, score, begin, end))
    if len(document.windows) > 1:
        groups = _merged(groups, document)
    events = (Event(g.type, tuple(sorted(g.arguments)), g.score, g.parts) for g in groups)
    return sorted((e for e in events if e.trigger or not triggered), key=in_text_order)


def _neighbours(links: Iterable[tuple[int, int]], count: int) -> list[set[int]]:
    """Return the neighbours of each of the nodes."""
    neighbours: list[set[int]] = [set() for _ in range(count)]
    for one, other in links:
        neighbours[one].add(other)
        neighbours[other].add(one)
    return neighbours


def _rivals(nodes: Sequence[Node], labels: Sequence[Label], neighbours: Sequence[set[int]]) -> list[set[int]]:
    """Return, for each of the nodes, which are in text order, the nodes that it excludes from its events.

    Two spans of one type exclude each other if they are not linked and either overlap in the same role, or are the
    same span in two roles. A trigger and an argument with the same span do not: the 环节 of 公司上市 has the trigger's.
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
    """Return whether two overlapping spans are alternatives in an event."""
    first, second = labels[one.label], labels[other.label]
    if first.type != second.type:
        return False
    same_span = (one.begin, one.end) == (other.begin, other.end)
    return first.role == second.role or (same_span and TRIGGER not in (first.role, second.role))


@dataclass(slots=True)
class _Group:
    """An event to which others may be merged: its arguments, and its extent as tokens [begin, end)."""

    type: str
    arguments: list[Argument]
    score: float
    begin: int
    end: int
    parts: int = 1
    fillers: dict[str, set[str]] = field(default_factory=dict)


def _merged(groups: Sequence[_Group], document: Document) -> list[_Group]:
    """Return the groups with those merged that belong to one event and that no window could have linked.

    Two groups of one type are merged if they share a trigger (of the same span) or an argument (role and string), do
    not contradict each other (for each role that both have, one has all fillers of the other), and are not together in
    any window, which would have linked them. A group is compared with the latest one before it that shares something.
    """
    latest: dict[tuple[str, ...], _Group] = {}
    result = []
    for group in sorted(groups, key=lambda group: (group.begin, group.end)):
        for argument in group.arguments:
            group.fillers.setdefault(argument.role, set()).add(argument.filler(document.text))
        shared = [_key(group, argument, document.text) for argument in group.arguments]
        earlier = next(
            (latest[key] for key in shared if key in latest and _compatible(latest[key], group, document)), None
        )
        if earlier is None:
            result.append(group)
        else:
            _merge(earlier, group, document.text)
        latest |= dict.fromkeys(shared, earlier or group)
    return result


def _key(group: _Group, argument: Argument, text: str) -> tuple[str, ...]:
    offset = str(argument.start) if argument.role == TRIGGER else ""
    return group.type, argument.role, argument.filler(text), offset


def _compatible(one: _Group, other: _Group, document: Document) -> bool:
    if in_one_window(document.windows, min(one.begin, other.begin), max(one.end, other.end)):
        return False
    both = one.fillers.keys() & other.fillers.keys()
    return all(one.fillers[role] <= other.fillers[role] or other.fillers[role] <= one.fillers[role] for role in both)


def _merge(group: _Group, other: _Group, text: str) -> None:
    """Add the arguments of another group to a group."""
    new = [a for a in other.arguments if a.filler(text) not in group.fillers.get(a.role, ())]
    group.arguments += new
    for argument in new:
        group.fillers.setdefault(argument.role, set()).add(argument.filler(text))
    group.score = min(group.score, other.score)
    group.begin, group.end = min(group.begin, other.begin), max(group.end, other.end)
    group.parts += other.parts


def _nodes(document: Document, graphs: Sequence[EventGraph], threshold: float) -> dict[Node, float]:
    """Return the spans with at least the threshold and their scores, each from its best window, in text order."""
    nodes = {}
    for index, (window, graph) in enumerate(zip(document.windows, graphs, strict=True)):
        for span in graph.spans:
            node = _node(span, window)
            if span.score >= threshold and best_window(document.windows, node.begin, node.end) == index:
                nodes[node] = span.score
    return dict(sorted(nodes.items(), key=lambda item: (item[0].begin, -item[0].end, item[0].label)))


def _node(span: SpanIndex, window: Window) -> Node:
    return Node(span.label, *window.to_tokens(span.start, span.end))


def _argument(document: Document, label: Label, node: Node, score: float) -> Argument:
    encoding = document.encoding
    return Argument(encoding.starts[node.begin], encoding.ends[node.end - 1], label.role, label.value, score)
