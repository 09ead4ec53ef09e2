"""Texts to rows of ids, and rows to a padded batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.text.windows import split
from nlpkit.tasks.embed.unknown import Unknown

# Characters that a model has learnt to tell apart. In embed-small texts of one character each have cosines of 0.88 on
# average up to here, of 0.97 in the next 800 characters, and of 0.995 at the end of the vocabulary.
KNOWN = 5000


@dataclass(slots=True)
class Rows:
    """Texts as rows of ids, special tokens included.

    Attributes:
        ids: of each row.
        owners: the position of each row's text, never falling; a text has one row or, read in windows, several.
        truncated: as in `Embedded`.
        unknown: as in `Embedded`.
    """

    ids: list[list[int]]
    owners: Sequence[int]
    truncated: frozenset[int] = frozenset()
    unknown: dict[int, Unknown] = field(default_factory=dict)


class Units(Protocol):
    """A tokenizer that knows how long the model's rows may be.

    Attributes:
        published: whether all vectors are to be those of sentence-transformers.
    """

    published: bool

    @property
    def pad_id(self) -> int:
        """What fills the shorter rows of a batch."""

    def __call__(self, texts: Sequence[str]) -> Rows:
        """The rows of texts."""

    def prefix(self, prompt: str) -> int:
        """How many units at the beginning of a row come from a prompt, [CLS] included."""


class CharUnits:
    """Our own tokenizer: [CLS] units [SEP]; what is longer is read in windows, as everywhere in nlpkit.

    Args:
        tokenizer: of the model.
        max_length: of a row.
    """

    published = False

    def __init__(self, tokenizer: CharTokenizer, max_length: int):
        self.tokenizer, self.max_length = tokenizer, max_length
        self._strange = frozenset([*tokenizer.rare_ids, *_seldom(tokenizer)])

    @property
    def pad_id(self) -> int:
        """See `Units`."""
        return self.tokenizer.pad_id

    def __call__(self, texts: Sequence[str]) -> Rows:
        """See `Units`."""
        first, last, most = self.tokenizer.cls_id, self.tokenizer.sep_id, self.max_length - 2
        rows = Rows([], owners := [])
        strange = self._strange
        for owner, text in enumerate(texts):
            encoding = self.tokenizer.encode(text)
            if not strange.isdisjoint(encoding.ids):
                places = zip(encoding.starts, encoding.ids, strict=True)
                found = tuple(text[start] for start, token in places if token in strange)
                rows.unknown[owner] = Unknown(found, len(found) / len(encoding))
            for window in split(text, encoding, most):
                rows.ids.append([first, *encoding.ids[window.begin : window.end], last])
                owners.append(owner)
        return rows

    def prefix(self, prompt: str) -> int:
        """See `Units`."""
        return 1 + len(self.tokenizer.encode(prompt).ids)


def _seldom(tokenizer: CharTokenizer) -> list[int]:
    """The characters of a vocabulary in the order of frequency that come after the first `KNOWN`."""
    if tokenizer.rare_ids == [tokenizer.unk_id]:  # not made by `build_vocabulary`
        return []
    characters = [index for index, token in enumerate(tokenizer.tokens) if len(token) == 1 and not token.isascii()]
    return characters[KNOWN:]


def padded(rows: list[list[int]], pad_id: int) -> tuple[Tensor, Tensor | None]:
    """input_ids [b, s], and a mask [b, s] or None where no row is shorter than another."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    longest = int(lengths.max())
    flat = np.fromiter((unit for row in rows for unit in row), dtype=np.int64, count=int(lengths.sum()))
    if (lengths == longest).all():
        return torch.from_numpy(flat).view(len(rows), longest), None
    mask = np.arange(longest) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = flat
    return torch.from_numpy(ids), torch.from_numpy(mask)
