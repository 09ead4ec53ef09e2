"""Spans of characters, of tokens and of positions, and the conversions between them for all tasks that predict spans.

A pointer has logits [b, c, s, s] (label, first token, last token); position 0 of a sequence is [CLS], the last [SEP].
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.tokenizer import Encoding
from nlpkit.nn.factors import Factors

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_SPANS = 512  # spans kept of one sequence; an untrained model would predict hundreds of thousands


class Spanned(Protocol):
    """An object with a half-open span of characters."""

    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def end(self) -> int: ...  # noqa: D102


S = TypeVar("S", bound=Spanned)


class SpanIndex(NamedTuple):
    """An entry of a pointer's logits: a label, the positions start … end, both inclusive, and the probability."""

    label: int
    start: int
    end: int
    score: float = 1.0


Alternatives = tuple[SpanIndex, ...]  # spans of one label, of which at least one is gold


def align(spans: Iterable[S], encoding: Encoding) -> list[tuple[S, int, int]]:
    """Return the spans on token boundaries, each with its tokens [begin, end)."""
    begins = {start: token for token, start in enumerate(encoding.starts)}
    ends = {end: token + 1 for token, end in enumerate(encoding.ends)}
    return [(span, begins[span.start], ends[span.end]) for span in spans if span.start in begins and span.end in ends]


def collate(spans: Sequence[Sequence[SpanIndex]], num_labels: int, size: int) -> Ints:
    """Return the spans of each sequence as sparse labels [b, c, p]; see `collate_alternatives`."""
    return collate_alternatives([[(span,) for span in group] for group in spans], num_labels, size)[..., 0]


def collate_alternatives(spans: Sequence[Sequence[Alternatives]], num_labels: int, size: int) -> Ints:
    """Return the spans of each sequence as sparse labels.

    Args:
        spans: of each sequence; alternatives have one label.
        num_labels: c.
        size: s, the length of the padded sequences.

    Returns:
        [b, c, p, a] flat indices start·s + end, padded with −1; p is the maximum number of spans per label and
        sequence, a that of alternatives.
    """
    counts: Counter[tuple[int, int]] = Counter()
    entries = []
    for sequence, items in enumerate(spans):
        for alternatives in items:
            label = alternatives[0].label
            slot = counts[sequence, label]
            entries += [
                (sequence, label, slot, place, span.start * size + span.end) for place, span in enumerate(alternatives)
            ]
            counts[sequence, label] += 1
    width = max((len(alternatives) for items in spans for alternatives in items), default=1)
    result = np.full((len(spans), num_labels, max(counts.values(), default=0), width), -1, dtype=np.int64)
    if entries:
        *places, flat = np.array(entries, dtype=np.int64).T
        result[tuple(places)] = flat
    return result


def decode(
    logits: Floats | Factors[Floats], attention_mask: Bools, threshold: float, include: Bools | None = None
) -> list[list[SpanIndex]]:
    """Return the spans of each sequence with a probability above the threshold, at most the best `MAX_SPANS`.

    Args:
        logits: [b, c, s, s], or their factors.
        attention_mask: [b, s]; the first and the last token of a sequence, [CLS] and [SEP], are in no span.
        threshold: in (0, 1).
        include: [c], True for the labels to return; None returns all.
    """
    min_logit, inner = logit(threshold), _inner(attention_mask)
    if isinstance(logits, Factors):
        if include is not None:  # before the limit: excluded labels must not displace included ones
            logits = logits._replace(starts=np.where(include, logits.starts, np.float32(-np.inf)))
        sequence, start, end = np.nonzero(_bounds(logits, inner) > min_logit)
        scores = logits.at(sequence, start, end)
        pair, label = np.nonzero(scores > min_logit)
        spans, scores = np.stack([sequence[pair], label, start[pair], end[pair]], 1), scores[pair, label]
        order = np.lexsort(spans.T[::-1])
        spans, scores = spans[order], scores[order]
    else:
        allowed = inner[:, None, :, None] & inner[:, None, None, :]
        allowed = allowed if include is None else allowed & include[:, None, None]
        spans = np.argwhere((logits > min_logit) & allowed)
        scores = logits[tuple(spans.T)]
    best = top_of_each_sequence(spans[:, 0], scores, np.full(len(attention_mask), MAX_SPANS))
    return to_spans(spans[best], scores[best], len(attention_mask))


def candidates(factors: Factors[Floats], attention_mask: Bools, threshold: float) -> tuple[Ints, Floats]:
    """Return the spans that `decode` finds, from factored logits, at most `max_candidates` of each sequence.

    An upper bound of the logits of all labels of (start, end) is its pair score plus the maxima of the start and end
    scores over the labels. Only where it is above the threshold are the labels compared. For a trained model these are
    a fifth of the number of tokens. If there are more than `max_candidates`, the ones with the highest bounds are kept;
    if these have too many labels, only the best label of each.

    Args:
        factors: of the logits [b, c, s, s].
        attention_mask: [b, s]; see `decode`.
        threshold: in (0, 1).

    Returns:
        Spans [n, 4] as (sequence, label, start, end), ordered by sequence, and their logits [n].
    """
    min_logit, max_count = logit(threshold), max_candidates(attention_mask)
    bounds = _bounds(factors, _inner(attention_mask))
    pairs = np.argwhere(bounds > min_logit)
    pairs = pairs[top_of_each_sequence(pairs[:, 0], bounds[tuple(pairs.T)], max_count)]
    sequence, start, end = pairs.T
    logits = factors.at(sequence, start, end)
    above: Bools = logits > min_logit
    crowded = np.bincount(sequence, above.sum(1), len(max_count)) > max_count
    if crowded.any():
        above &= ~crowded[sequence][:, None] | (logits == logits.max(1, keepdims=True))
    pair, label = np.nonzero(above)
    return np.stack([sequence[pair], label, start[pair], end[pair]], 1), logits[pair, label]


def max_candidates(attention_mask: Bools) -> Ints:
    """Return the maximum number of candidates of each sequence [b]: half its length; published texts need 0.4."""
    result: Ints = np.maximum(attention_mask.sum(1) // 2, 8)
    return result


def to_spans(spans: Ints, logits: Floats, batch_size: int) -> list[list[SpanIndex]]:
    """Return spans [n, 4] and logits [n] as lists with probabilities, one per sequence."""
    result: list[list[SpanIndex]] = [[] for _ in range(batch_size)]
    for (sequence, label, start, end), score in zip(spans.tolist(), sigmoid(logits).tolist(), strict=True):
        result[sequence].append(SpanIndex(label, start, end, score))
    return result


def top_of_each_sequence(sequence: Ints, scores: Floats, max_count: Ints) -> Ints:
    """Return the ascending indices of the items with the best scores of each sequence; all for most trained models.

    Args:
        sequence: [n] index of the sequence of each item, ascending.
        scores: [n]; of equal ones the first is better.
        max_count: [b] maximum number of items of each sequence.
    """
    counts = np.bincount(sequence, minlength=len(max_count))
    if (counts <= max_count).all():
        return np.arange(len(sequence))
    order = np.lexsort((-scores, sequence))
    rank = np.arange(len(sequence)) - (counts.cumsum() - counts)[sequence]
    return np.sort(order[rank < max_count[sequence]])


def group_by_sequence(sequence: Ints, batch_size: int) -> Ints:
    """Return the indices of items as a table [batch_size, k] with one row per sequence, padded with −1.

    Args:
        sequence: [n] index of the sequence of each item, ascending.
        batch_size: number of sequences.
    """
    counts = np.bincount(sequence, minlength=batch_size)
    slot = np.arange(len(sequence)) - (counts.cumsum() - counts)[sequence]
    table = np.full((batch_size, int(counts.max())), -1, dtype=np.int64)
    table[sequence, slot] = np.arange(len(sequence))
    return table


def logit(probability: float) -> float:
    """Return the logit of a probability."""
    return math.log(probability / (1 - probability))


def sigmoid(logits: Floats) -> Floats:
    """Return probabilities; no number overflows."""
    result: Floats = np.exp(-np.logaddexp(np.float32(0), -logits))
    return result


def _inner(attention_mask: Bools) -> Bools:
    """Return [b, s], True at tokens other than [CLS] and [SEP]."""
    inner = attention_mask & np.roll(attention_mask, -1, axis=1)
    inner[:, 0] = inner[:, -1] = False
    return inner


def _bounds(factors: Factors[Floats], inner: Bools) -> Floats:
    """Return an upper bound [b, s, s] of the logits of all labels, −inf outside the inner tokens."""
    bounds: Floats = factors.pairs + factors.starts.max(2)[:, :, None] + factors.ends.max(2)[:, None, :]
    bounds[~(inner[:, :, None] & inner[:, None, :])] = -np.inf
    return bounds
