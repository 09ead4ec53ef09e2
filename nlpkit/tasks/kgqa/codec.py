"""Encode questions and candidate keys as sequences of the network.

    [CLS] Q [SEP]  S [SEP] P [SEP] M [SEP]     one key: it attends to the question and to its past

All candidates of a question are in one sequence, as a trie. A token's position id is its depth after the question, and
it attends to the question and to its ancestors only. So each key is encoded as if it were alone, and shared prefixes
are encoded once. The sense is left out if the name has only one sense with this predicate.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.padding import pad_batch
from nlpkit.core.text.tokenizer import CharTokenizer, Encoding
from nlpkit.nn.network import Inputs

KEY_SEGMENT = 1  # token type id of keys; that of questions is 0
ROOT = -1  # parent of the first tokens of keys: the question's [SEP]


@dataclass(frozen=True, slots=True)
class Question:
    """A tokenised question.

    Attributes:
        text: text of the question.
        encoding: tokens of the whole text with their character offsets.
        ids: [CLS], the tokens (as many as fit) and [SEP].
        truncated: whether tokens were cut off.
    """

    text: str
    encoding: Encoding
    ids: list[int]
    truncated: bool

    @classmethod
    def encode(cls, text: str, tokenizer: CharTokenizer, max_length: int) -> "Question":
        """Tokenise a text to at most `max_length` tokens, including [CLS] and [SEP]."""
        encoding = tokenizer.encode(text)
        tokens = encoding.ids[: max_length - 2]
        return cls(text, encoding, [tokenizer.cls_id, *tokens, tokenizer.sep_id], len(tokens) < len(encoding))

    @property
    def normalized(self) -> str:
        """Return the normalised text; character offsets are those of the text."""
        return normalize(self.text)

    @property
    def tokens(self) -> list[int]:
        """Return the token ids without [CLS] and [SEP]."""
        return self.ids[1:-1]

    def character_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the half-open range of characters that the tokens [start, end) cover."""
        return self.encoding.starts[start], self.encoding.ends[end - 1]

    def token_span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the half-open range of tokens that cover the characters [start, end).

        None if the range splits a token or is beyond the truncated text.
        """
        first, last = bisect_left(self.encoding.starts, start), bisect_left(self.encoding.ends, end)
        if last >= len(self.ids) - 2 or first > last:
            return None
        aligned = self.encoding.starts[first] == start and self.encoding.ends[last] == end
        return (first, last + 1) if aligned else None


@dataclass(slots=True)
class KeyTrie:
    """Keys as a trie after a question; t nodes with one token each, n keys.

    Attributes:
        tokens: [t] token of each node.
        parents: [t] parent of each node, or `ROOT`; parents come before their children.
        depths: [t] depth of each node, from 0.
        leaves: [n] last node of each key.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def extend(self, node: int, tokens: Sequence[int]) -> int:
        """Return the node at the end of a path of tokens below a node; missing nodes are added."""
        for token in tokens:
            child = self._children.get((node, token))
            if child is None:
                child = self._children[node, token] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(0 if node == ROOT else self.depths[node] + 1)
            node = child
        return node

    def path(self, tokens: Sequence[int]) -> list[int]:
        """Return the nodes of the longest prefix of the tokens that is in the trie."""
        nodes, node = [], ROOT
        for token in tokens:
            child = self._children.get((node, token))
            if child is None:
                break
            nodes.append(child)
            node = child
        return nodes


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


def ancestor_mask(parents: Sequence[int]) -> NDArray[np.bool_]:
    """Return [t, t], True where the column is the row's node or one of its ancestors."""
    mask = np.eye(len(parents), dtype=np.bool_)
    for node, parent in enumerate(parents):
        if parent >= 0:
            mask[node] |= mask[parent]
    return mask
