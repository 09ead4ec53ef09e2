"""The pruned vocabulary of embed-base."""

import importlib
from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models


@pytest.fixture
def prune(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "embed-base"))
    return importlib.import_module("prune")


PIECES = ["<s>", "<pad>", "</s>", "<unk>", "天", "今天", "é", "x", "龘", "xyz", "<mask>"]


def test_pieces_are_counted_in_every_line(prune):
    tokenizer = Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(PIECES)], 3))
    counts = prune.count_pieces(tokenizer, ["今天天"] * 2001)
    assert counts == {PIECES.index("今天"): 2001, PIECES.index("天"): 2001}


def test_specials_come_first_then_frequent_and_single_pieces(prune):
    kept = [PIECES[number] for number in prune.kept_pieces(PIECES, Counter({PIECES.index("今天"): 3, 6: 2, 9: 2}))]
    assert kept == ["<pad>", "<unk>", "<s>", "</s>", "<mask>", "天", "今天", "x", "龘"]
