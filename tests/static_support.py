"""A small static model and texts for it: what the tests of static vectors, search and drift share."""

import random

import numpy as np
import torch

from nlpkit.core.model.checkpoint import save
from nlpkit.core.model.manifest import UNBOUNDED, Manifest
from nlpkit.tasks.embed.static.static import TABLE

WORDS = ("天气", "今天", "不错", "银行", "还款", "花呗", "花呗还款", "电影", "好看", "app", "iphone", "a股", "app下载")
CHARACTERS = sorted(set("".join(WORDS)) | set("今天的很怎么在哪看了吗，。！？我你他0123456789abcxyz"))
TOKENS = [*CHARACTERS, *WORDS]


def save_static(folder, dim=16, seed=3, store="fp32", tokens=TOKENS, table=None):
    """A model folder with random vectors, or those of a table; gives its path."""
    if table is None:
        table = torch.randn(len(tokens), dim, generator=torch.Generator().manual_seed(seed))
    save(folder, Manifest("embed", {"type": "static"}, {"kind": "lexicon"}, UNBOUNDED), tokens, {TABLE: table}, store)
    return str(folder)


def sentences(number, seed=0):
    """Distinct texts of 4 to 24 characters."""
    chance = random.Random(seed)
    found = {}
    while len(found) < number:
        pieces = chance.choices([*WORDS, *CHARACTERS], k=chance.randint(3, 10))
        found["".join(pieces)] = None
    return list(found)


class Contextual:
    """A model that a bag of tokens cannot copy exactly: a word counts by its place, too."""

    name, dim, identity = "contextual", 12, {"model": "contextual"}

    def __init__(self):
        self.vectors = dict(zip(CHARACTERS, np.random.default_rng(1).normal(1, 1, (len(CHARACTERS), 12)), strict=True))

    def encode(self, batch):
        found = np.zeros((len(batch), 12), dtype=np.float32)
        for row, text in enumerate(batch):
            for place, character in enumerate(text, 1):
                found[row] += self.vectors.get(character, 0) * (1 + 1 / place)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


class Skewed(Contextual):
    """A model whose vectors are all alike, as those of real encoders are; their own part is not a sum of words."""

    def encode(self, batch):
        found = super().encode(batch) ** 3 + 0.3
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
