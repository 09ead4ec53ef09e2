"""Text that is safe to print: control characters replaced by symbols, and file names that are not UTF-8.

Arguments and file names are bytes. Python decodes them with `surrogateescape`: each byte that is not UTF-8 becomes a
lone surrogate, which is encoded back when the file is opened. `encodable` returns a readable form of such a name, also
for JSON: the byte b2 becomes `\\xb2`.
"""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = "\x85\u2028\u2029"  # at which str.splitlines splits, besides control characters
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # reorder the characters around them

# Characters that a terminal interprets are replaced by their symbols, except line feed and tab.
CONTROLS: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
CONTROLS |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_ONE_LINE = CONTROLS | {ord("\n"): 0x240A, ord("\t"): 0x2409}
_ONE_LINE |= {ord(character): f"\\u{ord(character):04x}" for character in _LINE_ENDS + _DIRECTIONS}


def encodable(text: str) -> str:
    r"""Return the text with lone surrogates escaped: an undecodable byte b2 becomes `\xb2`."""
    return text if text.isascii() else _SURROGATE.sub(_escaped, text)


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text as one line without characters that a terminal interprets.

    Args:
        text: any text.
        limit: maximum number of characters; the middle of a longer text is omitted.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[: limit * 2 // 3]} … {text[-(limit // 3) :]}"
    return encodable(text).translate(_ONE_LINE)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
