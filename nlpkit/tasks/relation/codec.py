"""Conversion between relations and the spans of the three heads: `assemble` of perfect predictions inverts `encode`.

There are two exceptions. Nested spans in several relations with one predicate: if 影片《甲》 and 甲 each have a date,
9月 and 今年9月, their heads and tails may also form relations of the longer with the shorter spans. And relations with
the same strings are returned once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nlpkit.core.spans.linked import Linked
from nlpkit.core.spans.spans import (
    Alternatives,
    Bools,
    Floats,
    Ints,
    SpanIndex,
    align,
    candidates,
    group_by_sequence,
    logit,
    max_candidates,
    sigmoid,
    top_of_each_sequence,
)
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import Encoding
from nlpkit.core.text.windows import Window, best_window
from nlpkit.nn.factors import Factors
from nlpkit.tasks.relation.data import Relation, Span
from nlpkit.tasks.relation.exclusion import Shares, exclude

SUBJECT, OBJECT = 0, 1  # labels of the spans


class Pair(NamedTuple):
    """A relation in a sequence: predicate, positions (first, last) of subject and object, and probability."""

    predicate: int
    subject: tuple[int, int]
    object: tuple[int, int]
    score: float = 1.0


def encode(
    relations: Iterable[Relation], encoding: Encoding, window: Window, predicates: Mapping[str, int]
) -> Linked[list[Alternatives]]:
    """Return the spans and links of the relations that a window contains, with the alternatives of guessed offsets."""
    targets: Linked[list[Alternatives]] = Linked([], [], [])
    for relation, pairs in aligned(relations, encoding):
        inside = [(subject, other) for subject, other in pairs if window.contains(*subject) and window.contains(*other)]
        if inside:
            predicate = predicates[relation.predicate]
            subjects, objects = ([window.to_positions(*pair[end]) for pair in inside] for end in (0, 1))
            links = list(zip(subjects, objects, strict=True))
            targets.spans.append(_distinct(SpanIndex(SUBJECT, *subject) for subject in subjects))
            targets.spans.append(_distinct(SpanIndex(OBJECT, *other) for other in objects))
            targets.heads.append(_distinct(SpanIndex(predicate, sh, oh) for (sh, _), (oh, _) in links))
            targets.tails.append(_distinct(SpanIndex(predicate, st, ot) for (_, st), (_, ot) in links))
    return Linked(*(list(dict.fromkeys(group)) for group in (targets.spans, targets.heads, targets.tails)))


def aligned(
    relations: Iterable[Relation], encoding: Encoding
) -> list[tuple[Relation, list[tuple[tuple[int, int], tuple[int, int]]]]]:
    """Return the relations on token boundaries, each with its pairs of subject and object as tokens [begin, end)."""
    relations = list(relations)
    spans = (span for relation in relations for pair in relation.pairs for span in pair)
    tokens = {span: (begin, end) for span, begin, end in align(spans, encoding)}
    found = [
        (relation, [(tokens[one], tokens[other]) for one, other in relation.pairs if one in tokens and other in tokens])
        for relation in relations
    ]
    return [(relation, pairs) for relation, pairs in found if pairs]


def decode(outputs: Linked[Factors[Floats]], attention_mask: Bools, threshold: float) -> list[list[Pair]]:
    """Return the relations of each sequence whose spans and links all have a probability above the threshold.

    A relation's probability is the lowest of those of its two spans and two links. Each step keeps at most
    `core.spans.spans.max_candidates`: of subjects and objects, of pairs of them, and of pairs with a predicate.

    Args:
        outputs: of `RelationNetwork`.
        attention_mask: [b, s].
        threshold: in (0, 1).
    """
    min_logit, max_count = logit(threshold), max_candidates(attention_mask)
    spans, scores = candidates(outputs.spans, attention_mask, threshold)
    sequence, subject, other = _pairs(spans, len(attention_mask))
    ends = (spans[subject, 2], spans[other, 2]), (spans[subject, 3], spans[other, 3])
    bound = np.minimum(scores[subject], scores[other])
    for factors, (i, j) in zip((outputs.heads, outputs.tails), ends, strict=True):
        best_link = (
            factors.pairs[sequence, i, j] + factors.starts.max(2)[sequence, i] + factors.ends.max(2)[sequence, j]
        )
        bound = np.minimum(bound, best_link)
    kept = np.flatnonzero(bound > min_logit)
    kept = kept[top_of_each_sequence(sequence[kept], bound[kept], max_count)]
    sequence, subject, other = sequence[kept], subject[kept], other[kept]
    links = np.minimum(
        outputs.heads.at(sequence, spans[subject, 2], spans[other, 2]),
        outputs.tails.at(sequence, spans[subject, 3], spans[other, 3]),
    )
    pair, predicate = np.nonzero(links > min_logit)
    lowest = np.minimum(links[pair, predicate], np.minimum(scores[subject], scores[other])[pair])
    best = top_of_each_sequence(sequence[pair], lowest, max_count)
    pair, predicate, lowest = pair[best], predicate[best], lowest[best]
    columns = np.hstack([sequence[pair, None], predicate[:, None], spans[subject[pair], 2:], spans[other[pair], 2:]])
    result: list[list[Pair]] = [[] for _ in attention_mask]
    for (index, kind, sh, st, oh, ot), score in zip(columns.tolist(), sigmoid(lowest).tolist(), strict=True):
        result[index].append(Pair(kind, (sh, st), (oh, ot), score))
    return result


def _pairs(spans: Ints, batch_size: int) -> tuple[Ints, Ints, Ints]:
    """Return (sequence, subject, object) of all pairs of spans, by sequence; the last two are indices of spans."""
    subjects, objects = (np.flatnonzero(spans[:, 1] == label) for label in (SUBJECT, OBJECT))
    left, right = group_by_sequence(spans[subjects, 0], batch_size), group_by_sequence(spans[objects, 0], batch_size)
    sequence, i, j = np.nonzero((left >= 0)[:, :, None] & (right >= 0)[:, None, :])
    return sequence, subjects[left[sequence, i]], objects[right[sequence, j]]


def assemble(
    document: Document,
    predictions: Sequence[Sequence[Pair]],
    predicates: Sequence[str],
    threshold: float,
    include: Collection[str] | None = None,
    shares: Shares | None = None,
) -> list[Relation]:
    """Return the relations with at least the threshold, in character offsets and text order.

    Each relation is taken from its best window; see `core.text.windows.best_window`. Then the scores of those that
    exclude each other are lowered; see `tasks.relation.exclusion`. Of relations with the same strings, which differ
    only in the occurrences of these, the most probable one is returned.

    Args:
        document: the text.
        predictions: the relations predicted in each of its windows.
        predicates: of the heads.
        threshold: in (0, 1).
        include: the predicates to return; None returns all.
        shares: of the predicates; None keeps all scores.
    """
    starts, ends = document.encoding.starts, document.encoding.ends
    relations = []
    for index, (window, pairs) in enumerate(zip(document.windows, predictions, strict=True)):
        for pair in pairs:
            predicate = predicates[pair.predicate]
            if pair.score < threshold or (include is not None and predicate not in include):
                continue
            tokens = window.to_tokens(*pair.subject), window.to_tokens(*pair.object)
            begin, end = min(begin for begin, _ in tokens), max(end for _, end in tokens)
            if best_window(document.windows, begin, end) == index:
                subject, other = (Span(starts[begin], ends[end - 1]) for begin, end in tokens)
                relations.append(Relation(subject, predicate, other, pair.score))
    relations = exclude(document.text, relations, shares or {})
    return sorted(_distinct_triples(document.text, [one for one in relations if one.score >= threshold]))


def _distinct_triples(text: str, relations: Iterable[Relation]) -> Iterable[Relation]:
    """Return the most probable relation of each triple of strings; of equally probable ones, the first in the text."""
    best: dict[tuple[str, str, str], Relation] = {}
    for relation in sorted(relations):
        triple = relation.triple(text)
        if triple not in best or relation.score > best[triple].score:
            best[triple] = relation
    return best.values()


def _distinct(spans: Iterable[SpanIndex]) -> Alternatives:
    return tuple(dict.fromkeys(spans))
