"""What a command does with a chunk of records, and how its output becomes a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from nlpkit.core.io.records import Record


class Piece(NamedTuple):
    """The output of a chunk of records.

    Attributes:
        data: to append to the output.
        page: to append to the web page.
        counts: numbers that are summed over the chunks.
    """

    data: bytes
    page: bytes = b""
    counts: dict[str, int] = {}  # noqa: RUF012  # never changed


class Layout(Protocol):
    """How the data of all chunks becomes a file. `LINES` is that of JSON Lines, which needs nothing."""

    @property
    def compressible(self) -> bool:
        """Return whether the output may be compressed, by its name."""

    @property
    def head(self) -> bytes:
        """Return what the file begins with."""

    def finish(self, path: Path, counts: dict[str, int]) -> Path:
        """Return the complete file, given one that has the head and all data; it may be the same."""

    def beside(self, output: str, counts: dict[str, int]) -> None:
        """Write what belongs beside an output, just before it gets its name."""


class _Lines:
    """The layout of JSON Lines."""

    compressible = True
    head = b""

    def finish(self, path: Path, counts: dict[str, int]) -> Path:
        return path

    def beside(self, output: str, counts: dict[str, int]) -> None:
        pass


LINES: Layout = _Lines()


@dataclass(frozen=True, slots=True)
class Processor:
    """What a command does with records.

    Attributes:
        process: a chunk of records → its output; an answer must not depend on the other records.
        fields: names of the fields that the output adds to a record, which the input must not have; empty if the
            output has no fields of the input.
        layout: of the output.
    """

    process: Callable[[Sequence[Record]], Piece]
    fields: tuple[str, ...] = field(default=())
    layout: Layout = LINES
