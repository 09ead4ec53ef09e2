"""Lookup of characters and words in texts by array operations.

    lexicon = Lexicon(["今", "天", "气", "今天", "天气"])
    lexicon.find(["今天天气", "天"])      # by length: [(ids [0 1 1 2 1], starts [0 4]), (ids [3 4], starts [0 2])]

Every token of the lexicon that occurs in a text is found, also where two overlap; texts are not segmented. The tokens
form a trie. All positions of all texts walk down the trie together, one character per step, and most stop early. An
ASCII word is found only as a whole, not inside another one.

Shapes: n texts, t characters, k of them where a token of this length starts.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.vocabulary import lookup_form
from nlpkit.tasks.embed.encoder.unknown import Unknown

Ids = NDArray[np.int32]
Offsets = NDArray[np.int64]
Keys = NDArray[np.int64]

_UNSEEN, _SKIPPED = -1, -2  # in place of a character's id: not looked up yet; no width
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing
_EMPTY = -1
_SLOTS_PER_KEY = 4
_ZERO_WIDTH = ("Cf", "Mn", "Me")
_BLANK = ("Cc", "Zs", "Zl", "Zp")


class Lexicon:
    """A list of tokens that can be looked up in texts.

    Args:
        tokens: distinct; first all characters, then the words, which consist of these characters.

    Raises:
        ValueError: a word has a character that is no token, or comes before one; or a token comes twice.
    """

    def __init__(self, tokens: Sequence[str]):
        self.tokens = list(tokens)
        self._characters = {token: index for index, token in enumerate(self.tokens) if len(token) == 1}
        self._none = len(self._characters)  # the id of all characters that are no tokens,
        self._letter = self._none + 1  # except ASCII letters and digits, which may continue a word
        self._radix = self._none + 2
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("a token comes twice")
        if "" in self.tokens:
            raise ValueError("a token is empty")
        if any(len(token) != 1 for token in self.tokens[: self._none]):
            raise ValueError("the characters must come before the words")
        self._ids = np.full(0x110000, _UNSEEN, dtype=np.int32)  # of code points
        self._ids[0x0A] = self._none  # separates texts
        self._unknown = np.zeros(0x110000, dtype=np.bool_)  # visible code points that are no tokens, once looked up
        self._spells_ascii = np.array([*map(_spells_ascii, self._characters), False, True])
        self._words, children = self._grow()
        self._table = _Table(children)

    def __len__(self) -> int:
        return len(self.tokens)

    def find(self, texts: Sequence[str]) -> list[tuple[Ids, Offsets]]:
        """Return the tokens of each text, by their length in characters: (ids [k], each text's first one in them [n]).

        They are in the order of the text and may repeat. Memory: 50 bytes per character.
        """
        characters, starts = self._read(texts)
        known = np.flatnonzero(characters < self._none)
        tokens = [(characters[known], np.searchsorted(known, starts))]
        inside = self._inside_ascii(characters)
        positions = np.arange(max(0, len(characters) - 1))
        nodes = characters[:-1]
        length = 1
        while len(positions):
            nodes = self._table(nodes * np.int64(self._radix) + characters[positions + length])
            alive = np.flatnonzero(nodes >= 0)
            positions, nodes = positions[alive], nodes[alive]
            length += 1
            words = self._words[nodes]
            is_word = (words >= 0) & ~inside[positions] & ~inside[positions + length]
            tokens.append((words[is_word], np.searchsorted(positions[is_word], starts)))
        return tokens

    def unknown(self, texts: Sequence[str]) -> dict[int, Unknown]:
        """Return the characters of texts that are no tokens, by the position of the text; call `find` first."""
        joined = "".join(texts)
        positions = np.flatnonzero(self._unknown[np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)])
        if not positions.size:
            return {}
        ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
        owners = np.searchsorted(ends, positions, "right").tolist()  # texts of the characters
        unknown: dict[int, list[str]] = {}
        for position, text in zip(positions.tolist(), owners, strict=True):
            unknown.setdefault(text, []).append(joined[position])
        return {text: Unknown(tuple(c), len(c) / len("".join(texts[text].split()))) for text, c in unknown.items()}

    def _grow(self) -> tuple[Ids, dict[int, int]]:
        """Return the trie: the word that ends at each node (or -1), and (node · radix + character) -> the next node.

        The first nodes are the characters themselves.
        """
        words = list(range(self._none))
        children: dict[int, int] = {}
        for index, token in enumerate(self.tokens[self._none :], self._none):
            if not set(token) <= self._characters.keys():
                raise ValueError(f"{token!r} has a character that is no token")
            node = self._characters[token[0]]
            for character in token[1:]:
                key = node * self._radix + self._characters[character]
                node = children.setdefault(key, len(words))
                if node == len(words):
                    words.append(-1)
            words[node] = index
        return np.array(words, dtype=np.int32), children

    def _read(self, texts: Sequence[str]) -> tuple[Ids, Offsets]:
        """Return character ids [t] of all texts, with a separator after each, and where each text starts [n]."""
        joined = "".join(text + "\n" for text in texts)
        points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        ids = self._ids[points]
        if (unseen := np.flatnonzero(ids == _UNSEEN)).size:
            for point in np.unique(points[unseen]).tolist():
                self._ids[point] = self._look_up(chr(point))
            ids = self._ids[points]
        sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
        starts = np.cumsum(sizes) - sizes
        skipped = np.flatnonzero(ids == _SKIPPED)
        if skipped.size:
            ids = np.delete(ids, skipped)
            starts -= np.searchsorted(skipped, starts)
        return ids, starts

    def _look_up(self, character: str) -> int:
        """Return the id of a character in the form that vocabularies have: lower-case, without accents, narrow."""
        folded = lookup_form(character)
        for form in (folded, character):
            if form in self._characters:
                return self._characters[form]
        if _spells_ascii(folded):
            return self._letter
        category = unicodedata.category(character)
        self._unknown[ord(character)] = category not in _ZERO_WIDTH and category not in _BLANK
        return _SKIPPED if category in _ZERO_WIDTH else self._none

    def _inside_ascii(self, characters: Ids) -> NDArray[np.bool_]:
        """Return [t + 1]: whether a position is inside an ASCII word."""
        spells = self._spells_ascii[characters]
        inside = np.zeros(len(characters) + 1, dtype=np.bool_)
        inside[1:-1] = spells[1:] & spells[:-1]
        return inside


def _spells_ascii(character: str) -> bool:
    return character.isascii() and character.isalnum()


class _Table:
    """A dictionary for arrays: open addressing with few keys per slot, so that one lookup is nearly always enough."""

    def __init__(self, entries: dict[int, int]):
        bits = max(4, (_SLOTS_PER_KEY * len(entries)).bit_length())
        self._shift, self._last = np.uint64(64 - bits), (1 << bits) - 1
        self._keys = np.full(1 << bits, _EMPTY, dtype=np.int64)
        self._values = np.full(1 << bits, -1, dtype=np.int32)
        keys = np.fromiter(entries, dtype=np.int64, count=len(entries))
        values = np.fromiter(entries.values(), dtype=np.int32, count=len(entries))
        self._probes = 0
        while len(keys):
            slots = (self._first(keys) + self._probes) & self._last
            self._probes += 1
            free = np.flatnonzero(self._keys[slots] == _EMPTY)
            _, chosen = np.unique(slots[free], return_index=True)  # one key a slot
            chosen = free[chosen]
            self._keys[slots[chosen]], self._values[slots[chosen]] = keys[chosen], values[chosen]
            keys, values = np.delete(keys, chosen), np.delete(values, chosen)

    def __call__(self, keys: Keys) -> Ids:
        """Return the values of the keys, -1 for missing ones."""
        slots = self._first(keys)
        slot_keys = self._keys[slots]
        values: Ids = np.where(slot_keys == keys, self._values[slots], np.int32(-1))
        left = np.flatnonzero((slot_keys != keys) & (slot_keys != _EMPTY))
        for probe in range(1, self._probes):
            if not left.size:
                break
            next_slots = (slots[left] + probe) & self._last
            slot_keys = self._keys[next_slots]
            hit = slot_keys == keys[left]
            values[left[hit]] = self._values[next_slots[hit]]
            left = left[~hit & (slot_keys != _EMPTY)]
        return values

    def _first(self, keys: Keys) -> Offsets:
        slots: Offsets = ((keys.view(np.uint64) * _GOLDEN) >> self._shift).view(np.int64)
        return slots
