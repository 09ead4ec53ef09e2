"""Characters and words found in texts by array operations alone, a million characters in a tenth of a second.

    lexicon = Lexicon(["今", "天", "气", "今天", "天气"])
    lexicon.find(["今天天气", "天"])      # by length: [(ids [0 1 1 2 1], starts [0 4]), (ids [3 4], starts [0 2])]

Every token of the lexicon that stands in a text is found, also where two overlap: a text is not cut into words, which
no array operation can do, but asked which words it has. The tokens are a trie; all positions of all texts walk down it
together, one character a step, and few of them come far. An ASCII word is found as a whole only, not inside another.

Shapes: n texts, t characters, k of them where a token of this length begins.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.vocabulary import lookup_form
from nlpkit.tasks.embed.unknown import Unknown

Ids = NDArray[np.int32]
Offsets = NDArray[np.int64]
Keys = NDArray[np.int64]

_UNSEEN, _SILENT = -1, -2  # in place of a character's id: not looked up yet; passed over, as it has no width
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing
_EMPTY = -1
_SPARE = 4  # places in the hash table for each of its keys
_ZERO_WIDTH = ("Cf", "Mn", "Me")
_BLANK = ("Cc", "Zs", "Zl", "Zp")


class Lexicon:
    """A list of tokens that can be found in texts.

    Args:
        tokens: distinct; first all characters, then the words, whose characters are all among them.

    Raises:
        ValueError: a word has a character that is no token, or comes before one that is; a token comes twice.
    """

    def __init__(self, tokens: Sequence[str]):
        self.tokens = list(tokens)
        self._characters = {token: index for index, token in enumerate(self.tokens) if len(token) == 1}
        self._none = len(self._characters)  # the id of all that is not in the lexicon,
        self._letter = self._none + 1  # but for ASCII letters and digits, in which a word may go on
        self._radix = self._none + 2
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("a token comes twice")
        if any(len(token) != 1 for token in self.tokens[: self._none]):
            raise ValueError("the characters must come before the words")
        self._ids = np.full(0x110000, _UNSEEN, dtype=np.int32)  # of code points
        self._ids[0x0A] = self._none  # between texts
        self._strange = np.zeros(0x110000, dtype=np.bool_)  # code points looked up that are visible and no token
        self._spells_ascii = np.array([*map(_spells_ascii, self._characters), False, True])
        self._words, children = self._grow()
        self._table = _Table(children)

    def __len__(self) -> int:
        return len(self.tokens)

    def find(self, texts: Sequence[str]) -> list[tuple[Ids, Offsets]]:
        """The tokens of each text, by their length in characters: (ids [k], where each text's begin in them [n]).

        In the order of the text, and as often as they stand there. What it needs is 50 bytes a character.
        """
        characters, starts = self._read(texts)
        known = np.flatnonzero(characters < self._none)
        found = [(characters[known], np.searchsorted(known, starts))]
        inside = self._inside_ascii(characters)
        positions = np.arange(max(0, len(characters) - 1))
        nodes = characters[:-1]
        length = 1
        while len(positions):
            nodes = self._table(nodes * np.int64(self._radix) + characters[positions + length])
            going = np.flatnonzero(nodes >= 0)
            positions, nodes = positions[going], nodes[going]
            length += 1
            words = self._words[nodes]
            is_word = (words >= 0) & ~inside[positions] & ~inside[positions + length]
            found.append((words[is_word], np.searchsorted(positions[is_word], starts)))
        return found

    def unknown(self, texts: Sequence[str]) -> dict[int, Unknown]:
        """The characters of texts that are no tokens, by the texts' positions; for texts that `find` has seen."""
        joined = "".join(texts)
        strange = np.flatnonzero(self._strange[np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)])
        if not strange.size:
            return {}
        ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
        found: dict[int, list[str]] = {}
        for place, owner in zip(strange.tolist(), np.searchsorted(ends, strange, "right").tolist(), strict=True):
            found.setdefault(owner, []).append(joined[place])
        return {owner: Unknown(tuple(c), len(c) / len("".join(texts[owner].split()))) for owner, c in found.items()}

    def _grow(self) -> tuple[Ids, dict[int, int]]:
        """The trie: the word that ends at each node (or -1), and (node · radix + character) -> the next node.

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
        """Character ids [t] of all texts, each closed by one that is no token, and where each begins [n]."""
        joined = "".join(text + "\n" for text in texts)
        points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        ids = self._ids[points]
        if (unseen := np.flatnonzero(ids == _UNSEEN)).size:
            for point in np.unique(points[unseen]).tolist():
                self._ids[point] = self._look_up(chr(point))
            ids = self._ids[points]
        sizes = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
        starts = np.cumsum(sizes) - sizes
        silent = np.flatnonzero(ids == _SILENT)
        if silent.size:
            ids = np.delete(ids, silent)
            starts -= np.searchsorted(silent, starts)
        return ids, starts

    def _look_up(self, character: str) -> int:
        """The id of a character in the form in which vocabularies hold it: lower-case, without accents, narrow."""
        folded = lookup_form(character)
        for form in (folded, character):
            if form in self._characters:
                return self._characters[form]
        if _spells_ascii(folded):
            return self._letter
        category = unicodedata.category(character)
        self._strange[ord(character)] = category not in _ZERO_WIDTH and category not in _BLANK
        return _SILENT if category in _ZERO_WIDTH else self._none

    def _inside_ascii(self, characters: Ids) -> NDArray[np.bool_]:
        """[t + 1] whether an ASCII word goes on at a position."""
        spells = self._spells_ascii[characters]
        inside = np.zeros(len(characters) + 1, dtype=np.bool_)
        inside[1:-1] = spells[1:] & spells[:-1]
        return inside


def _spells_ascii(character: str) -> bool:
    return character.isascii() and character.isalnum()


class _Table:
    """A dictionary for arrays: open addressing, mostly empty, so that one look is nearly always enough."""

    def __init__(self, entries: dict[int, int]):
        bits = max(4, (_SPARE * len(entries)).bit_length())
        self._shift, self._last = np.uint64(64 - bits), (1 << bits) - 1
        self._keys = np.full(1 << bits, _EMPTY, dtype=np.int64)
        self._values = np.full(1 << bits, -1, dtype=np.int32)
        keys = np.fromiter(entries, dtype=np.int64, count=len(entries))
        values = np.fromiter(entries.values(), dtype=np.int32, count=len(entries))
        self._looks = 0
        while len(keys):
            slots = (self._first(keys) + self._looks) & self._last
            self._looks += 1
            free = np.flatnonzero(self._keys[slots] == _EMPTY)
            _, chosen = np.unique(slots[free], return_index=True)  # one key a slot
            chosen = free[chosen]
            self._keys[slots[chosen]], self._values[slots[chosen]] = keys[chosen], values[chosen]
            keys, values = np.delete(keys, chosen), np.delete(values, chosen)

    def __call__(self, keys: Keys) -> Ids:
        """The values of the keys, -1 where there is none."""
        slots = self._first(keys)
        there = self._keys[slots]
        values: Ids = np.where(there == keys, self._values[slots], np.int32(-1))
        left = np.flatnonzero((there != keys) & (there != _EMPTY))
        for look in range(1, self._looks):
            if not left.size:
                break
            next_slots = (slots[left] + look) & self._last
            there = self._keys[next_slots]
            hit = there == keys[left]
            values[left[hit]] = self._values[next_slots[hit]]
            left = left[~hit & (there != _EMPTY)]
        return values

    def _first(self, keys: Keys) -> Offsets:
        slots: Offsets = ((keys.view(np.uint64) * _GOLDEN) >> self._shift).view(np.int64)
        return slots
