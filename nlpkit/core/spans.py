"""Spans of characters, units and cells of a pointer: the steps between them, the same for every task that finds spans.

A pointer scores cells [b, c, s, s] (label, first unit, last unit); position 0 of a row is [CLS], the last one [SEP].
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from nlpkit.core.tokenizer import Encoding

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
    flat: list[list[list[int]]] = [[[] for _ in range(num_labels)] for _ in rows]
    for labels, cells in zip(flat, rows, strict=True):
        for cell in cells:
            labels[cell.label].append(cell.first * size + cell.last)
    width = max((len(label) for row in flat for label in row), default=0)
    return torch.tensor([[label + [-1] * (width - len(label)) for label in row] for row in flat], dtype=torch.long)


def decode(logits: Tensor, mask: Tensor, threshold: float) -> list[list[Cell]]:
    """The cells of each row with a probability above the threshold, the `MOST` best of them; one `nonzero` in all.

    Args:
        logits: [b, c, s, s].
        mask: [b, s]; the first and the last unit of a row, [CLS] and [SEP], are in no cell.
        threshold: in (0, 1).
    """
    rows: list[list[Cell]] = [[] for _ in range(len(logits))]
    found = (logits > math.log(threshold / (1 - threshold))).nonzero()
    row, _, first, last = found.unbind(1)
    end = (mask.sum(1) - 1)[row]
    found = found[(first > 0) & (first < end) & (last > 0) & (last < end)]
    scores = logits[tuple(found.unbind(1))].float().sigmoid()
    found, scores = _best_of_each_row(found, scores)
    for (index, label, first_unit, last_unit), score in zip(found.tolist(), scores.tolist(), strict=True):
        rows[index].append(Cell(label, first_unit, last_unit, score))
    return rows


def _best_of_each_row(found: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Cells [n, 4] and scores [n], at most the `MOST` best of a row; only untrained models have more."""
    counts = found[:, 0].bincount()
    if not len(counts) or counts.max() <= MOST:
        return found, scores
    order = scores.argsort(descending=True, stable=True)
    order = order[found[order, 0].argsort(stable=True)]  # by row, and by score inside it
    rank = torch.arange(len(order), device=found.device) - (counts.cumsum(0) - counts)[found[order, 0]]
    order = order[rank < MOST].sort().values
    return found[order], scores[order]
