"""Entities to the pointer's cells and back: `assemble(perfect findings of encode(x)) == x`."""

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from nlpkit.core.spans.spans import Cell, align
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import Encoding
from nlpkit.core.text.windows import Window, best_window
from nlpkit.tasks.ner.data import Entity

DictMode = Literal["join", "override"]


def encode(entities: Iterable[Entity], encoding: Encoding, window: Window, labels: Mapping[str, int]) -> list[Cell]:
    """The cells of the entities that lie wholly inside a window; others lie in a neighbour's overlap."""
    return [
        Cell(labels[entity.label], begin - window.begin + 1, end - window.begin)
        for entity, begin, end in align(entities, encoding)
        if window.begin <= begin and end <= window.end
    ]


def assemble(
    document: Document, found: Sequence[Sequence[Cell]], labels: Sequence[str], threshold: float
) -> list[Entity]:
    """Entities above a threshold, in character offsets and text order, each from the window that sees it best."""
    starts, ends = document.encoding.starts, document.encoding.ends
    entities = []
    for index, (window, cells) in enumerate(zip(document.windows, found, strict=True)):
        for cell in cells:
            begin, end = window.begin + cell.first - 1, window.begin + cell.last
            if cell.score >= threshold and best_window(document.windows, begin, end) == index:
                entities.append(Entity(starts[begin], ends[end - 1], labels[cell.label], cell.score))
    return sorted(entities)


def flatten(entities: Iterable[Entity]) -> list[Entity]:
    """Return entities without overlaps, in text order: the best score first, then the longer, then the earlier one."""
    return _first_come(_by_score(entities))


def combine(found: Sequence[Entity], names: Sequence[Entity], mode: DictMode, nested: bool) -> list[Entity]:
    """Return the entities of a model and those of a dictionary, in text order.

    Of two that overlap, `join` keeps the longer one, and the model's of equally long ones; `override` keeps that of the
    dictionary. Nested entities may overlap: all stay, but equal ones only once, and `override` drops the model's labels
    of a span that the dictionary labels.
    """
    if nested and mode == "join":
        return sorted(dict.fromkeys([*found, *names]))
    if nested:
        labelled = {(name.start, name.end) for name in names}
        return sorted([*names, *(entity for entity in found if (entity.start, entity.end) not in labelled)])
    if mode == "join":
        return _first_come(sorted([*flatten(found), *names], key=lambda e: (e.start - e.end, bool(e.source), e)))
    return _first_come([*_by_score(names), *_by_score(found)])


def _by_score(entities: Iterable[Entity]) -> list[Entity]:
    return sorted(entities, key=lambda e: (-e.score, e.start - e.end, e))


def _first_come(entities: Iterable[Entity]) -> list[Entity]:
    """Return, in text order, each entity that overlaps none before it."""
    kept: list[Entity] = []
    for entity in entities:
        place = bisect(kept, entity.start, key=lambda e: e.start)
        free_before = place == 0 or kept[place - 1].end <= entity.start
        free_after = place == len(kept) or entity.end <= kept[place].start
        if free_before and free_after:
            kept.insert(place, entity)
    return kept
