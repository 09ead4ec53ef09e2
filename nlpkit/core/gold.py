"""What readers of gold annotation share, whatever the task: one bad record at a time, and offsets that are checked."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from nlpkit.core.io import Line, OnError
from nlpkit.errors import DataError

T = TypeVar("T")
Example = TypeVar("Example")


def parsed(items: Iterable[T], parse: Callable[[T], Example], on_error: OnError) -> Iterator[Example]:
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
