"""Normal forms of text, for looking names up and for tokenizing; all but `clean_name` keep the length of the text.

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
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_BLANK = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + "\u200c\u200d"


def normalize(text: str) -> str:
    """Return the form that all spellings of a name share: half-width, lower-case, simplified, plain spaces.

    Args:
        text: any text.

    Returns:
        As many characters as the text has.
    """
    return text.translate(_normal_forms())


def clean_name(text: str) -> str:
    """Return a name without the white space around it and without invisible characters anywhere.

    Invisible are control characters, zero-width spaces, byte order marks, soft hyphens and marks of direction. White
    space inside stays, and so do the joiners inside, which have a meaning in emoji and in some scripts.
    """
    if text.isprintable() and not text.startswith(" ") and not text.endswith(" "):  # nearly all
        return text
    return _INVISIBLE.sub("", text).strip(_BLANK)


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
