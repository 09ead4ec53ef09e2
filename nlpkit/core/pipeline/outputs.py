"""Opening of the output of a job: standard output, a special file, or a file that can be continued."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from nlpkit.core.io.output import is_file_output, open_output, replacing
from nlpkit.core.io.records import Record
from nlpkit.core.pipeline.journal import Job, Journal
from nlpkit.core.pipeline.processor import LINES, Layout, Piece
from nlpkit.errors import UsageError


class Output(Protocol):
    """Takes the output of chunks of records, in order."""

    def write(self, records: Sequence[Record], piece: Piece) -> None:
        """Append the output of a chunk."""


class Stream:
    """An output that is written at once, such as a pipe: each chunk is flushed."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    def write(self, records: Sequence[Record], piece: Piece) -> None:
        """Write and flush the output of a chunk."""
        self._stream.write(piece.data)
        self._stream.flush()


class PageOutput:
    """The web page of a command."""

    def __init__(self, write: Callable[[bytes], object]):
        self._write = write

    def write(self, records: Sequence[Record], piece: Piece) -> None:
        """Write what a chunk adds to the page."""
        self._write(piece.page)


@contextmanager
def open_for(
    path: str | None,
    layout: Layout,
    job: Callable[[], Job],
    *,
    resume: bool,
    durable: bool,
    report: Callable[[str], None],
) -> Iterator[Output]:
    """Open an output for chunks; see `Journal` for the arguments, and for files.

    Raises:
        UsageError: `resume`, and the output is not a file.
        OutputError: it cannot be written.
    """
    if is_file_output(path):
        with Journal(path or "", job, layout, resume=resume, durable=durable, report=report) as journal:
            yield journal
    elif resume:
        raise UsageError("--resume: only a file can be continued; name it with --output")
    elif layout is LINES:
        with open_output(path) as stream:
            yield Stream(stream)
    else:
        with replacing(path) as collected:
            yield from _collected(collected, layout)


def _collected(path: Path, layout: Layout) -> Iterator[Output]:
    """Yield an output that is complete at its end only."""
    counts: dict[str, int] = {}
    with path.open("wb") as stream:
        stream.write(layout.head)
        yield Stream(stream)
    complete = layout.finish(path, counts)
    if complete != path:
        complete.replace(path)
