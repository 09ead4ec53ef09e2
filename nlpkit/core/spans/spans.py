"""Spans of characters, units and cells of a pointer: the steps between them, the same for every task that finds spans.

A pointer scores cells [b, c, s, s] (label, first unit, last unit); position 0 of a row is [CLS], the last one [SEP].
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from nlpkit.core.text.tokenizer import Encoding
from nlpkit.nn.global_pointer import Factors

MOST = 512  # cells kept of one row: an untrained model would otherwise find hundreds of thousands


class Spanned(Protocol):
    """Anything with a half-open span of characters."""

    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def end(self) -> int: ...  # noqa: D102


S = TypeVar("S", bound=Spanned)


class Cell(NamedTuple):
    """A cell of a pointer: row positions first … last (both included), and its probability."""

    label: int
    first: int
    last: int
    score: float = 1.0


def align(spans: Iterable[S], encoding: Encoding) -> list[tuple[S, int, int]]:
    """The spans that fall on unit boundaries, each with its units [begin, end)."""
    begins = {start: unit for unit, start in enumerate(encoding.starts)}
    ends = {end: unit + 1 for unit, end in enumerate(encoding.ends)}
    return [(span, begins[span.start], ends[span.end]) for span in spans if span.start in begins and span.end in ends]


def collate(rows: Sequence[Sequence[Cell]], num_labels: int, size: int) -> Tensor:
    """Sparse labels: flat cells first·s + last as [b, c, p], padded with −1; p is the most of one label in one row."""
    used: Counter[tuple[int, int]] = Counter()
    entries = []
    for row, cells in enumerate(rows):
        for cell in cells:
            entries.append((row, cell.label, used[row, cell.label], cell.first * size + cell.last))
            used[row, cell.label] += 1
    result = torch.full((len(rows), num_labels, max(used.values(), default=0)), -1)
    if entries:
        row_index, label, slot, flat = torch.tensor(entries).unbind(1)
        result[row_index, label, slot] = flat
    return result


def decode(logits: Tensor, mask: Tensor, threshold: float, wanted: Tensor | None = None) -> list[list[Cell]]:
    """The cells of each row with a probability above the threshold, the `MOST` best of them; one `nonzero` in all.

    Args:
        logits: [b, c, s, s].
        mask: [b, s]; the first and the last unit of a row, [CLS] and [SEP], are in no cell.
        threshold: in (0, 1).
        wanted: [c], True for the labels to look for; None is all.
    """
    found = (logits > logit(threshold)).nonzero()
    if wanted is not None:  # before the best are chosen: an unwanted label must not take the place of a wanted one
        found = found[wanted[found[:, 1]]]
    row, _, first, last = found.unbind(1)
    lengths = mask.sum(1)
    end = (lengths - 1)[row]
    found = found[(first > 0) & (first < end) & (last > 0) & (last < end)]
    scores = logits[tuple(found.unbind(1))].float()
    best = best_of_each_row(found[:, 0], scores, torch.full_like(lengths, MOST))
    return to_cells(found[best], scores[best], len(logits))


def candidates(factors: Factors, mask: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """What `decode` finds, from logits in parts, with at most `room` cells of a row.

    No cell of a place (first, last) is above its pair and the greatest start and end of any label: only where that sum
    passes are the labels looked at. A trained model passes at a fifth of the units; one that passes more often has its
    best places looked at, and of those, if there are still too many cells, the best label of each.

    Args:
        factors: of the logits [b, c, s, s].
        mask: [b, s]; see `decode`.
        threshold: in (0, 1).

    Returns:
        Cells [n, 4] as (row, label, first, last), ordered by row, and their logits [n].
    """
    limit, most = logit(threshold), room(mask)
    inner = mask & mask.roll(-1, 1)
    inner[:, 0] = inner[:, -1] = False
    bounds = factors.pairs + factors.starts.amax(2)[:, :, None] + factors.ends.amax(2)[:, None, :]
    places = ((bounds > limit) & inner[:, :, None] & inner[:, None, :]).nonzero()
    places = places[best_of_each_row(places[:, 0], bounds[tuple(places.unbind(1))], most)]
    row, first, last = places.unbind(1)
    logits = factors.at(row, first, last)
    above = logits > limit
    crowded = torch.zeros_like(most).index_add(0, row, above.sum(1)) > most
    if crowded.any():
        above &= ~crowded[row][:, None] | (logits == logits.amax(1, keepdim=True))
    place, label = above.nonzero(as_tuple=True)
    return torch.stack([row[place], label, first[place], last[place]], 1), logits[place, label]


def room(mask: Tensor) -> Tensor:
    """How many candidates of each row [b] are looked at: half as many as units, where no published text needs 0.4."""
    return (mask.sum(1) // 2).clamp(min=8)


def to_cells(found: Tensor, scores: Tensor, rows: int) -> list[list[Cell]]:
    """Cells [n, 4] and logits [n] as lists with probabilities, one a row."""
    result: list[list[Cell]] = [[] for _ in range(rows)]
    for (row, label, first, last), score in zip(found.tolist(), scores.sigmoid().tolist(), strict=True):
        result[row].append(Cell(label, first, last, score))
    return result


def best_of_each_row(row: Tensor, scores: Tensor, most: Tensor) -> Tensor:
    """Indices, ascending, of n items that are among the `most` best of their row; only untrained models have more.

    Args:
        row: [n], ascending.
        scores: [n].
        most: [b], how many to keep of each row.
    """
    if (row.bincount(minlength=len(most)) <= most).all():
        return torch.arange(len(row), device=row.device)
    table = in_rows(row, len(most))
    ranked = torch.where(table >= 0, scores[table], -math.inf)
    best = table.gather(1, ranked.topk(min(int(most.max()), table.shape[1])).indices)
    kept = (best >= 0) & (torch.arange(best.shape[1], device=row.device) < most[:, None])
    return best[kept].sort().values


def in_rows(row: Tensor, rows: int) -> Tensor:
    """Items [n], ascending by row, as a table [rows, most of a row] of their indices, padded with −1."""
    counts = row.bincount(minlength=rows)
    slot = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    table = row.new_full((rows, int(counts.max())), -1)
    table[row, slot] = torch.arange(len(row), device=row.device)
    return table


def logit(probability: float) -> float:
    """The score of a probability."""
    return math.log(probability / (1 - probability))
