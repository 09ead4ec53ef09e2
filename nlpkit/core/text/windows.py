"""Windows over long texts: the rule that cuts them at sentence ends, and the rule that merges their results."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from nlpkit.core.text.tokenizer import Encoding

OVERLAP = 64
_SENTENCE_END = re.compile(r"[。！？!?；;…\n]+[”’」』）)\"']*|\.(?=\s)")


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens [begin, end) of a text; the model's input sequence is [CLS], these tokens, [SEP]."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def contains(self, begin: int, end: int) -> bool:
        """Return whether the span of tokens [begin, end) of the text is inside the window."""
        return self.begin <= begin and end <= self.end

    def to_positions(self, begin: int, end: int) -> tuple[int, int]:
        """Return the first and the last position in the input sequence, [CLS] being 0, of tokens [begin, end)."""
        return begin - self.begin + 1, end - self.begin

    def to_tokens(self, first: int, last: int) -> tuple[int, int]:
        """Return the tokens [begin, end) of the text at the positions first … last; inverse of `to_positions`."""
        return first + self.begin - 1, last + self.begin


def split(text: str, encoding: Encoding, limit: int) -> list[Window]:
    """Return windows of at most `limit` tokens that together cover all tokens of a text.

    A text of at most `limit` tokens, even of none, is one window. Otherwise a window ends at the last sentence end in
    its second half (or has `limit` tokens if there is none), and the next one begins up to two overlaps before that
    end, at the start of a sentence if possible. So a span at a cut is complete in one of the two windows unless it is
    longer than the overlap: 64 tokens, or a quarter of the limit.

    Raises:
        ValueError: the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"windows of {limit} tokens cannot cover a text")
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
    """Return the index of the window in which the span [begin, end) is farthest from cut edges; the first of equals.

    Predictions for a span are taken from this window only. So a span that was shortened by a cut is never preferred,
    and no span is predicted twice.

    Raises:
        ValueError: no window contains the span.
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
        raise ValueError(f"no window contains the tokens {begin}:{end}")
    return best


def in_one_window(windows: Sequence[Window], begin: int, end: int) -> bool:
    """Return whether any window contains the span [begin, end)."""
    index = bisect_right(windows, begin, key=lambda window: window.begin) - 1  # it reaches farthest
    return index >= 0 and end <= windows[index].end


def _last_between(positions: list[int], low: int, high: int, default: int) -> int:
    """Return the largest position in [low, high], or the default."""
    index = bisect_right(positions, high) - 1
    return positions[index] if index >= 0 and positions[index] >= low else default
