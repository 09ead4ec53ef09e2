"""Cosines of pairs: every sentence is encoded once; two files side by side."""

import numpy as np
import pytest

from nlpkit.errors import DataError
from nlpkit.tasks.embed.data import read_pairs
from nlpkit.tasks.embed.pairs import cosines, sentences, side_by_side


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_every_sentence_is_encoded_once(tmp_path):
    path = write(tmp_path / "a.tsv", "甲\t乙\t1\n乙\t甲\t0\n甲\t甲\t1\n")
    pairs = list(read_pairs([str(path)]))
    calls = []

    def encode(texts):
        calls.append(list(texts))
        return np.array([[3.0, 0.0], [1.0, 1.0]], np.float32)

    assert cosines(encode, pairs) == pytest.approx([0.5**0.5, 0.5**0.5, 1])
    assert calls == [["甲", "乙"]] == [sentences(pairs)]


def test_two_files_side_by_side(tmp_path):
    first, second = write(tmp_path / "a.txt", "甲\n\n丙\n"), write(tmp_path / "b.txt", "子\n丑\n寅\n")
    found = [(pair.first, pair.second) for pair in side_by_side(str(first), str(second))]
    assert found == [("甲", "子"), ("", "丑"), ("丙", "寅")]
    longer = write(tmp_path / "c.txt", "子\n丑\n寅\n卯\n")
    for pair in ((first, longer), (longer, first)):
        with pytest.raises(DataError, match=r"c\.txt:4: goes on where .*a\.txt has ended"):
            list(side_by_side(*map(str, pair)))
