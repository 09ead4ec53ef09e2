"""Entities to the pointer's cells and back: `decode(perfect logits of encode(x)) == x`."""

import math
from bisect import bisect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nlpkit.core.task import Document
from nlpkit.core.tokenizer import Encoding
from nlpkit.core.windows import Window, best_window
from nlpkit.tasks.ner.data import Entity

MAX_SPANS = 512  # of one row: an untrained model would otherwise find hundreds of thousands


class Span(NamedTuple):
    """A span of row positions first … last (both included), as the pointer's cell has them."""

    label: int
    first: int
    last: int
    score: float = 1.0


def align(entities: Iterable[Entity], encoding: Encoding) -> list[tuple[Entity, int, int]]:
    """The entities that fall on unit boundaries, each with its units [begin, end)."""
    begins = {start: unit for unit, start in enumerate(encoding.starts)}
    ends = {end: unit + 1 for unit, end in enumerate(encoding.ends)}
    return [(e, begins[e.start], ends[e.end]) for e in entities if e.start in begins and e.end in ends]


def encode(entities: Iterable[Entity], encoding: Encoding, window: Window, labels: dict[str, int]) -> list[Span]:
    """The cells of the entities that lie wholly inside a window; others lie in a neighbour's overlap."""
    return [
        Span(labels[entity.label], begin - window.begin + 1, end - window.begin)
        for entity, begin, end in align(entities, encoding)
        if window.begin <= begin and end <= window.end
    ]


def collate(targets: Sequence[Sequence[Span]], num_labels: int, size: int) -> Tensor:
    """Flat cells first·s + last as [b, c, p], padded with −1; p is the most that one label of one row has."""
    cells: list[list[list[int]]] = [[[] for _ in range(num_labels)] for _ in targets]
    for row, spans in zip(cells, targets, strict=True):
        for span in spans:
            row[span.label].append(span.first * size + span.last)
    width = max((len(label) for row in cells for label in row), default=0)
    return torch.tensor([[label + [-1] * (width - len(label)) for label in row] for row in cells], dtype=torch.long)


def decode(logits: Tensor, mask: Tensor, threshold: float) -> list[list[Span]]:
    """All spans with a probability above the threshold, nested ones too; one `nonzero` over the batch.

    Args:
        logits: [b, c, s, s].
        mask: [b, s]; the first and the last unit of a row, [CLS] and [SEP], are not part of any span.
        threshold: probability in (0, 1).
    """
    rows: list[list[Span]] = [[] for _ in range(len(logits))]
    found = (logits > math.log(threshold / (1 - threshold))).nonzero()
    row, _, first, last = found.unbind(1)
    found = found[(first > 0) & (last < (mask.sum(1) - 1)[row])]
    scores = logits[tuple(found.unbind(1))].float().sigmoid()
    found, scores = _best_of_each_row(found, scores)
    for (index, label, begin, end), score in zip(found.tolist(), scores.tolist(), strict=True):
        rows[index].append(Span(label, begin, end, score))
    return rows


def _best_of_each_row(found: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Cells [n, 4] and scores [n], at most the `MAX_SPANS` best of a row; only untrained models have more."""
    counts = found[:, 0].bincount()
    if not len(counts) or counts.max() <= MAX_SPANS:
        return found, scores
    order = scores.argsort(descending=True, stable=True)
    order = order[found[order, 0].argsort(stable=True)]  # by row, and by score inside it
    rank = torch.arange(len(order), device=found.device) - (counts.cumsum(0) - counts)[found[order, 0]]
    order = order[rank < MAX_SPANS].sort().values
    return found[order], scores[order]


def assemble(document: Document, found: Sequence[Sequence[Span]], labels: Sequence[str]) -> list[Entity]:
    """Entities in character offsets, in text order; each span is taken from the window that sees it best."""
    starts, ends = document.encoding.starts, document.encoding.ends
    entities = []
    for index, (window, spans) in enumerate(zip(document.windows, found, strict=True)):
        for span in spans:
            begin, end = window.begin + span.first - 1, window.begin + span.last
            if best_window(document.windows, begin, end) == index:
                entities.append(Entity(starts[begin], ends[end - 1], labels[span.label], span.score))
    return sorted(entities)


def flatten(entities: Iterable[Entity]) -> list[Entity]:
    """Entities without overlaps: the best score first, then the longer, then the earlier one."""
    kept: list[Entity] = []  # in text order
    for entity in sorted(entities, key=lambda e: (-e.score, e.start - e.end, e)):
        place = bisect(kept, entity.start, key=lambda e: e.start)
        free_before = place == 0 or kept[place - 1].end <= entity.start
        free_after = place == len(kept) or entity.end <= kept[place].start
        if free_before and free_after:
            kept.insert(place, entity)
    return kept
