"""Questions and candidate keys as rows of the network.

    [CLS] Q [SEP]  S [SEP] P [SEP] M [SEP]     one key: the question sees itself, the key the question and its own past

All candidates of a question stand in one row, as the tree that their common beginnings make: a unit's position is its
depth behind the question, and it attends to the question and to its ancestors, so each key is read as if it stood there
alone, and shared beginnings are read once. What is certain is left out: a meaning, where the name has but one for this
predicate.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from nlpkit.core.model.task import Inputs
from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.tokenizer import CharTokenizer, Encoding

KEY_SEGMENT = 1
ROOT = -1  # the parent of the first units of keys: the question's [SEP]


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the network reads it.

    Attributes:
        text: as it was asked.
        encoding: of the whole text.
        ids: [CLS], its units (as many as fit) and [SEP].
        truncated: whether it lost units.
    """

    text: str
    encoding: Encoding
    ids: list[int]
    truncated: bool

    @classmethod
    def of(cls, text: str, tokenizer: CharTokenizer, max_length: int) -> "Question":
        """The row of a text, at most `max_length` long."""
        encoding = tokenizer.encode(text)
        units = encoding.ids[: max_length - 2]
        return cls(text, encoding, [tokenizer.cls_id, *units, tokenizer.sep_id], len(units) < len(encoding))

    @property
    def normal(self) -> str:
        """Its text in the normal form of names; offsets are the same."""
        return normalize(self.text)

    @property
    def units(self) -> list[int]:
        """Its ids without [CLS] and [SEP]."""
        return self.ids[1:-1]

    def characters(self, start: int, end: int) -> tuple[int, int]:
        """Return the half-open range of characters that the tokens [start, end) cover."""
        return self.encoding.starts[start], self.encoding.ends[end - 1]

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """The units of characters [start, end); None where they cut one in two, or are beyond the row."""
        first, last = bisect_left(self.encoding.starts, start), bisect_left(self.encoding.ends, end)
        if last >= len(self.ids) - 2 or first > last:
            return None
        fits = self.encoding.starts[first] == start and self.encoding.ends[last] == end
        return (first, last + 1) if fits else None


@dataclass(slots=True)
class Forest:
    """Keys as a tree behind a question; t units, n keys.

    Attributes:
        tokens: [t].
        parents: [t] the unit before each, or `ROOT`.
        depths: [t] from 0.
        leaves: [n] the unit at which each key is complete.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def extend(self, unit: int, tokens: Sequence[int]) -> int:
        """The unit behind some tokens from a unit, made where it is missing."""
        for token in tokens:
            child = self._children.get((unit, token))
            if child is None:
                child = self._children[unit, token] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(unit)
                self.depths.append(0 if unit == ROOT else self.depths[unit] + 1)
            unit = child
        return unit

    def path(self, tokens: Sequence[int]) -> list[int]:
        """The units of tokens from the root, as far as they are there."""
        units, unit = [], ROOT
        for token in tokens:
            found = self._children.get((unit, token))
            if found is None:
                break
            units.append(found)
            unit = found
        return units


@dataclass(slots=True)
class Batch:
    """Rows of several questions.

    Attributes:
        inputs: for the network.
        offsets: the flat position (row · s + column) of each question's first unit of a key.
        size: s.
    """

    inputs: Inputs
    offsets: list[int]
    size: int

    def at(self, row: int, unit: int) -> int:
        """The flat position of a unit of a question's forest; of its [SEP] for `ROOT`."""
        return self.offsets[row] + unit


def collate(questions: Sequence[Question], forests: Sequence[Forest], pad_id: int) -> Batch:
    """Padded rows of questions with their forests."""
    size = max(len(q.ids) + len(f.tokens) for q, f in zip(questions, forests, strict=True))
    count = len(questions)
    ids = np.full((count, size), pad_id, dtype=np.int64)
    positions, segments = np.zeros((count, size), dtype=np.int64), np.zeros((count, size), dtype=np.int64)
    mask = np.zeros((count, size, size), dtype=np.bool_)
    mask[:, :, 0] = True  # also for padding: a row of a softmax must not be empty
    offsets = []
    for row, (question, forest) in enumerate(zip(questions, forests, strict=True)):
        begin, end = len(question.ids), len(question.ids) + len(forest.tokens)
        ids[row, :begin], ids[row, begin:end] = question.ids, forest.tokens
        positions[row, :begin] = np.arange(begin)
        positions[row, begin:end] = np.asarray(forest.depths, dtype=np.int64) + begin
        segments[row, begin:end] = KEY_SEGMENT
        mask[row, :end, :begin] = True
        mask[row, begin:end, begin:end] = ancestors(forest.parents)
        offsets.append(row * size + begin)
    ids_, positions_, segments_ = (torch.from_numpy(array) for array in (ids, positions, segments))
    return Batch(Inputs(ids_, torch.from_numpy(mask), segments_, positions_), offsets, size)


def ancestors(parents: Sequence[int]) -> NDArray[np.bool_]:
    """[t, t], True where a unit is its column or comes after it; parents come before their children."""
    result = np.eye(len(parents), dtype=np.bool_)
    for unit, parent in enumerate(parents):
        if parent >= 0:
            result[unit] |= result[parent]
    return result
