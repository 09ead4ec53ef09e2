"""Check whether a name in a question is a word of its own, or a part of a longer name.

Two rules decide by the characters alone. An ASCII word is never split: Java is not a name in JavaScript, nor C in C++.
The text in book-title marks is one name: 三国演义 is not a name in 《新三国演义》. All other cases are left to the
model, which scores where the subject's name begins and ends; see `network.model.KgqaNetwork.border_scores`.
"""

import re
import unicodedata

from nlpkit.core.text.normalization import half_width

_WORD = re.compile(r"[0-9A-Za-z]+(?:[-./&'_][0-9A-Za-z]+)*[+#]*")
_TITLE = re.compile("《([^《》]*)》")
_CATEGORIES = "LNM"  # letters, numbers and marks


def is_whole(text: str, start: int, end: int) -> bool:
    """Return whether the characters [start, end) of a question are not a part of a longer ASCII word or book title."""
    for word in _WORD.finditer(half_width(text)):
        if word.start() >= end:
            break
        if word.start() < start < word.end() or word.start() < end < word.end():
            return False
    for title in _TITLE.finditer(text):
        inside = title.start() < start and end < title.end()
        if inside and _has_content(text[title.start(1) : start] + text[end : title.end(1)]):
            return False
    return True


def _has_content(text: str) -> bool:
    return any(unicodedata.category(character)[0] in _CATEGORIES for character in text)
