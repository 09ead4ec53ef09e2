"""Terms of BM25: the parts of a text that are looked up.

    "ＧＰＴ－４的天气预报"    gpt, 4, 的天, 天气, 气预, 预报, 的, 天气预报

A text is normalized (half width, simplified characters, lower case). Its terms are

- each pair of neighbouring CJK characters,
- each word of jieba in a run of CJK characters, unless it has two characters and is one of these pairs,
- each run of other letters and digits, and each symbol, such as 😀.

A CJK character without a CJK neighbour is a word, so every text with a CJK character has terms. Punctuation has none.

A term is a number of 64 bits: the code points of one or two characters, or a hash of a longer one. Two of ten million
terms have the same hash with a probability below 10⁻⁵; they would count as one.
"""

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.segmentation import cut_words

ANALYZER = 1  # version of these rules, for the manifest of an index
_CJK = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(f"([{_CJK}]+)|([^\\W_{_CJK}]+)|([^\\w\\s])")
_BITS = 21  # of a code point
_HASHED = 1 << 63  # set in a hash, and in no code of one or two characters


def terms(text: str) -> list[int]:
    """Return the terms of a text, with repetitions."""
    found: list[int] = []
    for cjk, word, symbol in _RUN.findall(normalize(text)):
        if cjk:
            found += (first << _BITS | second for first, second in pairwise(map(ord, cjk)))
            found += (term_code(part) for part in cut_words(cjk) if len(part) != 2)
        elif word:
            found.append(term_code(word))
        elif unicodedata.category(symbol) == "So":
            found.append(ord(symbol))
    return found


@lru_cache(maxsize=1 << 16)
def term_code(term: str) -> int:
    """Return the number of a term, below 2⁶⁴."""
    if len(term) == 1:
        return ord(term)
    if len(term) == 2:
        return ord(term[0]) << _BITS | ord(term[1])
    digest = blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") | _HASHED
