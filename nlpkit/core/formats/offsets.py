"""Conversion of offsets in other units to code points; the unit is detected by the strings of the spans.

Python counts code points. JavaScript counts UTF-16 code units: a character outside the Basic Multilingual Plane has
two. Browsers show `\\r\\n` as one character and a run of white space as one space. doccano has an option to count
grapheme clusters: `\\r\\n` and an emoji of several code points are one.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

UNITS = ("codepoint", "utf16", "grapheme")
NAMES = {
    "utf16": "UTF-16 code units",
    "grapheme": "grapheme clusters",
    "crlf": "characters, a line end \\r\\n as one",
    "crlf-utf16": "UTF-16 code units, a line end \\r\\n as one",
    "collapsed": "characters, a run of white space as one",
}
_BLANK = re.compile(r"(?:\\n|\s)+")  # in the text of a region Label Studio writes a line end as a backslash and an n


def boundaries(text: str, unit: str) -> list[int | None]:
    """Return the code point position of each offset in a unit; None for offsets inside a character."""
    return _BOUNDARIES[unit](text)


def same(one: str, other: str) -> bool:
    """Return whether two strings are equal except for the kind and length of white space."""
    return one == other or _BLANK.sub(" ", one).strip() == _BLANK.sub(" ", other).strip()


def span(bounds: Sequence[int | None], start: Any, end: Any) -> tuple[int, int] | None:
    """Return a span in code points; None if an offset is not a whole number, out of range, or inside a character."""
    if type(start) is not int or type(end) is not int or not 0 <= start < end < len(bounds):
        return None
    begin, stop = bounds[start], bounds[end]
    return None if begin is None or stop is None else (begin, stop)


def recount(
    text: str, spans: Sequence[tuple[Any, Any, Any]], units: Sequence[str]
) -> tuple[str, list[tuple[int, int]]] | None:
    """Find the unit in which spans have the strings that the file has for them.

    Args:
        text: the text to which the offsets refer.
        spans: start, end, and the string in the file, or None.
        units: to try, the usual one first.

    Returns:
        The unit and the spans in code points: the usual unit if it fits, else the only other one that does; None if no
        unit fits, or several do with different spans.
    """
    fitting: list[tuple[str, list[tuple[int, int]]]] = []
    for unit in units:
        bounds = boundaries(text, unit)
        converted = [place for start, end, _ in spans if (place := span(bounds, start, end)) is not None]
        fits = len(converted) == len(spans) and all(
            string is None or (isinstance(string, str) and same(text[begin:stop], string))
            for (begin, stop), (*_, string) in zip(converted, spans, strict=True)
        )
        if fits and unit == units[0]:
            return unit, converted
        if fits:
            fitting.append((unit, converted))
    if not fitting or any(converted != fitting[0][1] for _, converted in fitting):
        return None
    return fitting[0]


def _code_points(text: str) -> list[int | None]:
    return list(range(len(text) + 1))


def _utf16(text: str) -> list[int | None]:
    bounds: list[int | None] = []
    for index, char in enumerate(text):
        bounds += [index] if ord(char) < 0x10000 else [index, None]
    return [*bounds, len(text)]


def _graphemes(text: str) -> list[int | None]:
    import regex

    return [*(match.start() for match in regex.finditer(r"\X", text)), len(text)]


def _crlf(text: str) -> list[int | None]:
    return [*(i for i in range(len(text)) if text[i - 1 : i + 1] != "\r\n"), len(text)]


def _crlf_utf16(text: str) -> list[int | None]:
    bounds = _utf16(text)
    return [i for i in bounds if i is None or i == 0 or text[i - 1 : i + 1] != "\r\n"]


def _collapsed(text: str) -> list[int | None]:
    return [*(i for i in range(len(text)) if not (i and text[i].isspace() and text[i - 1].isspace())), len(text)]


_BOUNDARIES: dict[str, Callable[[str], list[int | None]]] = {
    "codepoint": _code_points,
    "utf16": _utf16,
    "grapheme": _graphemes,
    "crlf": _crlf,
    "crlf-utf16": _crlf_utf16,
    "collapsed": _collapsed,
}
