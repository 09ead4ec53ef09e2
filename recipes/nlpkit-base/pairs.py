"""Lines of the corpus as the student and the teacher of nlpkit-base read them, aligned by characters."""

import lzma
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from nlpkit.core.text.segmentation import cut_words
from nlpkit.core.text.tokenizer import MASK, CharTokenizer, Encoding
from nlpkit.nn.initialization import AS_MASK, AS_RANDOM

MASKED = 0.2  # fraction of the tokens, by whole words
LENGTH, LONG_LENGTH, LONG = 126, 254, 0.1  # tokens of a line at most; a tenth of the lines may be longer
BATCH_TOKENS = 1024  # padding included
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


class Pairs:
    """Batches of lines as the student and the teacher read them.

    Args:
        tokenizer: of the student.
        pieces: of the teacher.
        seed: of masks and order.
    """

    def __init__(self, tokenizer: CharTokenizer, pieces: Tokenizer, seed: int):
        self.tokenizer, self.pieces = tokenizer, pieces
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

    def batches(self, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Yield (number of the last line read, examples), each batch of similar length."""
        while True:
            pool: list[dict[str, Any]] = []
            number = 0
            while len(pool) < POOL:
                number, text = next(lines)
                example = self.example(text)
                if example is not None:
                    pool.append(example)
            pool.sort(key=lambda e: len(e["ids"]))
            made: list[list[dict[str, Any]]] = [[]]
            for example in pool:
                if made[-1] and (len(made[-1]) + 1) * len(example["ids"]) > BATCH_TOKENS:
                    made.append([])
                made[-1].append(example)
            self.random.shuffle(made)
            for batch in made:
                yield number, batch


def padded(rows: list[list[int]], value: int) -> tuple[Tensor, Tensor]:
    """Return ids [b, s] and their mask [b, s]."""
    length = max(map(len, rows))
    ids = torch.tensor([row + [value] * (length - len(row)) for row in rows])
    mask = torch.arange(length) < torch.tensor([len(row) for row in rows])[:, None]
    return ids, mask
