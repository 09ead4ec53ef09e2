"""Batches of sentence pairs: both sentences of a pair side by side, truncated, files apart where scores demand it."""

import pytest
import torch
from support import vocabulary

from nlpkit.core.io.records import Line
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.dataset import PairDataset

TEXTS = [chr(0x4E00 + i) * (1 + i % 12) for i in range(40)]
TOKENIZER = CharTokenizer(vocabulary("".join(TEXTS)))
PAIRS = [Pair(TEXTS[i], TEXTS[-1 - i], float(i % 4), Line("", f"file{i % 3}", i)) for i in range(30)]


def dataset(*, separate_files):
    return PairDataset(PAIRS, TOKENIZER, 10, 4, 7, separate_files=separate_files)


def pairs_of(inputs):
    """The texts of a batch."""
    tokens = [TOKENIZER.tokens[i] for i in range(len(TOKENIZER.tokens))]
    texts = [
        "".join(tokens[i] for i in ids[mask][1:-1].tolist())
        for ids, mask in zip(inputs.input_ids, inputs.attention_mask, strict=True)
    ]
    return list(zip(texts[0::2], texts[1::2], strict=True))


@pytest.mark.parametrize("separate_files", [True, False])
def test_an_epoch_has_every_pair_with_its_targets(separate_files):
    batches = dataset(separate_files=separate_files)
    seen = []
    for step in range(batches.steps_per_epoch):
        inputs, targets = batches(step)
        assert len(targets["sentences"]) == len(inputs.input_ids) == 2 * len(targets["scores"])
        seen += zip(pairs_of(inputs), targets["scores"].tolist(), targets["best"].tolist(), strict=True)
    expected = [((pair.first[:8], pair.second[:8]), pair.score, pair.score == 3) for pair in PAIRS]
    assert sorted(seen) == sorted(expected)


def test_only_pairs_of_one_file_share_a_batch():
    files = {(pair.first[:8], pair.second[:8]): pair.line.source for pair in PAIRS}
    batches = dataset(separate_files=True)
    for step in range(batches.steps_per_epoch):
        assert len({files[pair] for pair in pairs_of(batches(step)[0])}) == 1


def test_long_sentences_are_truncated_and_counted():
    batches = dataset(separate_files=False)
    assert batches.longest == 10
    assert batches.diagnostics == {
        "sequences": 30,
        "cut": sum(len(t) > 8 for pair in PAIRS for t in (pair.first, pair.second)),
    }


def test_texts_to_embed_may_be_longer_than_the_sentences():
    pairs = [Pair("一", "二", 1.0, Line("", "", 1))]
    assert PairDataset(pairs, TOKENIZER, 256, 2, 0, separate_files=False).longest == 256


def test_equal_sentences_have_equal_numbers():
    same = [Pair("一", "一", 1.0, Line("", "", 1)), Pair("二", "一", 1.0, Line("", "", 2))]
    tokenizer = CharTokenizer(vocabulary("一二"))
    inputs, targets = PairDataset(same, tokenizer, 10, 4, 7, separate_files=False)(0)
    texts = inputs.input_ids[:, 1]
    assert torch.equal(texts[:, None] == texts, targets["sentences"][:, None] == targets["sentences"])
