"""The batches of nlpkit-base's distillation: alignment of pieces and characters, masks, lines of each batch."""

import importlib
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from support import vocabulary

from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer, UnigramTokenizer

TEXTS = [f"北京大学{number}号楼的教授在上海工作后昨天去了武汉" for number in range(1000, 1300)]
CHARACTERS = sorted(set("".join(TEXTS)))
WORDS = ["北京大学", "教授", "上海", "武汉", "昨天"]


@pytest.fixture
def module(monkeypatch):
    """The recipe's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "nlpkit-base"))
    return importlib.import_module("corpus")


@pytest.fixture
def student():
    return CharTokenizer(vocabulary("".join(CHARACTERS)), normalize=True)


@pytest.fixture
def teacher():
    pieces = ["▁", *CHARACTERS, *WORDS]
    return UnigramTokenizer([*SPECIALS, *(f"{piece}\t{-1.0 if len(piece) > 1 else -5.0}" for piece in pieces)])


@pytest.fixture
def tokens(module, student, teacher, tmp_path):
    path = tmp_path / "corpus.txt.xz"
    path.write_bytes(lzma.compress("".join(f"{text}\n" for text in ["太短", *TEXTS, TEXTS[0] * 12]).encode()))
    return module.read_corpus([path], student, teacher, 2)


def spelling(student, ids):
    return "".join(student.tokens[i].removeprefix("##") for i in ids)


def lines(flat, lengths):
    return np.split(flat, np.cumsum(lengths)[:-1])


def test_lines_are_read_in_both_vocabularies(module, tokens, student, teacher):
    read = [spelling(student, row[1:-1]) for row in lines(tokens.ids, tokens.lengths)]
    long = TEXTS[0] * 12
    assert read == [*TEXTS, long[: module.LONGEST], long[module.LONGEST :]]
    pieces = ["".join(teacher.tokens[i] for i in row[1:-1]) for row in lines(tokens.pieces, tokens.counts)]
    assert [text.removeprefix("▁") for text in pieces] == read


def test_a_piece_covers_the_tokens_of_its_characters(tokens, student, teacher):
    rows = zip(*(lines(flat, tokens.counts) for flat in (tokens.pieces, tokens.begins, tokens.ends)), strict=True)
    for ids, row in zip(lines(tokens.ids, tokens.lengths), rows, strict=True):
        for piece, begin, end in zip(*row, strict=True):
            covered = spelling(student, ids[begin:end])
            expected = teacher.tokens[piece].removeprefix("▁")
            assert covered == expected or not expected


def test_words_are_masked_as_a_whole_and_only_they(module, tokens, student, teacher):
    torch.manual_seed(0)
    batches = module.Batches(tokens, student, teacher, 2048, "cpu")
    masked, total = 0, 0
    for batch in batches.epoch(np.arange(len(batches)), 0):
        assert batch.ids.numel() <= 2048
        hidden = batch.true >= 0
        assert (batch.ids[~hidden & batch.mask] != batches.mask_id).all()
        assert not hidden[~batch.mask].any()
        masked, total = masked + int(hidden.sum()), total + int(batch.mask.sum())
        for row, piece in (batch.ends - batch.begins > 1).nonzero().tolist():
            assert hidden[row, batch.begins[row, piece] : batch.ends[row, piece]].unique().numel() == 1
    assert 0.1 < masked / total < 0.25


def test_an_epoch_has_every_line_once(module, tokens, student, teacher):
    batches = module.Batches(tokens, student, teacher, 2048, "cpu")
    rows = []
    for batch in batches.epoch(np.arange(len(batches)), 3):
        true = batch.true.where(batch.true >= 0, batch.ids)
        rows += [spelling(student, ids[mask][1:-1]) for ids, mask in zip(true, batch.mask, strict=True)]
    expected = [spelling(student, ids[1:-1]) for ids in lines(tokens.ids, tokens.lengths)]
    assert sorted(rows) == sorted(expected)
