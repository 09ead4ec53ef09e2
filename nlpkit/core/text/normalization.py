"""Text normalization for name lookup and tokenization; all functions but `clean_name` keep the length of the text.

    normalize("Ｐｙｔｈｏｎ　３")   "python 3"
    normalize("《紅樓夢》")         "《红楼梦》"

So offsets in the normal form are offsets in the text. Traditional characters are mapped one to one by OpenCC's
dictionaries (simplified.tsv), without regard to context: 乾 always becomes 干.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("simplified.tsv")
_WIDTH_TAGS = ("<wide>", "<narrow>")  # in decompositions of characters that differ from another one in width only
_CHINESE = "！（），：；？～"  # punctuation that is full-width in ordinary Chinese text
_WIDE = "".join(chr(code) for code in range(0xFF01, 0xFF5F) if chr(code) not in _CHINESE)
_HAS_WIDE = re.compile(f"[{re.escape(_WIDE)}]")
_TO_HALF = {ord(character): ord(character) - 0xFEE0 for character in _WIDE}
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_BLANK = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + "\u200c\u200d"


def normalize(text: str) -> str:
    """Return the text in half width, lower case and simplified characters, with plain spaces, in the same length."""
    return text.translate(_normal_forms())


def clean_name(text: str) -> str:
    """Return a name without surrounding white space and without invisible characters.

    Invisible characters are control characters, zero-width spaces, byte order marks, soft hyphens and directional
    marks. White space inside the name is kept, and so are joiners, which have a meaning in emoji and some scripts.
    """
    if text.isprintable() and not text.startswith(" ") and not text.endswith(" "):  # fast path
        return text
    return _INVISIBLE.sub("", text).strip(_BLANK)


def half_width(text: str) -> str:
    """Return the text with full-width letters, digits and symbols in half width.

    ！（），：；？～ are not changed: they are full-width in ordinary Chinese text, and tokens of their own.
    """
    return text.translate(_TO_HALF) if _HAS_WIDE.search(text) else text


def simplify(character: str) -> str:
    """Return the simplified form of a character, or the character itself if OpenCC has no unique form."""
    return _simplified().get(character, character)


class _NormalForms(dict[int, str]):
    """Code point to normal form, for `str.translate`; computed when first needed."""

    def __missing__(self, code: int) -> str:
        form = self[code] = _normal_form(chr(code))
        return form


def _normal_form(character: str) -> str:
    character = simplify(character)
    if unicodedata.decomposition(character).startswith(_WIDTH_TAGS):
        narrow = unicodedata.normalize("NFKC", character)
        character = narrow if len(narrow) == 1 else character  # ￣ would become a space and an accent
    lowered = character.lower()
    character = lowered if len(lowered) == 1 else character  # İ has two characters in lower case
    return " " if unicodedata.category(character) == "Zs" else character


@cache
def _normal_forms() -> _NormalForms:
    return _NormalForms()


@cache
def _simplified() -> dict[str, str]:
    lines = _TABLE.read_text(encoding="utf-8").splitlines()[1:]
    return dict(line.split("\t") for line in lines)
