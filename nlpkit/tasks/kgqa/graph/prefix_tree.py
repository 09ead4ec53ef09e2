"""The prefix tree over a graph's keys, walked in sorted arrays; nothing of it is ever enumerated.

A key is the token sequence `S [SEP] P [SEP] M [SEP]` (kexue.fm 8802): name, predicate, meaning. The keys in the order
of their tokens have ranks 0, 1, …; a node is a range of ranks that agree so far, and its children are the runs of equal
tokens at the next place of that range. The parts are kept apart, each distinct sequence ("form") once and in order, so
a range of names is a slice of all names, and a range of predicates is a slice of one subject's few keys:

    names        江 [SEP] · 江 西 [SEP] · 长 江 [SEP] …      sorted: what begins with 江 is a slice
    subject_keys 0 3 9 …                                     江 has the keys 0 to 3, 江西 3 to 9
    predicates   17 17 40 · 2 …                              the form of each key's predicate; meanings likewise

[SEP] is an edge like any other, so a name that begins another, or an empty meaning beside others, is reached. A node is
one int64, which a beam carries: the index of a *heavy* node (more than `HEAVY` entries, or the root), whose children
were worked out when the graph was built; or a *light* node, which packs level, depth, count and first entry, and whose
children are read from its at most `HEAVY` entries. With 20.56 million triples `next_tokens` takes 2 µs at the median
of a walk to a key and 0.4 µs at the root, and the heavy nodes 8 MB.
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

NAME, PREDICATE, MEANING, END = range(4)  # the level of a node: the part that it is in; END is a leaf
HEAVY = 512  # entries of the largest light node
MAX_TOKENS = (1 << 16) - 1  # of a form
MAX_KEYS = 1 << 33

LIGHT = 1 << 62
_LEVEL, _DEPTH, _COUNT = 60, 44, 33
_PLACE_BITS = (1 << 18) - 1  # level and depth, which grow along every walk
_DEPTH_BITS, _COUNT_BITS, _LO_BITS = (1 << 16) - 1, (1 << 11) - 1, (1 << 33) - 1


DAMAGE = (IndexError, KeyError, ValueError, OverflowError, TypeError, RuntimeError, zlib.error)
Damaged = Callable[[Exception], Exception]  # maps one of these to the error to raise


def as_it_is(error: Exception) -> Exception:
    """Return the error itself: for what is in memory, and no file's fault."""
    return error


class Forms(NamedTuple):
    """The distinct token sequences of one part, in token-lexicographic order.

    Attributes:
        tokens: ids, sequence after sequence, each closed by [SEP].
        offsets: where each begins, and the end of the last.
    """

    tokens: Ints
    offsets: Ints


class Keys(NamedTuple):
    """The keys, by the forms of their parts; n names with k keys in all.

    Attributes:
        starts: [n + 1] the rank of each name's first key, and the number of keys.
        predicates: [k] the form of each key's predicate, ascending within a name.
        meanings: [k] the form of each key's meaning, ascending within a predicate.
    """

    starts: Ints
    predicates: Ints
    meanings: Ints


@dataclass(frozen=True, slots=True)
class HeavyNodes:
    """The nodes whose children are precomputed; h nodes with c children in all.

    Attributes:
        nodes: [h, 4] level, depth, first entry and count; the root is the first.
        starts: [h + 1] where each one's children begin.
        tokens: int32 [c].
        children: int64 [c] the node behind each token.
    """

    nodes: NDArray[np.int64]
    starts: NDArray[np.int64]
    tokens: NDArray[np.int32]
    children: NDArray[np.int64]

    def check(self, names: int, keys: int) -> None:
        """Check that the nodes lie in the tree, and that every edge leads down, so that no walk is without end.

        Args:
            names: the number of names.
            keys: the number of keys.

        Raises:
            ValueError: they do not.
        """
        level, depth, first, count = self.nodes.T
        size = np.array([names, keys, keys, keys])
        if not len(level) or self.nodes[0].tolist() != [NAME, 0, 0, names] or self.starts[0]:
            raise ValueError("does not begin with the root")
        low = min(level.min(), depth.min(), first.min(), count.min(), np.diff(self.starts).min())
        if low < 0 or level.max() > MEANING or depth.max() > MAX_TOKENS or (first > size[level] - count).any():
            raise ValueError("has a node outside of the tree")
        places = level << _LEVEL - _DEPTH | depth
        heavy = np.flatnonzero(self.children < LIGHT)
        ends = self.children >> _DEPTH & _PLACE_BITS
        chosen = self.children[heavy]
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(places)):
            raise ValueError("has an edge to no node")
        ends[heavy] = places[chosen]
        if (ends <= np.repeat(places, np.diff(self.starts))).any():
            raise ValueError("has an edge that does not lead down")


class PrefixTree:
    """The tree of a graph.

    Args:
        forms: of names, predicates and meanings.
        keys: in the order of their tokens.
        sep_id: what closes a part.
        heavy: the precomputed nodes; worked out here where they are not given.
        damaged: maps what is raised where an array leads outside of another one to the error to raise.
    """

    root = 0

    def __init__(
        self,
        forms: tuple[Forms, Forms, Forms],
        keys: Keys,
        sep_id: int,
        heavy: HeavyNodes | None = None,
        damaged: Damaged = as_it_is,
    ):
        self.sep_id, self.damaged = sep_id, damaged
        self.forms = forms
        self.subject_keys, self.key_predicates, self.key_meanings = keys
        # An item of a memoryview comes as an int in 40 ns, half of what an array takes; and `np.searchsorted` would
        # convert a whole array to the type of what is looked for, where `bisect` on a memoryview takes a microsecond.
        self._tokens = tuple(part.tokens.data for part in forms)
        self._offsets = tuple(part.offsets.data for part in forms)
        self._entries = (None, keys.predicates, keys.meanings)
        self._entry = (range(len(forms[NAME].offsets) - 1), keys.predicates.data, keys.meanings.data)
        self._keys = keys.starts.data
        self._heavy_names: dict[int, int] = {}  # name -> the heavy node of its predicates
        self.heavy = _precompute(self) if heavy is None else heavy
        self._use(self.heavy)

    def __len__(self) -> int:
        """The number of keys."""
        return len(self.key_predicates)

    def _use(self, heavy: HeavyNodes) -> None:
        self._nodes, self._starts = heavy.nodes.data, heavy.starts.data
        begins = np.flatnonzero((heavy.nodes[:, 0] == PREDICATE) & (heavy.nodes[:, 1] == 0))
        owners = np.searchsorted(self.subject_keys, heavy.nodes[begins, 2], "right") - 1
        self._heavy_names = dict(zip(owners.tolist(), begins.tolist(), strict=True))

    def next_tokens(self, node: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """All that may follow: tokens [k], ascending, and the node behind each [k]; a leaf has none.

        [SEP] among them ends the part.
        """
        try:
            if node < LIGHT:
                start, end = self._starts[node], self._starts[node + 1]
                return self.heavy.tokens[start:end], self.heavy.children[start:end]
            level, depth, lo, count = _unpack(node)
            if level == END:
                return _NO_TOKENS, _NO_NODES
            only = self._only(level, depth, lo, count)
            if only is not None:
                return np.array(only[:1], dtype=np.int32), np.array(only[1:], dtype=np.int64)
            tokens, starts, counts = self._runs(level, depth, lo, count)
            nodes = (counts << _COUNT) + (starts + light(level, depth + 1, lo, 0))
            for index in np.flatnonzero(tokens == self.sep_id).tolist():
                nodes[index] = self._next_part(level, lo + int(starts[index]), int(counts[index]))
        except DAMAGE as error:
            raise self.damaged(error) from None
        return tokens, nodes

    def advance(self, node: int, token: int) -> int:
        """The node behind a token.

        Raises:
            KeyError: the token may not follow here.
        """
        tokens, nodes = self.next_tokens(node)
        index = int(tokens.searchsorted(np.int32(token)))
        if index == len(tokens) or tokens[index] != token:
            raise KeyError(token)
        return int(nodes[index])

    def forced(self, node: int) -> tuple[list[int], int]:
        """The tokens that must follow, one after the other, while there is no choice, and the node behind them."""
        forced: list[int] = []
        try:
            while (found := self._single(node)) is not None:
                forced.append(found[0])
                node = found[1]
        except DAMAGE as error:
            raise self.damaged(error) from None
        return forced, node

    def is_leaf(self, node: int) -> bool:
        """Whether a key ends here."""
        return node >= LIGHT and node >> _LEVEL & 3 == END

    def level(self, node: int) -> int:
        """The part that the next token belongs to: NAME, PREDICATE or MEANING; END for a leaf."""
        return self._nodes[node, 0] if node < LIGHT else node >> _LEVEL & 3

    def keys(self, node: int) -> tuple[int, int]:
        """The half-open range of the ranks of all keys under a node; one key under a leaf."""
        level, _, lo, count = self._unpacked(node)
        try:
            start, end = (self._keys[lo], self._keys[lo + count]) if level == NAME else (lo, lo + count)
            if not start <= end <= len(self):
                raise IndexError("a node with other keys")
            return start, end
        except DAMAGE as error:
            raise self.damaged(error) from None

    def name_of(self, rank: int) -> int:
        """The form of a key's name."""
        return bisect_right(self._keys, rank) - 1

    def parts(self, rank: int) -> tuple[int, int, int]:
        """The forms of a key's name, predicate and meaning."""
        try:
            return self.name_of(rank), self._entry[PREDICATE][rank], self._entry[MEANING][rank]
        except DAMAGE as error:
            raise self.damaged(error) from None

    def form(self, level: int, index: int) -> NDArray[np.int32]:
        """The tokens of a form of a part, its [SEP] included."""
        tokens, offsets = self.forms[level]
        try:
            return tokens[offsets[index] : offsets[index + 1]].astype(np.int32)
        except DAMAGE as error:
            raise self.damaged(error) from None

    def tokens(self, rank: int) -> NDArray[np.int32]:
        """The tokens of a key, with its three [SEP]."""
        return np.concatenate([self.form(level, index) for level, index in enumerate(self.parts(rank))])

    def length(self, rank: int) -> int:
        """The number of tokens of a key."""
        parts = zip(self._offsets, self.parts(rank), strict=True)
        try:
            return sum(offsets[form + 1] - offsets[form] for offsets, form in parts)
        except DAMAGE as error:
            raise self.damaged(error) from None

    def rank(self, name: int, predicate: int, meaning: int) -> int | None:
        """The key of three forms, where there is one."""
        try:
            lo, hi = self._keys[name], self._keys[name + 1]
            for level, form in ((PREDICATE, predicate), (MEANING, meaning)):
                entry = self._entry[level]
                lo, hi = bisect_left(entry, form, lo, hi), bisect_right(entry, form, lo, hi)
        except DAMAGE as error:
            raise self.damaged(error) from None
        return lo if lo < hi else None

    def subject(self, name: int) -> int:
        """The node behind a name and its [SEP]."""
        try:
            return self._next_part(NAME, name, 1)
        except DAMAGE as error:
            raise self.damaged(error) from None

    def _unpacked(self, node: int) -> tuple[int, int, int, int]:
        """Level, depth, first entry and count."""
        if node >= LIGHT:
            return _unpack(node)
        nodes = self._nodes
        return nodes[node, 0], nodes[node, 1], nodes[node, 2], nodes[node, 3]

    def _single(self, node: int) -> tuple[int, int] | None:
        """The only token that may follow and the node behind it; None at a leaf and where there is a choice."""
        if node >= LIGHT:
            level, depth, lo, count = _unpack(node)
            return None if level == END else self._only(level, depth, lo, count)
        start, end = self._starts[node], self._starts[node + 1]
        return (int(self.heavy.tokens[start]), int(self.heavy.children[start])) if end - start == 1 else None

    def _only(self, level: int, depth: int, lo: int, count: int) -> tuple[int, int] | None:
        """As `_single`: sorted entries have but one token where the first and the last have the same."""
        if depth == MAX_TOKENS:
            raise IndexError("a name without an end")
        tokens, offsets, entry = self._tokens[level], self._offsets[level], self._entry[level]
        token = tokens[offsets[entry[lo]] + depth]
        if count > 1 and token != tokens[offsets[entry[lo + count - 1]] + depth]:
            return None
        if token == self.sep_id:
            return token, self._next_part(level, lo, count)
        return token, light(level, depth + 1, lo, count)

    def _runs(
        self, level: int, depth: int, lo: int, count: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """The runs of equal tokens at a place of some entries: token, first entry counted from lo, length."""
        tokens, offsets = self.forms[level]
        entries = self._entries[level]
        places = offsets[lo : lo + count] if entries is None else offsets[entries[lo : lo + count]]
        column = tokens[places + depth]
        changes = np.empty(count + 1, dtype=np.bool_)
        changes[0] = changes[count] = True
        np.not_equal(column[1:], column[:-1], out=changes[1:-1])
        edges = changes.nonzero()[0]
        starts = edges[:-1]
        return column[starts].astype(np.int32), starts, edges[1:] - starts

    def _next_part(self, level: int, entry: int, count: int) -> int:
        """The node behind the [SEP] of a part."""
        if level == NAME:
            entry, count, name = self._keys[entry], self._keys[entry + 1] - self._keys[entry], entry
            if count <= 0 or entry + count > len(self):
                raise IndexError("a name with other keys")
            if count > HEAVY:
                return self._heavy_names[name]
        return light(level + 1, 0, entry, count)


def light(level: int, depth: int, lo: int, count: int) -> int:
    """The packed form of a light node."""
    return LIGHT | level << _LEVEL | depth << _DEPTH | count << _COUNT | lo


def _unpack(node: int) -> tuple[int, int, int, int]:
    return node >> _LEVEL & 3, node >> _DEPTH & _DEPTH_BITS, node & _LO_BITS, node >> _COUNT & _COUNT_BITS


def _precompute(tree: PrefixTree) -> HeavyNodes:
    """Works out the children of all heavy nodes, breadth first, from the root and from the names with many keys."""
    degrees = np.diff(tree.subject_keys)
    nodes: list[tuple[int, int, int, int]] = [(NAME, 0, 0, len(degrees))]
    for name in np.flatnonzero(degrees > HEAVY).tolist():
        tree._heavy_names[name] = len(nodes)
        nodes.append((PREDICATE, 0, int(tree.subject_keys[name]), int(degrees[name])))
    tokens, children, starts = [_NO_TOKENS], [_NO_NODES], [0]
    waiting = deque(nodes)
    while waiting:
        level, depth, lo, count = waiting.popleft()
        found, begins, counts = tree._runs(level, depth, lo, count) if count else (_NO_TOKENS, _NO_NODES, _NO_NODES)
        behind = (np.minimum(counts, HEAVY) << _COUNT) + (begins + light(level, depth + 1, lo, 0))
        for index in np.flatnonzero((counts > HEAVY) | (found == tree.sep_id)).tolist():
            first, size = lo + int(begins[index]), int(counts[index])
            child = (level, depth + 1, first, size) if found[index] != tree.sep_id else (level + 1, 0, first, size)
            if found[index] == tree.sep_id and (level == NAME or size <= HEAVY):
                behind[index] = tree._next_part(level, first, size)
                continue
            behind[index] = len(nodes)
            nodes.append(child)
            waiting.append(child)
        tokens.append(found)
        children.append(behind)
        starts.append(starts[-1] + len(found))
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
