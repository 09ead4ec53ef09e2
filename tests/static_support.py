"""A small static model and texts for it: what the tests of static vectors, search and drift share."""

import random

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
