"""The units of a summary: sentences, and the clauses of sentences that are too long."""

import re

_DELIMITERS = "，：,:、；;。！？!?….“”‘’\"'（）()《》〈〉「」『』 \t\r\n\u3000"
_CLOSING = "”’」』）)\"'"
# A full stop ends a sentence unless a letter or digit follows, as in 3.14 and nlpkit.load.
_SENTENCE = re.compile(rf"(?:[^。！？!?；;…\n.]|\.(?=[0-9A-Za-z]))+(?:[。！？!?；;…\n.]+[{_CLOSING}]*)?")
_CLAUSE = re.compile(r"(?:[^，：,:]|[,:](?=[0-9]))+[，：,:]*")


def units(text: str, max_length: int) -> list[tuple[int, int]]:
    """Return the half-open spans of the units of a text, in its order, without white space around them.

    Args:
        text: any text.
        max_length: characters; a longer sentence is split into its clauses.
    """
    found: list[tuple[int, int]] = []
    for sentence in _SENTENCE.finditer(text):
        start, end = _stripped(text, *sentence.span())
        if end - start <= max_length:
            found.append((start, end))
        else:
            found += [_stripped(text, start + c.start(), start + c.end()) for c in _CLAUSE.finditer(text[start:end])]
    return [(start, end) for start, end in found if text[start:end].strip(_DELIMITERS)]


def is_delimiter(character: str) -> bool:
    """Return whether a character separates words, clauses or sentences."""
    return character in _DELIMITERS


def without_comma(text: str, start: int, end: int) -> int:
    """Return the end of a span without commas, colons and semicolons at its end."""
    while end > start + 1 and text[end - 1] in "，：,:、；;":
        end -= 1
    return end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
