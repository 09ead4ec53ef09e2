"""Batches of questions with their keys for training: one padded sequence for each question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nlpkit.core.text.padding import pad_batch
from nlpkit.nn.network import Inputs
from nlpkit.tasks.kgqa.codec import KEY_SEGMENT, KeyTrie, Question, ancestor_mask


@dataclass(slots=True)
class KeyBatch:
    """Sequences of several questions with their keys.

    Attributes:
        inputs: inputs of the network.
        offsets: index of each question's first key token in the flattened batch [b · s].
        size: length s of the padded sequences.
    """

    inputs: Inputs
    offsets: list[int]
    size: int

    def index_of(self, question: int, node: int) -> int:
        """Return the index of a trie node in the flattened batch; for `ROOT` that of the question's [SEP]."""
        return self.offsets[question] + node


def collate(questions: Sequence[Question], tries: Sequence[KeyTrie], pad_id: int) -> KeyBatch:
    """Return the padded sequences of questions with their keys."""
    sequences = [[*question.ids, *trie.tokens] for question, trie in zip(questions, tries, strict=True)]
    input_ids, _ = pad_batch(sequences, pad_id)
    size = input_ids.shape[1]
    count = len(questions)
    positions, types = np.zeros((count, size), dtype=np.int64), np.zeros((count, size), dtype=np.int64)
    mask = np.zeros((count, size, size), dtype=np.bool_)
    mask[:, :, 0] = True  # also for padding: a softmax over no token would be NaN
    offsets = []
    for index, (question, trie) in enumerate(zip(questions, tries, strict=True)):
        begin, end = len(question.ids), len(question.ids) + len(trie.tokens)
        positions[index, :begin] = np.arange(begin)
        positions[index, begin:end] = np.asarray(trie.depths, dtype=np.int64) + begin
        types[index, begin:end] = KEY_SEGMENT
        mask[index, :end, :begin] = True
        mask[index, begin:end, begin:end] = ancestor_mask(trie.parents)
        offsets.append(index * size + begin)
    return KeyBatch(Inputs(*map(torch.from_numpy, (input_ids, mask, types, positions))), offsets, size)
