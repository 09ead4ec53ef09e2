"""Spans of characters, of tokens and of positions, and the conversions between them for all tasks that predict spans.

A pointer has logits [b, c, s, s] (label, first token, last token); position 0 of a sequence is [CLS], the last [SEP].
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from nlpkit.core.text.tokenizer import Encoding
from nlpkit.nn.global_pointer import Factors

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


def align(spans: Iterable[S], encoding: Encoding) -> list[tuple[S, int, int]]:
    """Return the spans on token boundaries, each with its tokens [begin, end)."""
    begins = {start: token for token, start in enumerate(encoding.starts)}
    ends = {end: token + 1 for token, end in enumerate(encoding.ends)}
    return [(span, begins[span.start], ends[span.end]) for span in spans if span.start in begins and span.end in ends]


def collate(spans: Sequence[Sequence[SpanIndex]], num_labels: int, size: int) -> Tensor:
    """Return the spans of each sequence as sparse labels.

    Args:
        spans: of each sequence.
        num_labels: c.
        size: s, the length of the padded sequences.

    Returns:
        [b, c, p] flat indices start·s + end, padded with −1; p is the maximum number of spans per label and sequence.
    """
    counts: Counter[tuple[int, int]] = Counter()
    entries = []
    for sequence, items in enumerate(spans):
        for span in items:
            entries.append((sequence, span.label, counts[sequence, span.label], span.start * size + span.end))
            counts[sequence, span.label] += 1
    result = torch.full((len(spans), num_labels, max(counts.values(), default=0)), -1)
    if entries:
        index, label, slot, flat = torch.tensor(entries).unbind(1)
        result[index, label, slot] = flat
    return result


def decode(
    logits: Tensor, attention_mask: Tensor, threshold: float, include: Tensor | None = None
) -> list[list[SpanIndex]]:
    """Return the spans of each sequence with a probability above the threshold, at most the best `MAX_SPANS`.

    Args:
        logits: [b, c, s, s].
        attention_mask: [b, s]; the first and the last token of a sequence, [CLS] and [SEP], are in no span.
        threshold: in (0, 1).
        include: [c], True for the labels to return; None returns all.
    """
    spans = (logits > logit(threshold)).nonzero()
    if include is not None:  # before the limit: excluded labels must not displace included ones
        spans = spans[include[spans[:, 1]]]
    sequence, _, start, end = spans.unbind(1)
    lengths = attention_mask.sum(1)
    sep = (lengths - 1)[sequence]
    spans = spans[(start > 0) & (start < sep) & (end > 0) & (end < sep)]
    scores = logits[tuple(spans.unbind(1))].float()
    best = top_of_each_sequence(spans[:, 0], scores, torch.full_like(lengths, MAX_SPANS))
    return to_spans(spans[best], scores[best], len(logits))


def candidates(factors: Factors, attention_mask: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
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
    inner = attention_mask & attention_mask.roll(-1, 1)
    inner[:, 0] = inner[:, -1] = False
    bounds = factors.pairs + factors.starts.amax(2)[:, :, None] + factors.ends.amax(2)[:, None, :]
    pairs = ((bounds > min_logit) & inner[:, :, None] & inner[:, None, :]).nonzero()
    pairs = pairs[top_of_each_sequence(pairs[:, 0], bounds[tuple(pairs.unbind(1))], max_count)]
    sequence, start, end = pairs.unbind(1)
    logits = factors.at(sequence, start, end)
    above = logits > min_logit
    crowded = torch.zeros_like(max_count).index_add(0, sequence, above.sum(1)) > max_count
    if crowded.any():
        above &= ~crowded[sequence][:, None] | (logits == logits.amax(1, keepdim=True))
    pair, label = above.nonzero(as_tuple=True)
    return torch.stack([sequence[pair], label, start[pair], end[pair]], 1), logits[pair, label]


def max_candidates(attention_mask: Tensor) -> Tensor:
    """Return the maximum number of candidates of each sequence [b]: half its length; published texts need 0.4."""
    return (attention_mask.sum(1) // 2).clamp(min=8)


def to_spans(spans: Tensor, logits: Tensor, batch_size: int) -> list[list[SpanIndex]]:
    """Return spans [n, 4] and logits [n] as lists with probabilities, one per sequence."""
    result: list[list[SpanIndex]] = [[] for _ in range(batch_size)]
    for (sequence, label, start, end), score in zip(spans.tolist(), logits.sigmoid().tolist(), strict=True):
        result[sequence].append(SpanIndex(label, start, end, score))
    return result


def top_of_each_sequence(sequence: Tensor, scores: Tensor, max_count: Tensor) -> Tensor:
    """Return the ascending indices of the items with the best scores of each sequence; all for most trained models.

    Args:
        sequence: [n] index of the sequence of each item, ascending.
        scores: [n].
        max_count: [b] maximum number of items of each sequence.
    """
    if (sequence.bincount(minlength=len(max_count)) <= max_count).all():
        return torch.arange(len(sequence), device=sequence.device)
    table = group_by_sequence(sequence, len(max_count))
    ranked = torch.where(table >= 0, scores[table], -math.inf)
    best = table.gather(1, ranked.topk(min(int(max_count.max()), table.shape[1])).indices)
    kept = (best >= 0) & (torch.arange(best.shape[1], device=sequence.device) < max_count[:, None])
    return best[kept].sort().values


def group_by_sequence(sequence: Tensor, batch_size: int) -> Tensor:
    """Return the indices of items as a table [batch_size, k] with one row per sequence, padded with −1.

    Args:
        sequence: [n] index of the sequence of each item, ascending.
        batch_size: number of sequences.
    """
    counts = sequence.bincount(minlength=batch_size)
    slot = torch.arange(len(sequence), device=sequence.device) - (counts.cumsum(0) - counts)[sequence]
    table = sequence.new_full((batch_size, int(counts.max())), -1)
    table[sequence, slot] = torch.arange(len(sequence), device=sequence.device)
    return table


def logit(probability: float) -> float:
    """Return the logit of a probability."""
    return math.log(probability / (1 - probability))
