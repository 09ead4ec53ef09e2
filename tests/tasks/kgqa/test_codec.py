"""Rows: a key in a tree of keys is read as if it stood there alone."""

import pytest
import torch
from hypothesis import given
from kgqa_support import SIZES, TOKENIZER, make_network
from support import texts

from nlpkit.nn.network import Inputs
from nlpkit.tasks.kgqa.codec import ROOT, KeyTrie, Question, ancestor_mask, collate


def question(text="红楼梦的作者是谁？", length=64):
    return Question.encode(text, TOKENIZER, length)


@pytest.mark.parametrize("kind", SIZES)
def test_each_key_in_a_tree_is_read_as_if_it_stood_alone(kind):
    network = make_network(kind=kind)
    questions = [question(), question("长江")]
    keys = [[[9, 8, 3], [9, 8, 7, 3], [9, 3], [20, 21, 22, 23]], [[9, 3]]]
    tries = []
    for rows in keys:
        trie = KeyTrie()
        trie.leaves = [trie.extend(ROOT, row) for row in rows]
        tries.append(trie)
    batch = collate(questions, tries, TOKENIZER.pad_id)
    with torch.inference_mode():
        states = network(batch.inputs).flatten(0, 1)
        for row, (asked, rows) in enumerate(zip(questions, keys, strict=True)):
            for leaf, key in zip(tries[row].leaves, rows, strict=True):
                ids = torch.tensor([[*asked.ids, *key]])
                size, begin = ids.shape[1], len(asked.ids)
                mask = torch.ones(size, size).tril().bool()
                mask[:begin, :begin] = True
                segments = (torch.arange(size) >= begin).long()[None]
                alone = network(Inputs(ids, mask[None], segments))[0, -1]
                torch.testing.assert_close(states[batch.index_of(row, leaf)], alone, atol=2e-5, rtol=1e-4)
            root = network(Inputs(torch.tensor([asked.ids]), torch.ones(1, len(asked.ids)).bool()))[0, -1]
            torch.testing.assert_close(states[batch.index_of(row, ROOT)], root, atol=2e-5, rtol=1e-4)


def test_a_tree_holds_common_beginnings_once():
    trie = KeyTrie()
    ends = [trie.extend(ROOT, key) for key in ([1, 2, 3], [1, 2, 4], [5])]
    assert trie.tokens == [1, 2, 3, 4, 5]
    assert trie.parents == [-1, 0, 1, 1, -1]
    assert trie.depths == [0, 1, 2, 2, 0]
    assert ends == [2, 3, 4]
    assert trie.path([1, 2, 4, 9]) == [0, 1, 3]
    assert ancestor_mask(trie.parents).tolist()[3] == [True, True, False, True, False]


@given(texts)
def test_spans_are_those_of_the_characters(text):
    encoded = question(text, 32)
    assert len(encoded.ids) <= 32
    assert encoded.truncated == (len(encoded.encoding) > 30)
    for token in range(len(encoded.tokens)):
        start, end = encoded.encoding.starts[token], encoded.encoding.ends[token]
        assert encoded.token_span(start, end) == (token, token + 1)
        assert end - start == 1 or encoded.token_span(start, end - 1) is None


def test_a_span_beyond_the_row_or_across_units_is_none():
    encoded = question("长江iPhone" + "江" * 50, 16)
    assert encoded.truncated
    assert encoded.token_span(0, 2) == (0, 2)
    assert encoded.token_span(0, 3) is None or encoded.encoding.ends[encoded.token_span(0, 3)[1] - 1] == 3
    assert encoded.token_span(40, 41) is None
    assert question("").token_span(0, 1) is None
