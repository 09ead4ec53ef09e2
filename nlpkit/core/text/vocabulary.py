"""Vocabulary construction from plain text: all characters that occur, and the most frequent pieces of ASCII words.

    build_vocabulary(["PyTorch 张量，pytorch 模型"] * 9)
    [PAD] [UNK] [CLS] [SEP] [MASK] [RARE0] … ! " # … a b … ##a ##b … 张 模 … ， py ##to … pytorch

The vocabulary is for a `CharTokenizer` with normalization: characters are counted in the form that it looks up.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from nlpkit.core.text.normalization import half_width, simplify
from nlpkit.core.text.tokenizer import MAX_WORD, RARE, SPECIALS, CharTokenizer

MIN_PIECES = 600  # pieces of ASCII words, whatever the number of characters
MULTIPLE = 64  # the size of a vocabulary is a multiple of it, for efficient matrix products on GPUs

_WORD = re.compile(r"[0-9A-Za-z]+")
_PUNCTUATION = [chr(code) for code in range(33, 127) if not chr(code).isalnum()]
_ALPHANUMERIC = [chr(code) for code in range(33, 127) if chr(code).isalnum() and not chr(code).isupper()]
_VARIANT_TAGS = ("<wide>", "<narrow>", "<font>", "<compat>")  # of variants of appearance: Ａ ｱ 𝐀 ⼀; not of ① ² ㎏


def count(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """Return the counts of characters and of ASCII words, as written."""
    characters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for line in lines:
        characters.update(line)
        words.update(_WORD.findall(half_width(line)))
    return characters, words


def build_vocabulary(
    lines: Iterable[str],
    size: int = 8000,
    rare: int = 256,
    min_count: int = 5,
) -> list[str]:
    """Return the tokens of a vocabulary in the order of their ids.

    These are special tokens; the shared tokens of rare characters; ASCII punctuation; ASCII letters and digits with
    their `##` forms (so no ASCII word is unknown); all other characters that occur at least `min_count` times, by
    frequency; and pieces of ASCII words up to `size`. No frequent character is omitted: if characters leave less space
    than `MIN_PIECES` pieces, the vocabulary becomes larger than `size`, with a size that is a multiple of `MULTIPLE`.

    Args:
        lines: the corpus; read once, not stored.
        size: target size; the vocabulary is smaller if the corpus has fewer pieces.
        rare: number of tokens shared by the characters outside the vocabulary.
        min_count: minimum count of characters and words.
    """
    characters, words = count(lines)
    tokens = [*SPECIALS, *(RARE.format(number) for number in range(rare)), *_PUNCTUATION]
    tokens += [*_ALPHANUMERIC, *("##" + character for character in _ALPHANUMERIC)]
    normalized: Counter[str] = Counter()
    for character, number in characters.items():
        normalized[half_width(simplify(character))] += number
    tokens += frequent_characters(normalized, min_count)
    size = max(size, len(tokens) + MIN_PIECES)
    size += -size % MULTIPLE
    return tokens + word_pieces(words, size - len(tokens), min_count)


def frequent_characters(counts: Mapping[str, int], min_count: int) -> list[str]:
    """Return the non-ASCII characters, as the tokenizer looks them up, by frequency and then by code point."""
    tokenizer = CharTokenizer(SPECIALS)
    forms: Counter[str] = Counter()
    for character, number in counts.items():
        if not character.isascii() and len(tokenizer.encode(character)):  # white space, marks … are no tokens
            forms[lookup_form(character)] += number
    frequent = [form for form, number in forms.items() if number >= min_count and not form.isascii()]
    return sorted(frequent, key=lambda form: (-forms[form], form))


def lookup_form(character: str) -> str:
    """Return the form in which a vocabulary contains a character: lower-case, without accents, of normal width.

    Full-width punctuation is not changed: ， is the most frequent of all characters, and is not the comma of numbers.
    """
    lowered = unicodedata.normalize("NFD", character.lower())
    stripped = "".join(c for c in lowered if unicodedata.category(c) != "Mn")
    if len(stripped) != 1:  # a Hangul syllable
        return character
    folded = unicodedata.normalize("NFKC", stripped).lower()
    is_variant = unicodedata.decomposition(stripped).startswith(_VARIANT_TAGS)
    return folded if is_variant and len(folded) == 1 and folded.isalnum() else stripped


def word_pieces(words: Mapping[str, int], number: int, min_count: int) -> list[str]:
    """Return up to `number` pieces of ASCII words by byte-pair encoding (arXiv 1508.07909), in the order of merges.

    Each step merges the most frequent pair of neighbouring pieces, the first in string order of equals.
    """
    counts: Counter[str] = Counter()
    for word, times in words.items():
        counts[word.lower()] += times
    frequent = sorted(word for word, times in counts.items() if times >= min_count and len(word) <= MAX_WORD)
    merger = _Merger({word: counts[word] for word in frequent})
    pieces: dict[str, None] = {}  # two different merges may result in the same piece
    while len(pieces) < number and (pair := merger.best()) is not None and merger.pairs[pair] >= min_count:
        pieces[merger.merge(pair)] = None
    return list(pieces)


class _Merger:
    """Words as pieces, and the counts of neighbouring pairs; a merge updates only the words that contain the pair."""

    def __init__(self, counts: Mapping[str, int]):
        self.times = list(counts.values())
        self.words = [[word[0], *("##" + character for character in word[1:])] for word in counts]
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for index in range(len(self.words)):
            self._count(index, 1)

    def best(self) -> tuple[str, str] | None:
        return min(self.pairs, key=lambda pair: (-self.pairs[pair], pair), default=None)

    def merge(self, pair: tuple[str, str]) -> str:
        merged = pair[0] + pair[1].removeprefix("##")
        for index in self.places.pop(pair):
            self._count(index, -1)
            self.words[index] = _joined(self.words[index], pair, merged)
            self._count(index, 1)
        del self.pairs[pair]
        return merged

    def _count(self, index: int, sign: int) -> None:
        for pair in pairwise(self.words[index]):
            self.pairs[pair] += sign * self.times[index]
            if sign > 0:
                self.places[pair].add(index)


def _joined(pieces: list[str], pair: tuple[str, str], merged: str) -> list[str]:
    """Return the pieces of a word with all occurrences of a pair merged, from the left."""
    result: list[str] = []
    position = 0
    while position < len(pieces):
        if tuple(pieces[position : position + 2]) == pair:
            result.append(merged)
            position += 2
        else:
            result.append(pieces[position])
            position += 1
    return result
