"""The batches of nlpkit-base's distillation: masks, alignment, and lines split among processes."""

import lzma

import pytest
from support import vocabulary
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.data import DataLoader

from nlpkit.core.text.tokenizer import CharTokenizer

TEXTS = [f"北京大学{number}号楼的教授在上海工作，昨天去了武汉" for number in range(3000)]
CHARACTERS = sorted(set("".join(TEXTS)))


@pytest.fixture
def pairs_module(monkeypatch):
    """The recipe's module."""
    import importlib
    from pathlib import Path

    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "nlpkit-base"))
    return importlib.import_module("pairs")


@pytest.fixture
def pairs(pairs_module):
    words = {"<pad>": 0, "<unk>": 1, **{text: index + 2 for index, text in enumerate(CHARACTERS)}}
    pieces = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    pieces.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return pairs_module.Pairs(CharTokenizer(vocabulary("".join(CHARACTERS))), pieces, 0, 1)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt.xz"
    path.write_bytes(lzma.compress("".join(f"{text}\n" for text in TEXTS).encode()))
    return [str(path)]


def test_a_piece_covers_the_tokens_of_its_characters(pairs):
    example = pairs.example(TEXTS[7])
    ids, theirs = example["ids"], example["theirs"]
    assert len(ids) == len(TEXTS[7]) + 2
    for place, begin, end in example["spans"]:
        assert [pairs.tokenizer.tokens[i] for i in ids[begin:end]] == [CHARACTERS[theirs[place] - 2]]


def test_a_fifth_of_the_tokens_is_masked_by_whole_words(pairs):
    example = pairs.example(TEXTS[0])
    batch = pairs.batch([example] * 50, with_masks=True)
    rows, places = batch.positions.unbind(1)
    assert batch.true.tolist() == [example["ids"][place] for place in places.tolist()]
    assert 0.15 < len(batch.true) / (50 * len(example["ids"])) < 0.3
    for row in range(50):
        masked = set(places[rows == row].tolist())
        assert all(set(word) <= masked or not set(word) & masked for word in example["words"])
    assert len(pairs.batch([example], with_masks=False).true) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_divide_the_lines(pairs_module, pairs, corpus, workers):
    stream = pairs_module.Stream(pairs, corpus, 100, size=2048)
    seen, tokens = [], 0
    for batch in DataLoader(stream, batch_size=None, num_workers=workers):
        assert batch.ids.numel() <= 2048
        assert batch.mask.sum() == batch.tokens
        tokens += batch.tokens
        seen += [row[mask].tolist() for row, mask in zip(batch.theirs, batch.their_mask, strict=True)]
        if len(seen) >= 2000:
            break
    texts = ["".join(CHARACTERS[i - 2] for i in row) for row in seen]
    assert len(set(texts)) == len(texts)
    assert set(texts) <= set(TEXTS[100:])
