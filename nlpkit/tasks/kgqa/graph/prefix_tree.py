"""Prefix tree over the keys of a graph, stored as sorted arrays instead of linked nodes.

A key is the token sequence `S [SEP] P [SEP] M [SEP]` (kexue.fm 8802) of an entity name, a predicate and a sense. Keys
are numbered from 0 in token-lexicographic order; this number is the key's rank. A node is a range of ranks that share a
prefix, and its children are the runs of equal tokens at the next position of that range. Each component has a table of
its distinct token sequences ("token forms") in sorted order, so a range of names is a slice of all names, and a range
of predicates is a slice of one subject's few keys:

    names        江 [SEP] · 江 西 [SEP] · 长 江 [SEP] …      sorted: names that begin with 江 are a slice
    subject_keys 0 3 9 …                                     江 has the keys 0 to 3, 江西 3 to 9
    predicates   17 17 40 · 2 …                              token form of each key's predicate; senses likewise

[SEP] is an edge like any other, so a name that is a prefix of another name, or an empty sense beside others, can be
reached. A node is one int64. It is either the index of a *heavy* node (more than `HEAVY` entries, or the root), whose
children were computed when the graph was built, or a *light* node, which packs level, depth, count and first entry, and
whose children are computed from its at most `HEAVY` entries.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]  # of any unsigned width

NAME, PREDICATE, SENSE, END = range(4)  # level of a node: the component that the next token belongs to; END: a leaf
HEAVY = 512  # maximum number of entries of a light node
MAX_TOKENS = (1 << 16) - 1  # of a token form; bits of the depth in a light node
MAX_KEYS = 1 << 33  # of a graph; bits of the first entry in a light node

LIGHT = 1 << 62
_LEVEL, _DEPTH, _COUNT = 60, 44, 33
_POSITION_BITS = (1 << 18) - 1  # level and depth, which grow along every path
_DEPTH_BITS, _COUNT_BITS, _LO_BITS = (1 << 16) - 1, (1 << 11) - 1, (1 << 33) - 1


DAMAGE_ERRORS = (IndexError, KeyError, ValueError, OverflowError, TypeError, RuntimeError, zlib.error)
DamageHandler = Callable[[Exception], Exception]  # maps one of these to the error to raise


def reraise(error: Exception) -> Exception:
    """Return the error unchanged: the handler for arrays that were not read from files."""
    return error


class TokenForms(NamedTuple):
    """Distinct token sequences of one component, in token-lexicographic order.

    Attributes:
        tokens: token ids of all sequences, concatenated; each sequence ends with [SEP].
        offsets: start of each sequence, and the end of the last one.
    """

    tokens: Ints
    offsets: Ints


class Keys(NamedTuple):
    """Keys of a graph as token forms; n names, k keys.

    Attributes:
        starts: [n + 1] rank of each name's first key, and the number of keys.
        predicates: [k] token form of each key's predicate, ascending within a name.
        senses: [k] token form of each key's sense, ascending within a predicate.
    """

    starts: Ints
    predicates: Ints
    senses: Ints


@dataclass(frozen=True, slots=True)
class HeavyNodes:
    """Nodes with precomputed children; h nodes, c children in total.

    Attributes:
        nodes: [h, 4] level, depth, first entry and count; the first node is the root.
        starts: [h + 1] index of each node's first child.
        tokens: int32 [c] token of each child.
        children: int64 [c] node of each child.
    """

    nodes: NDArray[np.int64]
    starts: NDArray[np.int64]
    tokens: NDArray[np.int32]
    children: NDArray[np.int64]

    def check(self, names: int, keys: int) -> None:
        """Check that all nodes are inside the tree and every edge leads down, so that every walk terminates.

        Args:
            names: number of names.
            keys: number of keys.

        Raises:
            ValueError: a node or an edge is invalid.
        """
        level, depth, first, count = self.nodes.T
        size = np.array([names, keys, keys, keys])
        if not len(level) or self.nodes[0].tolist() != [NAME, 0, 0, names] or self.starts[0]:
            raise ValueError("does not begin with the root")
        low = min(level.min(), depth.min(), first.min(), count.min(), np.diff(self.starts).min())
        if low < 0 or level.max() > SENSE or depth.max() > MAX_TOKENS or (first > size[level] - count).any():
            raise ValueError("has a node outside of the tree")
        positions = level << _LEVEL - _DEPTH | depth
        heavy = np.flatnonzero(self.children < LIGHT)
        ends = self.children >> _DEPTH & _POSITION_BITS
        chosen = self.children[heavy]
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(positions)):
            raise ValueError("has an edge to no node")
        ends[heavy] = positions[chosen]
        if (ends <= np.repeat(positions, np.diff(self.starts))).any():
            raise ValueError("has an edge that does not lead down")


class PrefixTree:
    """Prefix tree of a graph.

    Args:
        forms: token forms of names, predicates and senses.
        keys: keys in token-lexicographic order.
        sep_id: id of [SEP], which ends each component.
        heavy: precomputed nodes; computed here when None.
        damaged: maps an exception caused by inconsistent arrays to the error to raise.
    """

    root = 0

    def __init__(
        self,
        forms: tuple[TokenForms, TokenForms, TokenForms],
        keys: Keys,
        sep_id: int,
        heavy: HeavyNodes | None = None,
        damaged: DamageHandler = reraise,
    ):
        self.sep_id, self.damaged = sep_id, damaged
        self.vocab_size = 1 << 31  # of the tokenizer, once that is known
        self.forms = forms
        self.subject_keys, self.key_predicates, self.key_senses = keys
        # Indexing a memoryview gives an int twice as fast as indexing an array; and `np.searchsorted` would convert the
        # whole array to the type of the searched value, which `bisect` on a memoryview does not.
        self._tokens = tuple(table.tokens.data for table in forms)
        self._offsets = tuple(table.offsets.data for table in forms)
        self._entries = (None, keys.predicates, keys.senses)
        self._entry = (range(len(forms[NAME].offsets) - 1), keys.predicates.data, keys.senses.data)
        self._keys = keys.starts.data
        self._heavy_names: dict[int, int] = {}  # name -> heavy node of its predicates
        self.heavy = _precompute(self) if heavy is None else heavy
        self._use(self.heavy)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self.key_predicates)

    def _use(self, heavy: HeavyNodes) -> None:
        self._nodes, self._starts = heavy.nodes.data, heavy.starts.data
        begins = np.flatnonzero((heavy.nodes[:, 0] == PREDICATE) & (heavy.nodes[:, 1] == 0))
        owners = np.searchsorted(self.subject_keys, heavy.nodes[begins, 2], "right") - 1
        self._heavy_names = dict(zip(owners.tolist(), begins.tolist(), strict=True))

    def next_tokens(self, node: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the allowed next tokens [k], ascending, and the child node of each [k]; a leaf has none.

        The token [SEP] ends a component.
        """
        try:
            if node < LIGHT:
                start, end = self._starts[node], self._starts[node + 1]
                return self._checked(self.heavy.tokens[start:end]), self.heavy.children[start:end]
            level, depth, lo, count = _unpack(node)
            if level == END:
                return _NO_TOKENS, _NO_NODES
            only = self._only(level, depth, lo, count)
            if only is not None:
                return self._checked(np.array(only[:1], dtype=np.int32)), np.array(only[1:], dtype=np.int64)
            tokens, starts, counts = self._runs(level, depth, lo, count)
            nodes = (counts << _COUNT) + (starts + light(level, depth + 1, lo, 0))
            for index in np.flatnonzero(tokens == self.sep_id).tolist():
                nodes[index] = self._next_component(level, lo + int(starts[index]), int(counts[index]))
            return self._checked(tokens), nodes
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None

    def advance(self, node: int, token: int) -> int:
        """Return the child of a node for a token.

        Raises:
            KeyError: the token is not allowed at this node.
        """
        tokens, nodes = self.next_tokens(node)
        index = int(tokens.searchsorted(np.int32(token)))
        if index == len(tokens) or tokens[index] != token:
            raise KeyError(token)
        return int(nodes[index])

    def forced(self, node: int) -> tuple[list[int], int]:
        """Return the tokens that must follow as long as only one is allowed, and the node after them."""
        forced: list[int] = []
        try:
            while (step := self._single(node)) is not None:
                forced.append(step[0])
                node = step[1]
            self._checked(np.array(forced, dtype=np.int32))
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None
        return forced, node

    def is_leaf(self, node: int) -> bool:
        """Return whether the node is a leaf, that is, a complete key."""
        return node >= LIGHT and node >> _LEVEL & 3 == END

    def level(self, node: int) -> int:
        """Return the component that the next token belongs to: NAME, PREDICATE or SENSE; END for a leaf."""
        return self._nodes[node, 0] if node < LIGHT else node >> _LEVEL & 3

    def keys(self, node: int) -> tuple[int, int]:
        """Return the half-open range of the ranks of all keys under a node; a leaf has one key."""
        level, _, lo, count = self._unpacked(node)
        try:
            start, end = (self._keys[lo], self._keys[lo + count]) if level == NAME else (lo, lo + count)
            if not start <= end <= len(self):
                raise IndexError("a node whose keys are out of range")
            return start, end
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None

    def name_of(self, rank: int) -> int:
        """Return the token form of a key's name."""
        return bisect_right(self._keys, rank) - 1

    def components(self, rank: int) -> tuple[int, int, int]:
        """Return the token forms of a key's name, predicate and sense."""
        try:
            return self.name_of(rank), self._entry[PREDICATE][rank], self._entry[SENSE][rank]
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None

    def form(self, level: int, index: int) -> NDArray[np.int32]:
        """Return the tokens of a token form of a component, including [SEP]."""
        tokens, offsets = self.forms[level]
        try:
            return tokens[offsets[index] : offsets[index + 1]].astype(np.int32)
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None

    def tokens(self, rank: int) -> NDArray[np.int32]:
        """Return the tokens of a key, including its three [SEP]."""
        tokens = np.concatenate([self.form(level, index) for level, index in enumerate(self.components(rank))])
        try:
            return self._checked(tokens)
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None

    def length(self, rank: int) -> int:
        """Return the number of tokens of a key."""
        components = zip(self._offsets, self.components(rank), strict=True)
        try:
            return sum(offsets[form + 1] - offsets[form] for offsets, form in components)
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None

    def rank(self, name: int, predicate: int, sense: int) -> int | None:
        """Return the rank of the key with these token forms; None if there is no such key."""
        try:
            lo, hi = self._keys[name], self._keys[name + 1]
            for level, form in ((PREDICATE, predicate), (SENSE, sense)):
                entry = self._entry[level]
                lo, hi = bisect_left(entry, form, lo, hi), bisect_right(entry, form, lo, hi)
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None
        return lo if lo < hi else None

    def subject(self, name: int) -> int:
        """Return the node after a name and its [SEP]."""
        try:
            return self._next_component(NAME, name, 1)
        except DAMAGE_ERRORS as error:
            raise self.damaged(error) from None

    def _checked(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return tokens of which all are in the vocabulary; raises IndexError."""
        if tokens.view(np.uint32).max(initial=0) >= self.vocab_size:
            raise IndexError("a token that is not in the vocabulary")
        return tokens

    def _unpacked(self, node: int) -> tuple[int, int, int, int]:
        """Return level, depth, first entry and count of a node."""
        if node >= LIGHT:
            return _unpack(node)
        nodes = self._nodes
        return nodes[node, 0], nodes[node, 1], nodes[node, 2], nodes[node, 3]

    def _single(self, node: int) -> tuple[int, int] | None:
        """Return the only allowed token and the node after it; None at a leaf or if there is a choice."""
        if node >= LIGHT:
            level, depth, lo, count = _unpack(node)
            return None if level == END else self._only(level, depth, lo, count)
        start, end = self._starts[node], self._starts[node + 1]
        return (int(self.heavy.tokens[start]), int(self.heavy.children[start])) if end - start == 1 else None

    def _only(self, level: int, depth: int, lo: int, count: int) -> tuple[int, int] | None:
        """Return `_single` of a light node: sorted entries share a token if the first and the last entry do."""
        if depth == MAX_TOKENS:
            raise IndexError("a name without [SEP]")
        tokens, offsets, entry = self._tokens[level], self._offsets[level], self._entry[level]
        token = tokens[offsets[entry[lo]] + depth]
        if count > 1 and token != tokens[offsets[entry[lo + count - 1]] + depth]:
            return None
        if token == self.sep_id:
            return token, self._next_component(level, lo, count)
        return token, light(level, depth + 1, lo, count)

    def _runs(
        self, level: int, depth: int, lo: int, count: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Return the runs of equal tokens at one depth of some entries: token, first entry relative to lo, length."""
        tokens, offsets = self.forms[level]
        entries = self._entries[level]
        positions = offsets[lo : lo + count] if entries is None else offsets[entries[lo : lo + count]]
        column = tokens[positions + depth]
        changes = np.empty(count + 1, dtype=np.bool_)
        changes[0] = changes[count] = True
        np.not_equal(column[1:], column[:-1], out=changes[1:-1])
        edges = changes.nonzero()[0]
        starts = edges[:-1]
        return column[starts].astype(np.int32), starts, edges[1:] - starts

    def _next_component(self, level: int, entry: int, count: int) -> int:
        """Return the node after the [SEP] of a component."""
        if level == NAME:
            entry, count, name = self._keys[entry], self._keys[entry + 1] - self._keys[entry], entry
            if count <= 0 or entry + count > len(self):
                raise IndexError("a name whose keys are out of range")
            if count > HEAVY:
                return self._heavy_names[name]
        return light(level + 1, 0, entry, count)


def light(level: int, depth: int, lo: int, count: int) -> int:
    """Return a light node, packed into an int."""
    return LIGHT | level << _LEVEL | depth << _DEPTH | count << _COUNT | lo


def _unpack(node: int) -> tuple[int, int, int, int]:
    return node >> _LEVEL & 3, node >> _DEPTH & _DEPTH_BITS, node & _LO_BITS, node >> _COUNT & _COUNT_BITS


def _precompute(tree: PrefixTree) -> HeavyNodes:
    """Compute the children of all heavy nodes, breadth first, from the root and from the names with many keys."""
    degrees = np.diff(tree.subject_keys)
    nodes: list[tuple[int, int, int, int]] = [(NAME, 0, 0, len(degrees))]
    for name in np.flatnonzero(degrees > HEAVY).tolist():
        tree._heavy_names[name] = len(nodes)
        nodes.append((PREDICATE, 0, int(tree.subject_keys[name]), int(degrees[name])))
    tokens, children, starts = [_NO_TOKENS], [_NO_NODES], [0]
    queue = deque(nodes)
    while queue:
        level, depth, lo, count = queue.popleft()
        labels, begins, counts = tree._runs(level, depth, lo, count) if count else (_NO_TOKENS, _NO_NODES, _NO_NODES)
        nodes_after = (np.minimum(counts, HEAVY) << _COUNT) + (begins + light(level, depth + 1, lo, 0))
        for index in np.flatnonzero((counts > HEAVY) | (labels == tree.sep_id)).tolist():
            first, size = lo + int(begins[index]), int(counts[index])
            child = (level, depth + 1, first, size) if labels[index] != tree.sep_id else (level + 1, 0, first, size)
            if labels[index] == tree.sep_id and (level == NAME or size <= HEAVY):
                nodes_after[index] = tree._next_component(level, first, size)
                continue
            nodes_after[index] = len(nodes)
            nodes.append(child)
            queue.append(child)
        tokens.append(labels)
        children.append(nodes_after)
        starts.append(starts[-1] + len(labels))
    return HeavyNodes(
        np.array(nodes, dtype=np.int64),
        np.array(starts, dtype=np.int64),
        np.concatenate(tokens),
        np.concatenate(children),
    )


_NO_TOKENS = np.empty(0, dtype=np.int32)
_NO_NODES = np.empty(0, dtype=np.int64)
for _empty in (_NO_TOKENS, _NO_NODES):
    _empty.flags.writeable = False
