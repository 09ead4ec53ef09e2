"""Encode questions and candidate keys as sequences of the network.

    [CLS] Q [SEP]  S [SEP] P [SEP] M [SEP]     one key: it attends to the question and to its past
    [CLS] Q [SEP]  S [SEP] P [SEP] M [SEP] O   the same with the first tokens of its object, for the ranker

All candidates of a question are in one sequence, as a trie. A token's position id is its depth after the question, and
it attends to the question and to its ancestors only. So each key is encoded as if it were alone, and shared prefixes
are encoded once. The sense is left out if the name has only one sense with this predicate.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.tokenizer import CharTokenizer, Encoding
from nlpkit.nn.tokens import TokenBatch
from nlpkit.tasks.kgqa.network.runner import Tokens

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
        leaves: [n] last node of each key, or of its object.
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


def question_tokens(questions: Sequence[Question]) -> Tokens:
    """Return the tokens of questions as the first ones of a cache; each attends to all of its question."""
    lengths = np.array([len(question.ids) for question in questions])
    in_question = np.arange(lengths.max()) < lengths[:, None]  # [b, m]
    sequence_ids, positions = in_question.nonzero()
    ids = np.concatenate([question.ids for question in questions])
    mask = in_question[:, None].repeat(in_question.shape[1], 1)
    return TokenBatch(ids, np.zeros_like(ids), positions, sequence_ids, positions, positions, mask)


def key_tokens(questions: Sequence[Question], tries: Sequence[KeyTrie]) -> Tokens:
    """Return the tokens of keys after their questions, which are in the cache; no trie is empty."""
    lengths = np.array([len(question.ids) for question in questions])
    counts = np.array([len(trie.tokens) for trie in tries])
    sequence_ids = np.arange(len(tries)).repeat(counts)
    slots = np.arange(counts.sum()) - (counts.cumsum() - counts).repeat(counts)
    ids, depths = (
        np.fromiter(chain.from_iterable(values), dtype=np.int64, count=int(counts.sum()))
        for values in ([trie.tokens for trie in tries], [trie.depths for trie in tries])
    )
    size = int((lengths + counts).max())
    mask = (np.arange(size) < lengths[:, None])[:, None].repeat(counts.max(), 1)
    for row, (length, trie) in enumerate(zip(lengths.tolist(), tries, strict=True)):
        count = len(trie.tokens)
        mask[row, :count, length : length + count] = ancestor_mask(trie.parents)
    starts = lengths[sequence_ids]
    types = np.full_like(ids, KEY_SEGMENT)
    return TokenBatch(ids, types, starts + depths, sequence_ids, starts + slots, slots, mask)


def ancestor_mask(parents: Sequence[int]) -> NDArray[np.bool_]:
    """Return [t, t], True where the column is the row's node or one of its ancestors."""
    mask = np.eye(len(parents), dtype=np.bool_)
    for node, parent in enumerate(parents):
        if parent >= 0:
            mask[node] |= mask[parent]
    return mask
