"""Text that is safe to print: control characters shown instead of obeyed, and file names that are not UTF-8.

The command line and the file system give bytes. Python decodes them with `surrogateescape`, so that a name opens the
same file, and each byte that is not UTF-8 becomes a lone surrogate. `encodable` is the form of such a name for people
and for JSON: the byte b2 reads `\\xb2`.
"""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = "\x85\u2028\u2029"  # what str.splitlines ends a line at, beside control characters
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they reorder what is shown around them

# What a terminal would obey and not show: drawn as its picture instead. Lines and columns stay.
CONTROLS: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
CONTROLS |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_ONE_LINE = CONTROLS | {ord("\n"): 0x240A, ord("\t"): 0x2409}
_ONE_LINE |= {ord(character): f"\\u{ord(character):04x}" for character in _LINE_ENDS + _DIRECTIONS}


def encodable(text: str) -> str:
    r"""Return the text without lone surrogates: an undecodable byte b2 becomes `\xb2`."""
    return text if text.isascii() else _SURROGATE.sub(_escaped, text)


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text as one line that a terminal shows and does not obey.

    Args:
        text: any text.
        limit: characters at most; the middle of a longer text is left out.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[: limit * 2 // 3]} … {text[-(limit // 3) :]}"
    return encodable(text).translate(_ONE_LINE)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
