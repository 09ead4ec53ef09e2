"""Shared functions of readers of gold annotations: handling of invalid records, and checks and search of spans."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import nsmallest
from typing import Any, TypeVar

from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError

T = TypeVar("T")
Example = TypeVar("Example")
SpanPair = tuple[tuple[int, int], tuple[int, int]]  # characters [start, end) of two strings


def parsed(items: Iterable[T], parse: Callable[[T], Example], on_error: ErrorPolicy) -> Iterator[Example]:
    """Yield the results of `parse` for the items; `on_error` handles items for which it raises DataError."""
    for item in items:
        try:
            example = parse(item)
        except DataError as error:
            on_error(error)
        else:
            yield example


@contextmanager
def shaped_like(line: Line, shape: str) -> Iterator[None]:
    """Replace the errors of accessing a malformed record by a DataError.

    Raises:
        DataError: with the expected shape of the record.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        raise line.error(f"not a record like {shape}") from None


def check_span(line: Line, text: str, start: Any, end: Any, mention: Any = None) -> None:
    """Check that a half-open span is inside the text, and has the string that the annotation repeats, if it does.

    Raises:
        DataError: it is not, or has not.
    """
    if type(start) is not int or type(end) is not int:  # True is an int to isinstance
        raise line.error(f"offsets must be whole numbers, these are {start!r} and {end!r}")
    if start < 0 or end > len(text):
        raise line.error(f"offsets {start}:{end} are outside the text of {len(text)} characters")
    if start >= end:
        raise line.error(f"offsets {start}:{end} hold no character (the end is exclusive)")
    if mention is not None and mention != text[start:end]:
        raise line.error(f"the text at {start}:{end} is {text[start:end]!r}, but the annotation says {mention!r}")


def annotated_names(line: Line, field: str, value: Any, example: str) -> frozenset[str] | None:
    """Return the names in a field that lists what a record is annotated with; None if it has none.

    Args:
        line: of the record.
        field: its name, such as `labels`.
        value: of the field, unchecked.
        example: of a value, as JSON.

    Raises:
        DataError: it is not a list of names.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
        raise line.error(f'"{field}" must be a list of {field}, as {example}, this is {value!r:.60}')
    return frozenset(value)


def occurrences(text: str, string: str) -> list[int]:
    """Return the offsets of a string in a text; those inside ASCII words or numbers only if there are no others."""
    if not string:
        return []
    starts = []
    start = text.find(string)
    while start >= 0:
        starts.append(start)
        start = text.find(string, start + 1)
    return [start for start in starts if _at_boundaries(text, start, start + len(string))] or starts


def locate(text: str, strings: Sequence[str]) -> list[tuple[int, int] | None]:
    """Return spans for strings that belong together and were annotated without offsets; None for those not in the text.

    The anchor is the occurrence of the first string in the text with the lowest sum of distances to the nearest
    occurrences of all others (the first of equals). The others are the occurrences nearest to it; overlaps come last.

    Example:
        In 王芳和李娜。王芳的丈夫是张强。, 王芳 and 张强 are located at 6:8 and 12:14.
    """
    candidates = [[(start, start + len(string)) for start in occurrences(text, string)] for string in strings]
    anchors = next((spans for spans in candidates if spans), None)
    if anchors is None:
        return [None] * len(strings)

    def nearest(anchor: tuple[int, int]) -> list[tuple[int, int] | None]:
        return [
            anchor if spans is anchors else min(spans, key=lambda span: _distance(anchor, span, text), default=None)
            for spans in candidates
        ]

    def total(chosen: list[tuple[int, int] | None], anchor: tuple[int, int]) -> int:
        return sum(_distance(anchor, span, text) for span in chosen if span is not None and span != anchor)

    return min(((nearest(anchor), anchor) for anchor in anchors), key=lambda pair: total(*pair))[0]


def closest_pairs(text: str, first: str, second: str, limit: int) -> list[SpanPair]:
    """Return the pairs of occurrences of two strings, the closest first; overlapping ones only if there are no others.

    Args:
        text: the text.
        first: the first string of each pair.
        second: the second string.
        limit: maximum number of pairs. Of each occurrence, only as many neighbours on each side are considered, as a
            text may have thousands of both strings.

    Example:
        In 王芳和李娜。王芳的丈夫是张强。, the pairs of 王芳 and 张强 are (6:8, 12:14) and (0:2, 12:14).
    """
    others = occurrences(text, second)
    apart: list[SpanPair] = []
    crossing: list[SpanPair] = []
    for start in occurrences(text, first):
        end = start + len(first)
        before, after = bisect_right(others, start - len(second)), bisect_left(others, end)
        neighbours = [*others[max(0, before - limit) : before], *others[after : after + limit]]
        apart += [((start, end), (other, other + len(second))) for other in neighbours]
        crossing += [
            ((start, end), (other, other + len(second))) for other in others[before : min(after, before + limit)]
        ]
    return nsmallest(limit, apart or crossing, key=lambda pair: _distance(pair[0], pair[1], text))


def _distance(one: tuple[int, int], other: tuple[int, int], text: str) -> int:
    """Return the number of characters between two spans; the length of the text if they overlap."""
    gap = max(other[0] - one[1], one[0] - other[1])
    return gap if gap >= 0 else len(text)


def _at_boundaries(text: str, start: int, end: int) -> bool:
    """Return whether neither end of a span is inside a run of ASCII letters or a run of digits."""
    return not (_cuts(text, start) or _cuts(text, end))


def _cuts(text: str, position: int) -> bool:
    pair = text[max(0, position - 1) : position + 1] if position else ""
    return len(pair) == 2 and pair.isascii() and (pair.isalpha() or pair.isdigit())
