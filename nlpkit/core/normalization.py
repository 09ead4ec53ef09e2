"""Normal forms of text, for looking names up and for tokenizing; every function keeps the length of its input.

    normalize("Ｐｙｔｈｏｎ　３")   "python 3"
    normalize("《紅樓夢》")         "《红楼梦》"

As the length stays, offsets in the normal form are offsets in the text. Traditional characters are mapped one to one
by OpenCC's dictionaries (simplified.tsv): 乾 is always 干, as its reading in context is not looked at.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("simplified.tsv")
_SHAPES = ("<wide>", "<narrow>")  # decompositions of characters that differ from another in width only
_CHINESE = "！（），：；？～"  # punctuation that is full-width in ordinary Chinese text
_WIDE = "".join(chr(code) for code in range(0xFF01, 0xFF5F) if chr(code) not in _CHINESE)
_HAS_WIDE = re.compile(f"[{re.escape(_WIDE)}]")
_TO_HALF = {ord(character): ord(character) - 0xFEE0 for character in _WIDE}


def normalize(text: str) -> str:
    """Return the form that all spellings of a name share: half-width, lower-case, simplified, plain spaces.

    Args:
        text: any text.

    Returns:
        As many characters as the text has.
    """
    return text.translate(_normal_forms())


def half_width(text: str) -> str:
    """Return the text with full-width letters, digits and symbols in half width.

    ！（），：；？～ stay: they are full-width in ordinary Chinese text, and tokens of their own.
    """
    return text.translate(_TO_HALF) if _HAS_WIDE.search(text) else text


def simplify(character: str) -> str:
    """Return the simplified form of a character, or the character itself where OpenCC has no single one."""
    return _simplified().get(character, character)


class _NormalForms(dict[int, str]):
    """Code point to normal form, for `str.translate`; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        form = self[code] = _normal_form(chr(code))
        return form


def _normal_form(character: str) -> str:
    character = simplify(character)
    if unicodedata.decomposition(character).startswith(_SHAPES):
        character = unicodedata.normalize("NFKC", character)
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
