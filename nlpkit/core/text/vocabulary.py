"""A vocabulary from plain text: every character that occurs, and the most frequent pieces of ASCII words.

    build_vocabulary(["PyTorch 张量，pytorch 模型"] * 9)
    [PAD] [UNK] [CLS] [SEP] [MASK] [RARE0] … ! " # … a b … ##a ##b … 张 模 … ， py ##to … pytorch

It fits a `CharTokenizer` that normalizes: characters are counted in the form under which it looks them up. 362 MB take
half a minute.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from nlpkit.core.text.normalization import half_width, simplify
from nlpkit.core.text.tokenizer import MAX_WORD, RARE, SPECIALS, CharTokenizer

MIN_PIECES = 600  # of ASCII words, however many characters there are
MULTIPLE = 64  # of the size: what matrix products on a GPU like

_WORD = re.compile(r"[0-9A-Za-z]+")
_PUNCTUATION = [chr(code) for code in range(33, 127) if not chr(code).isalnum()]
_ALPHANUMERIC = [chr(code) for code in range(33, 127) if chr(code).isalnum() and not chr(code).isupper()]
_SHAPES = ("<wide>", "<narrow>", "<font>", "<compat>")  # differ in looks only: Ａ ｱ 𝐀 ⼀; not ① ² ㎏


def count(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """How often each character and each ASCII word occurs, as written."""
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
    """The tokens in the order of their ids.

    Special tokens, the shared tokens of rare characters, ASCII punctuation, ASCII letters and digits with their `##`
    forms (so no ASCII word is unknown), all other characters seen at least `min_count` times by frequency, then pieces
    of ASCII words up to `size`. Characters are never left out for the size: where they leave too little room for
    `MIN_PIECES` pieces, the vocabulary grows, to a multiple of `MULTIPLE`.

    Args:
        lines: the corpus; read once, not kept.
        size: the aim; fewer when the text has no more to offer.
        rare: how many tokens the characters outside the vocabulary share.
        min_count: below it neither a character nor a word counts.
    """
    characters, words = count(lines)
    tokens = [*SPECIALS, *(RARE.format(number) for number in range(rare)), *_PUNCTUATION]
    tokens += [*_ALPHANUMERIC, *("##" + character for character in _ALPHANUMERIC)]
    usual: Counter[str] = Counter()  # as a normalizing tokenizer reads them
    for character, number in characters.items():
        usual[half_width(simplify(character))] += number
    tokens += frequent_characters(usual, min_count)
    places = max(size, len(tokens) + MIN_PIECES)
    places += -places % MULTIPLE
    return tokens + word_pieces(words, places - len(tokens), min_count)


def frequent_characters(counts: Mapping[str, int], min_count: int) -> list[str]:
    """The non-ASCII characters as the tokenizer looks them up, most frequent first, then by code point."""
    tokenizer = CharTokenizer(SPECIALS)
    forms: Counter[str] = Counter()
    for character, number in counts.items():
        if not character.isascii() and len(tokenizer.encode(character)):  # white space, marks … make no unit
            forms[looked_up(character)] += number
    found = [form for form, number in forms.items() if number >= min_count and not form.isascii()]
    return sorted(found, key=lambda form: (-forms[form], form))


def looked_up(character: str) -> str:
    """The form under which a vocabulary should hold a character: lower-case, without accents, of the usual width.

    Full-width punctuation stays itself: ， is the commonest of all characters and is not the comma of numbers.
    """
    lowered = unicodedata.normalize("NFD", character.lower())
    stripped = "".join(c for c in lowered if unicodedata.category(c) != "Mn")
    if len(stripped) != 1:  # a Hangul syllable
        return character
    folded = unicodedata.normalize("NFKC", stripped).lower()
    is_shape = unicodedata.decomposition(stripped).startswith(_SHAPES)
    return folded if is_shape and len(folded) == 1 and folded.isalnum() else stripped


def word_pieces(words: Mapping[str, int], number: int, min_count: int) -> list[str]:
    """Up to `number` pieces of ASCII words by byte-pair encoding (arXiv 1508.07909), in the order of their merging.

    The pair of neighbouring pieces that is most frequent, or first in text order, becomes one piece, again and again.
    """
    counts: Counter[str] = Counter()
    for word, times in words.items():
        counts[word.lower()] += times
    kept = sorted(word for word, times in counts.items() if times >= min_count and len(word) <= MAX_WORD)
    merger = _Merger({word: counts[word] for word in kept})
    pieces: dict[str, None] = {}  # two different merges may give the same piece
    while len(pieces) < number and (pair := merger.best()) is not None and merger.pairs[pair] >= min_count:
        pieces[merger.merge(pair)] = None
    return list(pieces)


class _Merger:
    """Words in pieces, and how often each pair of neighbours occurs; a merge touches only the words that have it."""

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
    """The pieces of a word with every occurrence of the pair made one, from the left."""
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
