"""Batches for training: each key of a trie is encoded as if it were alone."""

import pytest
import torch
from kgqa_support import SIZES, TOKENIZER, make_network

from nlpkit.nn.network import Inputs
from nlpkit.tasks.kgqa.codec import ROOT, KeyTrie, Question
from nlpkit.tasks.kgqa.training.key_batch import collate


def question(text="红楼梦的作者是谁？"):
    return Question.encode(text, TOKENIZER, 64)


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
