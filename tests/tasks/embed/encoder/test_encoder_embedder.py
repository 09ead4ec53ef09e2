"""Batches, windows and order of an embedder whose encoder is a function."""

import numpy as np
import pytest
from support import vocabulary
from typing_extensions import override

from nlpkit.core.text.padding import TokenBudget
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.encoder.encoder_embedder import EncoderEmbedder
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.encoder.tokenize import WindowTokenizer

TEXT = "天地玄黄宇宙洪荒日月盈昃"


class Counting(EncoderEmbedder):
    """The vector of a sequence is (its tokens, 1)."""

    budget = TokenBudget(cpu=24, gpu=1)
    width = 2

    def __init__(self, max_length=64, value=1.0):
        self.tokenizer = WindowTokenizer(CharTokenizer(vocabulary(TEXT)), max_length)
        self.name, self.postprocessor, self.value, self.shapes = "m", Postprocessor(normalize=False), value, []

    @override
    def forward(self, sequences):
        lengths = [len(ids) for ids in sequences]
        self.shapes.append((len(sequences), max(lengths)))
        return np.array([[length, self.value] for length in lengths], np.float32)


def test_vectors_are_in_the_order_of_the_texts_and_batches_within_the_budget():
    texts = [TEXT[:size] for size in (3, 12, 0, 7, 1, 12, 5)]
    embedder = Counting()
    assert embedder.raw(texts).vectors[:, 0].tolist() == [len(text) + 2 for text in texts]
    assert all(rows * size <= 24 for rows, size in embedder.shapes)
    assert sum(rows for rows, _ in embedder.shapes) == len(texts)


def test_a_long_text_is_the_mean_of_its_windows_by_length():
    embedder = Counting(max_length=8)
    found = embedder.raw([TEXT, TEXT[:3]])
    lengths = [len(ids) for ids in embedder.tokenizer([TEXT]).ids]
    assert found.windows == {0: len(lengths)}
    assert found.vectors[0, 0] == pytest.approx(sum(n * n for n in lengths) / sum(lengths))
    assert found.vectors[1, 0] == 5


def test_a_prompt_is_put_before_every_text():
    embedder = Counting()
    embedder.prompt = TEXT[:2]
    assert embedder.raw([TEXT[:3], ""]).vectors[:, 0].tolist() == [7, 4]


def test_vectors_of_infinity_are_refused():
    with pytest.raises(ModelError, match="m: gives NaN or infinity; take --dtype fp32"):
        Counting(value=np.inf).raw([TEXT])
