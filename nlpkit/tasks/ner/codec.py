"""Conversion between entities and the spans of the pointer: `assemble` of perfect predictions inverts `encode`."""

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from nlpkit.core.spans.spans import SpanIndex, align
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import Encoding
from nlpkit.core.text.windows import Window, best_window
from nlpkit.tasks.ner.data import Entity

DictMode = Literal["join", "override"]


def encode(
    entities: Iterable[Entity], encoding: Encoding, window: Window, labels: Mapping[str, int]
) -> list[SpanIndex]:
    """Return the spans of the entities that a window contains; other entities are in the overlap with the next one."""
    return [
        SpanIndex(labels[entity.label], *window.to_positions(begin, end))
        for entity, begin, end in align(entities, encoding)
        if window.contains(begin, end)
    ]


def assemble(
    document: Document, predictions: Sequence[Sequence[SpanIndex]], labels: Sequence[str], threshold: float
) -> list[Entity]:
    """Return the entities with at least the threshold, in character offsets and text order.

    Each entity is taken from its best window; see `core.text.windows.best_window`.

    Args:
        document: the text.
        predictions: the spans predicted in each of its windows.
        labels: of the head.
        threshold: in (0, 1).
    """
    starts, ends = document.encoding.starts, document.encoding.ends
    entities = []
    for index, (window, spans) in enumerate(zip(document.windows, predictions, strict=True)):
        for span in spans:
            begin, end = window.to_tokens(span.start, span.end)
            if span.score >= threshold and best_window(document.windows, begin, end) == index:
                entities.append(Entity(starts[begin], ends[end - 1], labels[span.label], span.score))
    return sorted(entities)


def flatten(entities: Iterable[Entity]) -> list[Entity]:
    """Return entities without overlaps, in text order; preferred are a high score, then length, then a low offset."""
    return _greedy(_by_score(entities))


def combine(predicted: Sequence[Entity], listed: Sequence[Entity], mode: DictMode, nested: bool) -> list[Entity]:
    """Return the entities of a model and of a dictionary, in text order.

    Of two overlapping ones `join` keeps the longer one, and the model's of equally long ones; `override` keeps that of
    the dictionary. Nested entities may overlap: all are kept, equal ones once, and `override` drops the model's labels
    of a span that the dictionary labels.

    Args:
        predicted: entities of the model.
        listed: entities of the dictionary.
        mode: which to prefer.
        nested: whether entities may overlap.
    """
    if nested and mode == "join":
        return sorted(dict.fromkeys([*predicted, *listed]))
    if nested:
        labelled = {(entity.start, entity.end) for entity in listed}
        return sorted([*listed, *(entity for entity in predicted if (entity.start, entity.end) not in labelled)])
    if mode == "join":
        return _greedy(sorted([*flatten(predicted), *listed], key=lambda e: (e.start - e.end, bool(e.source), e)))
    return _greedy([*_by_score(listed), *_by_score(predicted)])


def _by_score(entities: Iterable[Entity]) -> list[Entity]:
    return sorted(entities, key=lambda e: (-e.score, e.start - e.end, e))


def _greedy(entities: Iterable[Entity]) -> list[Entity]:
    """Return, in text order, each entity that overlaps no kept one before it in the iteration."""
    kept: list[Entity] = []
    for entity in entities:
        index = bisect(kept, entity.start, key=lambda e: e.start)
        free_before = index == 0 or kept[index - 1].end <= entity.start
        free_after = index == len(kept) or entity.end <= kept[index].start
        if free_before and free_after:
            kept.insert(index, entity)
    return kept
