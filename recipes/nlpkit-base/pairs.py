"""Lines of the corpus as the student and the teacher of nlpkit-base read them, aligned by characters."""

import lzma
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from nlpkit.core.text.segmentation import cut_words
from nlpkit.core.text.tokenizer import MASK, CharTokenizer, Encoding
from nlpkit.nn.initialization import AS_MASK, AS_RANDOM

UNMASKED_BATCHES = 0.25  # fraction of batches without any mask, as texts are in use
MASKED = 0.2  # fraction of the tokens, by whole words
LENGTH, LONG_LENGTH, LONG = 126, 254, 0.1  # tokens of a line at most; a tenth of the lines may be longer
POOL = 512  # lines sorted by length together


def lines_of(paths: list[str], start: int) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of the corpus from line `start` on, without end."""
    number = 0
    while True:
        for path in paths:
            with lzma.open(path, "rt", encoding="utf-8") as stream:
                for line in stream:
                    if number >= start and len(line) > 8:
                        yield number, line.strip()
                    number += 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines as tensors.

    Attributes:
        ids: [b, s] of the student, a part of them masked, or none.
        mask: [b, s], True at tokens.
        theirs: [b, t] of the teacher.
        their_mask: [b, t].
        spans: [n, 4] sequence, teacher piece, and the student's tokens [begin, end) under it.
        positions: [m, 2] sequence and position of each masked token; m may be 0.
        true: [m] ids of the masked tokens.
        tokens: number of tokens of the student.
        line: number of the last line of the corpus in it.
    """

    ids: Tensor
    mask: Tensor
    theirs: Tensor
    their_mask: Tensor
    spans: Tensor
    positions: Tensor
    true: Tensor
    tokens: int
    line: int

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        moved = {name: value.to(device) for name in self.__slots__ if isinstance(value := getattr(self, name), Tensor)}
        return replace(self, **moved)


class Pairs:
    """Batches of lines as the student and the teacher read them.

    Args:
        tokenizer: of the student.
        pieces: of the teacher.
        pad_id: of the teacher.
        seed: of masks and order.
    """

    def __init__(self, tokenizer: CharTokenizer, pieces: Tokenizer, pad_id: int, seed: int):
        self.tokenizer, self.pieces, self.pad_id = tokenizer, pieces, pad_id
        self.random = random.Random(seed)
        self.mask_id = tokenizer.ids[MASK]

    def example(self, text: str) -> dict[str, Any] | None:
        """Return a line's ids in both vocabularies, and the student tokens [begin, end) under each teacher piece."""
        limit = LONG_LENGTH if self.random.random() < LONG else LENGTH
        encoding = self.tokenizer.encode(text)
        if len(encoding.ids) > limit:
            text = text[: encoding.starts[limit]]
            encoding = self.tokenizer.encode(text)
        theirs = self.pieces.encode(text)
        if len(encoding.ids) < 4 or len(theirs.ids) > 500:
            return None
        of_character = np.full(len(text) + 1, -1)
        for index, (start, end) in enumerate(zip(encoding.starts, encoding.ends, strict=True)):
            of_character[start:end] = index + 1  # behind [CLS]
        spans = []
        for place, (start, end) in enumerate(theirs.offsets):
            covered = of_character[start:end]
            covered = covered[covered > 0]
            if len(covered):
                spans.append((place, int(covered.min()), int(covered.max()) + 1))
        ids = [self.tokenizer.cls_id, *encoding.ids, self.tokenizer.sep_id]
        return {"ids": ids, "theirs": theirs.ids, "spans": spans, "words": self._words(text, encoding)}

    def _words(self, text: str, encoding: Encoding) -> list[list[int]]:
        """Return the token positions of every word that may be masked."""
        borders, place = {0}, 0
        for word in cut_words(text):
            place += len(word)
            borders.add(place)
        words: list[list[int]] = []
        for index, start in enumerate(encoding.starts):
            if not text[start].isalnum():
                continue
            if words and start not in borders and words[-1][-1] == index:
                words[-1].append(index + 1)
            else:
                words.append([index + 1])
        return words

    def masked(self, example: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
        """Return the ids with words masked, the masked positions and their true ids."""
        ids, positions = list(example["ids"]), []
        words = self.random.sample(example["words"], len(example["words"]))
        number = round(MASKED * (len(ids) - 2))
        for word in words:
            if len(positions) >= number:
                break
            positions += word
        true = [ids[position] for position in positions]
        for position in positions:
            draw = self.random.random()
            if draw < AS_MASK:
                ids[position] = self.mask_id
            elif draw < AS_MASK + AS_RANDOM:
                ids[position] = self.random.randrange(self.tokenizer.vocab_size)
        return ids, positions, true

    def batch(self, examples: list[dict[str, Any]], with_masks: bool, line: int = 0) -> Batch:
        """Return examples as tensors."""
        rows = [self.masked(e) if with_masks else (e["ids"], [], []) for e in examples]
        ids, mask = padded([row[0] for row in rows], self.tokenizer.pad_id)
        theirs, their_mask = padded([e["theirs"] for e in examples], self.pad_id)
        spans = torch.tensor([(row, *span) for row, e in enumerate(examples) for span in e["spans"]])
        positions = [(row, position) for row, (_, places, _) in enumerate(rows) for position in places]
        true = torch.tensor([token for _, _, tokens in rows for token in tokens], dtype=torch.long)
        count = sum(len(row[0]) for row in rows)
        places = torch.tensor(positions, dtype=torch.long).view(-1, 2)
        return Batch(ids, mask, theirs, their_mask, spans, places, true, count, line)

    def batches(self, lines: Iterator[tuple[int, str]], size: int) -> Iterator[Batch]:
        """Yield batches of at most `size` tokens, padding included, each of lines of similar length."""
        pool_size = max(POOL, size // 16)
        while True:
            pool: list[dict[str, Any]] = []
            number = 0
            while len(pool) < pool_size:
                number, text = next(lines)
                example = self.example(text)
                if example is not None:
                    pool.append(example)
            pool.sort(key=lambda e: len(e["ids"]))
            made: list[list[dict[str, Any]]] = [[]]
            for example in pool:
                if made[-1] and (len(made[-1]) + 1) * len(example["ids"]) > size:
                    made.append([])
                made[-1].append(example)
            self.random.shuffle(made)
            for examples in made:
                yield self.batch(examples, self.random.random() >= UNMASKED_BATCHES, number)


class Stream(IterableDataset[Batch]):
    """Batches from several processes; each takes its own blocks of lines.

    Args:
        pairs: makes the batches.
        paths: of the corpus.
        start: first line.
        size: tokens of a batch.
    """

    def __init__(self, pairs: Pairs, paths: list[str], start: int, size: int):
        self.pairs, self.paths, self.start, self.size = pairs, paths, start, size

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        index, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        self.pairs.random.seed(f"{self.pairs.random.random()} {index}")
        block = max(POOL, self.size // 16)
        lines = ((n, text) for n, text in lines_of(self.paths, self.start) if n // block % count == index)
        return self.pairs.batches(lines, self.size)


def padded(rows: list[list[int]], value: int) -> tuple[Tensor, Tensor]:
    """Return ids [b, s] and their mask [b, s]."""
    length = max(map(len, rows))
    ids = torch.tensor([row + [value] * (length - len(row)) for row in rows])
    mask = torch.arange(length) < torch.tensor([len(row) for row in rows])[:, None]
    return ids, mask
