"""Relations to the cells of the three heads and back: `assemble(perfect findings of encode(x)) == x`.

It is so unless nested spans of several relations with one predicate cross: where 影片《甲》 and 甲 each have a date,
9月 and 今年9月, the heads and tails of these may make relations of the wider with the narrower, too.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nlpkit.core.spans.linker import Linked
from nlpkit.core.spans.spans import Cell, align, best_of_each_row, candidates, in_rows, logit, room
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import Encoding
from nlpkit.core.text.windows import Window, best_window
from nlpkit.nn.global_pointer import Factors
from nlpkit.tasks.relation.data import Relation, Span
from nlpkit.tasks.relation.model import OBJECT, SUBJECT


class Pair(NamedTuple):
    """A relation in a row: its predicate, the positions first … last of subject and object, and its probability."""

    predicate: int
    subject: tuple[int, int]
    object: tuple[int, int]
    score: float = 1.0


def encode(
    relations: Iterable[Relation], encoding: Encoding, window: Window, predicates: Mapping[str, int]
) -> Linked[list[Cell]]:
    """The cells of the relations that lie wholly inside a window."""
    cells: Linked[list[Cell]] = Linked([], [], [])
    for relation, subject, other in aligned(relations, encoding):
        if window.begin <= min(subject[0], other[0]) and max(subject[1], other[1]) <= window.end:
            predicate, shift = predicates[relation.predicate], 1 - window.begin
            (sh, st), (oh, ot) = ((begin + shift, end + shift - 1) for begin, end in (subject, other))
            cells.spans.extend((Cell(SUBJECT, sh, st), Cell(OBJECT, oh, ot)))
            cells.heads.append(Cell(predicate, sh, oh))
            cells.tails.append(Cell(predicate, st, ot))
    return Linked(*(list(dict.fromkeys(group)) for group in (cells.spans, cells.heads, cells.tails)))


def aligned(
    relations: Iterable[Relation], encoding: Encoding
) -> list[tuple[Relation, tuple[int, int], tuple[int, int]]]:
    """The relations that fall on unit boundaries, each with the units [begin, end) of its subject and object."""
    relations = list(relations)
    units = {span: (begin, end) for span, begin, end in align((s for r in relations for s in _spans(r)), encoding)}
    return [(r, units[r.subject], units[r.object]) for r in relations if r.subject in units and r.object in units]


def decode(outputs: Linked[Factors], mask: Tensor, threshold: float) -> list[list[Pair]]:
    """The relations of each row whose four parts all have a probability above the threshold.

    A relation's probability is that of its weakest part. The candidates are no more than `core.spans.room`: subjects
    and objects together, then pairs of them, then pairs with a predicate.

    Args:
        outputs: of `RelationNetwork`.
        mask: [b, s].
        threshold: in (0, 1).
    """
    limit, most = logit(threshold), room(mask)
    found, scores = candidates(outputs.spans, mask, threshold)
    row, subject, other = _pairs(found, len(mask))
    here = (found[subject, 2], found[other, 2]), (found[subject, 3], found[other, 3])
    bound = torch.minimum(scores[subject], scores[other])
    for factors, (i, j) in zip((outputs.heads, outputs.tails), here, strict=True):
        greatest = factors.pairs[row, i, j] + factors.starts.amax(2)[row, i] + factors.ends.amax(2)[row, j]
        bound = torch.minimum(bound, greatest)
    kept = (bound > limit).nonzero()[:, 0]
    kept = kept[best_of_each_row(row[kept], bound[kept], most)]
    row, subject, other = row[kept], subject[kept], other[kept]
    linked = torch.minimum(
        outputs.heads.at(row, found[subject, 2], found[other, 2]),
        outputs.tails.at(row, found[subject, 3], found[other, 3]),
    )
    pair, predicate = (linked > limit).nonzero(as_tuple=True)
    weakest = torch.minimum(linked[pair, predicate], torch.minimum(scores[subject], scores[other])[pair])
    best = best_of_each_row(row[pair], weakest, most)
    pair, predicate, weakest = pair[best], predicate[best], weakest[best]
    columns = torch.cat([row[pair, None], predicate[:, None], found[subject[pair], 2:], found[other[pair], 2:]], 1)
    result: list[list[Pair]] = [[] for _ in mask]
    for (index, kind, sh, st, oh, ot), score in zip(columns.tolist(), weakest.sigmoid().tolist(), strict=True):
        result[index].append(Pair(kind, (sh, st), (oh, ot), score))
    return result


def _pairs(found: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """(row, subject, object) of all pairs in a row, ordered by row; subjects and objects are indices into `found`."""
    subjects, objects = ((found[:, 1] == label).nonzero()[:, 0] for label in (SUBJECT, OBJECT))
    left, right = in_rows(found[subjects, 0], rows), in_rows(found[objects, 0], rows)
    row, i, j = ((left >= 0)[:, :, None] & (right >= 0)[:, None, :]).nonzero(as_tuple=True)
    return row, subjects[left[row, i]], objects[right[row, j]]


def assemble(
    document: Document,
    found: Sequence[Sequence[Pair]],
    predicates: Sequence[str],
    threshold: float,
    wanted: Collection[str] | None = None,
) -> list[Relation]:
    """Relations above a threshold, in character offsets and text order, each from the window that sees it best.

    Args:
        document: the text.
        found: in each of its windows.
        predicates: of the heads.
        threshold: in (0, 1).
        wanted: the predicates to give; None is all.
    """
    starts, ends = document.encoding.starts, document.encoding.ends
    relations = []
    for index, (window, pairs) in enumerate(zip(document.windows, found, strict=True)):
        shift = window.begin - 1
        for pair in pairs:
            predicate = predicates[pair.predicate]
            if pair.score < threshold or (wanted is not None and predicate not in wanted):
                continue
            first, last = min(pair.subject[0], pair.object[0]), max(pair.subject[1], pair.object[1])
            if best_window(document.windows, first + shift, last + shift + 1) == index:
                subject, other = (Span(starts[i + shift], ends[j + shift]) for i, j in (pair.subject, pair.object))
                relations.append(Relation(subject, predicate, other, pair.score))
    return sorted(relations)


def _spans(relation: Relation) -> tuple[Span, Span]:
    return relation.subject, relation.object
