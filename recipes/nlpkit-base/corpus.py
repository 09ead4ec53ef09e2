"""The corpus as the student and the teacher of nlpkit-base read it, tokenized once and held on the training device.

A line is read in characters by the student and in pieces by the teacher. Every piece has the positions [begin, end) of
the student's tokens under it. A piece is also what is masked as a whole: pieces of Unigram are words and short phrases.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlpkit.core.io.records import read_lines
from nlpkit.core.text.tokenizer import MASK, CharTokenizer, UnigramTokenizer
from nlpkit.nn.initialization import AS_MASK, AS_RANDOM

MASKED, UNMASKED_LINES = 0.2, 0.15  # fraction of the pieces that are masked, and of the lines without any mask
LONGEST, SHORTEST = 250, 9  # characters of a line; a longer one is cut
WIDTHS = (32, 48, 64, 96, 128, 192, 256)  # tokens of the rows of a batch, padding included
CHUNK = 4000  # lines

_tokenizers: tuple[CharTokenizer, UnigramTokenizer]  # of a process that tokenizes


@dataclass
class Tokens:
    """Tokenized lines, one after the other.

    Attributes:
        ids: [n] of the student, each line with [CLS] and [SEP].
        lengths: [lines] tokens of each line.
        pieces: [m] of the teacher, likewise.
        counts: [lines] pieces of each line.
        begins: [m] position of the first token of the student under each piece, from 0 at [CLS].
        ends: [m] position after the last one; equal to `begins` for a piece without any.
    """

    ids: NDArray[np.uint16]
    lengths: NDArray[np.uint16]
    pieces: NDArray[np.uint16]
    counts: NDArray[np.uint16]
    begins: NDArray[np.uint16]
    ends: NDArray[np.uint16]

    @classmethod
    def join(cls, parts: Sequence["Tokens"]) -> "Tokens":
        """Return all lines of several parts."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__annotations__))


def tokenize(lines: Sequence[str]) -> Tokens:
    """Return the lines as both read them."""
    student, teacher = _tokenizers
    ids: list[int] = []
    pieces: list[int] = []
    lengths, counts, begins, ends = [], [], [], []
    for line in lines:
        mine, theirs = student.encode(line), teacher.encode(line)
        lengths.append(len(mine) + 2)
        counts.append(len(theirs) + 2)
        ids += [student.cls_id, *mine.ids, student.sep_id]
        pieces += [teacher.cls_id, *theirs.ids, teacher.sep_id]
        begin = np.searchsorted(mine.ends, theirs.starts, side="right") + 1
        end = np.searchsorted(mine.starts, theirs.ends, side="left") + 1
        begins += [np.array([0]), begin, np.array([len(mine) + 1])]
        ends += [np.array([1]), np.maximum(begin, end), np.array([len(mine) + 2])]
    flat = (ids, lengths, pieces, counts, np.concatenate(begins), np.concatenate(ends))
    return Tokens(*(np.asarray(values, dtype=np.uint16) for values in flat))


def read_corpus(paths: Sequence[Path], student: CharTokenizer, teacher: UnigramTokenizer, processes: int) -> Tokens:
    """Return the tokens of all lines of text files, compressed or not, tokenized by several processes."""
    context = get_context("spawn")  # a fork of a process with threads may hang
    with context.Pool(processes, _initialize, (student, teacher)) as pool:
        return Tokens.join(list(pool.imap(tokenize, _chunks(paths))))


def _initialize(student: CharTokenizer, teacher: UnigramTokenizer) -> None:
    global _tokenizers  # Pool has no other way to give its processes an object once
    _tokenizers = student, teacher


def _chunks(paths: Sequence[Path]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for each in read_lines([str(path) for path in paths]):
        line = each.text.strip()
        parts = [line[start : start + LONGEST] for start in range(0, len(line), LONGEST)]
        chunk += [part for part in parts if len(part) >= SHORTEST]
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@dataclass
class Batch:
    """Lines of about the same length as tensors.

    Attributes:
        ids: [b, s] of the student, a part of them masked.
        mask: [b, s], True at tokens.
        true: [b, s] ids of the masked tokens; −1 elsewhere.
        pieces: [b, t] of the teacher.
        piece_mask: [b, t], True at pieces.
        begins: [b, t] see `Tokens`.
        ends: [b, t].
    """

    ids: Tensor
    mask: Tensor
    true: Tensor
    pieces: Tensor
    piece_mask: Tensor
    begins: Tensor
    ends: Tensor


class Batches:
    """Batches of the corpus, masked anew each time.

    Args:
        tokens: of the corpus.
        student: its tokenizer.
        teacher: its tokenizer.
        size: tokens of a batch, padding included.
        device: where the tokens are kept.
    """

    def __init__(self, tokens: Tokens, student: CharTokenizer, teacher: UnigramTokenizer, size: int, device: str):
        self.student, self.size, self.device = student, size, torch.device(device)
        self.lengths, self.counts = tokens.lengths.astype(np.int64), tokens.counts.astype(np.int64)
        self.ids, self.pieces, self.begins, self.ends = (
            torch.from_numpy(values.astype(np.int32)).to(self.device)
            for values in (tokens.ids, tokens.pieces, tokens.begins, tokens.ends)
        )
        starts = [np.concatenate([[0], np.cumsum(counts)[:-1]]) for counts in (self.lengths, self.counts)]
        self.table = torch.from_numpy(np.stack([starts[0], self.lengths, starts[1], self.counts])).to(self.device)
        words = [any(map(str.isalnum, piece)) and index > 4 for index, piece in enumerate(teacher.tokens)]
        self.words = torch.tensor(words, device=self.device)
        self.pad_ids, self.mask_id = (student.pad_id, teacher.pad_id), student.ids[MASK]

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.lengths)

    def epoch(self, lines: NDArray[np.int64], seed: int) -> Iterator[Batch]:
        """Yield the batches of some lines, in random order."""
        random = np.random.default_rng(seed)
        groups: list[tuple[int, NDArray[np.int64]]] = []
        narrower = 0
        for width in WIDTHS:
            chosen = lines[(self.lengths[lines] > narrower) & (self.lengths[lines] <= width)]
            random.shuffle(chosen)
            rows = max(1, self.size // width)
            groups += [(width, chosen[start : start + rows]) for start in range(0, len(chosen), rows)]
            narrower = width
        for index in random.permutation(len(groups)):
            yield self.batch(*groups[index][::-1])

    def batch(self, lines: NDArray[np.int64], width: int) -> Batch:
        """Return lines as a batch of that many tokens per line."""
        start, length, first, count = self.table[:, torch.from_numpy(lines).to(self.device)]
        ids, mask = self._rows(self.ids, start, length, width, self.pad_ids[0])
        pieces, piece_mask = self._rows(self.pieces, first, count, int(self.counts[lines].max()), self.pad_ids[1])
        begins, ends = (self._rows(values, first, count, pieces.shape[1], 0)[0] for values in (self.begins, self.ends))
        hidden = self._hidden(pieces, begins, ends, width)
        draw = torch.rand(ids.shape, device=self.device)
        random = torch.randint(5, self.student.vocab_size, ids.shape, device=self.device)
        masked = torch.where(draw < AS_MASK, self.mask_id, torch.where(draw < AS_MASK + AS_RANDOM, random, ids))
        return Batch(
            torch.where(hidden, masked, ids), mask, torch.where(hidden, ids, -1), pieces, piece_mask, begins, ends
        )

    def _rows(self, flat: Tensor, start: Tensor, length: Tensor, width: int, pad: int) -> tuple[Tensor, Tensor]:
        column = torch.arange(width, device=self.device)
        mask = column < length[:, None]
        values = flat[(start[:, None] + column).clamp(max=len(flat) - 1)].long()
        return values.where(mask, pad), mask

    def _hidden(self, pieces: Tensor, begins: Tensor, ends: Tensor, width: int) -> Tensor:
        """Return [b, s], True at the tokens to be masked."""
        covers = ends > begins
        chosen = (torch.rand(pieces.shape, device=self.device) < MASKED) & self.words[pieces] & covers
        chosen &= torch.rand(len(pieces), 1, device=self.device) >= UNMASKED_LINES
        # +1 where a chosen piece begins and −1 where it ends
        change = torch.zeros(len(pieces), width + 1, dtype=torch.int32, device=self.device)
        change.scatter_add_(1, begins, chosen.int())
        change.scatter_add_(1, ends, -chosen.int())
        return change.cumsum(1)[:, :width] > 0
