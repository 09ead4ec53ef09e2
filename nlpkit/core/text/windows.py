"""Long texts: overlapping windows cut at sentence ends, and the rule that merges what was found in them."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from nlpkit.core.text.tokenizer import Encoding

OVERLAP = 64
_SENTENCE_END = re.compile(r"[。！？!?；;…\n]+[”’」』）)\"']*|\.(?=\s)")


@dataclass(frozen=True, slots=True)
class Window:
    """Units [begin, end) of a text; a row of the model is [CLS], these units, [SEP]."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin


def split(text: str, encoding: Encoding, limit: int) -> list[Window]:
    """Windows of at most `limit` units that together cover every unit.

    A text that fits is one window, also when it has no unit at all. Otherwise a window ends at the last sentence end
    in its second half (or at `limit`, where there is none), and the next begins up to two overlaps before that end,
    again at the start of a sentence if possible. A span that a cut crosses is therefore whole in one window or the
    other unless it is longer than the overlap: 64 units, or a quarter of the limit.

    Raises:
        ValueError: the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"windows of {limit} units cannot cover a text")
    size = len(encoding)
    if size <= limit:
        return [Window(0, size)]
    overlap = min(OVERLAP, limit // 4)
    sentences = sorted({bisect_left(encoding.starts, match.end()) for match in _SENTENCE_END.finditer(text)})
    windows: list[Window] = []
    begin = 0
    while size - begin > limit:
        end = _last_between(sentences, begin + limit // 2 + 1, begin + limit, default=begin + limit)
        windows.append(Window(begin, end))
        begin = _last_between(sentences, max(begin + 1, end - 2 * overlap), end - overlap, default=end - overlap)
    return [*windows, Window(begin, size)]


def best_window(windows: Sequence[Window], begin: int, end: int) -> int:
    """The window that sees the span [begin, end) farthest from its cut edges; the first one where several do.

    What several windows have found is taken from this window alone: a span that a cut has shortened is never the best
    view of it, and nothing is found twice.

    Raises:
        ValueError: no window holds the span.
    """
    last = windows[-1].end
    best, best_margin = -1, -1
    for index in range(bisect_right(windows, begin, key=lambda window: window.begin) - 1, -1, -1):
        window = windows[index]
        if window.end < end:
            break
        left = begin - window.begin if window.begin else last
        right = window.end - end if window.end < last else last
        if min(left, right) >= best_margin:
            best, best_margin = index, min(left, right)
    if best < 0:
        raise ValueError(f"no window holds the units {begin}:{end}")
    return best


def together(windows: Sequence[Window], begin: int, end: int) -> bool:
    """Whether a window holds the whole span [begin, end): if any does, the last one that begins before it."""
    index = bisect_right(windows, begin, key=lambda window: window.begin) - 1
    return index >= 0 and end <= windows[index].end


def _last_between(positions: list[int], low: int, high: int, default: int) -> int:
    """The greatest position in [low, high], or the default."""
    index = bisect_right(positions, high) - 1
    return positions[index] if index >= 0 and positions[index] >= low else default
