"""What readers of gold annotation share, whatever the task: one bad record at a time, and offsets that are checked."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError

T = TypeVar("T")
Example = TypeVar("Example")


def parsed(items: Iterable[T], parse: Callable[[T], Example], on_error: ErrorPolicy) -> Iterator[Example]:
    """The examples that `parse` makes of the items; `on_error` decides about those that it refuses by DataError."""
    for item in items:
        try:
            example = parse(item)
        except DataError as error:  # each record may fail on its own
            on_error(error)
        else:
            yield example


@contextmanager
def shaped_like(line: Line, shape: str) -> Iterator[None]:
    """JSON is taken apart as if it were right; that it is not shows as one of these errors.

    Raises:
        DataError: with the shape that a record should have.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        raise line.error(f"not a record like {shape}") from None


def check_span(line: Line, text: str, start: Any, end: Any, said: Any = None) -> None:
    """Whether a half-open span lies in its text, and is what the annotation says stands there.

    Raises:
        DataError: it does not, or is not.
    """
    if type(start) is not int or type(end) is not int:  # True is an int to isinstance
        raise line.error(f"offsets must be whole numbers, these are {start!r} and {end!r}")
    if start < 0 or end > len(text):
        raise line.error(f"offsets {start}:{end} are outside the text of {len(text)} characters")
    if start >= end:
        raise line.error(f"offsets {start}:{end} hold no character (the end is exclusive)")
    if said is not None and said != text[start:end]:
        raise line.error(f"the text at {start}:{end} is {text[start:end]!r}, but the annotation says {said!r}")


def occurrences(text: str, string: str) -> list[int]:
    """Where a string begins in a text; inside an ASCII word or number only where it stands nowhere else."""
    if not string:
        return []
    found = []
    start = text.find(string)
    while start >= 0:
        found.append(start)
        start = text.find(string, start + 1)
    return [start for start in found if _stands_alone(text, start, start + len(string))] or found


def locate(text: str, strings: Sequence[str]) -> list[tuple[int, int] | None]:
    """Places for strings that belong together and are given without offsets.

    Of all occurrences of the first string that is there at all, the one that has all others nearest (in sum, the first
    of equals); and of every other string the occurrence nearest to that one. Occurrences that overlap it come last.

    Example:
        In 王芳和李娜。王芳的丈夫是张强。, 王芳 and 张强 are found at 7:9 and 13:15.
    """
    places = [[(start, start + len(string)) for start in occurrences(text, string)] for string in strings]
    anchors = next((found for found in places if found), None)
    if anchors is None:
        return [None] * len(strings)

    def nearest(anchor: tuple[int, int]) -> list[tuple[int, int] | None]:
        return [
            anchor if found is anchors else min(found, key=lambda place: _distance(anchor, place, text), default=None)
            for found in places
        ]

    def total(chosen: list[tuple[int, int] | None], anchor: tuple[int, int]) -> int:
        return sum(_distance(anchor, place, text) for place in chosen if place is not None and place != anchor)

    return min(((nearest(anchor), anchor) for anchor in anchors), key=lambda pair: total(*pair))[0]


def _distance(one: tuple[int, int], other: tuple[int, int], text: str) -> int:
    """Characters between two spans; that of the whole text where they overlap."""
    gap = max(other[0] - one[1], one[0] - other[1])
    return gap if gap >= 0 else len(text)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether neither end of a span cuts a run of ASCII letters or a run of digits."""
    return not (_cuts(text, start) or _cuts(text, end))


def _cuts(text: str, position: int) -> bool:
    pair = text[max(0, position - 1) : position + 1] if position else ""
    return len(pair) == 2 and pair.isascii() and (pair.isalpha() or pair.isdigit())
