"""Marked text: in colour on a terminal, or as a self-contained web page."""

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, TYPE_CHECKING, NamedTuple

from nlpkit.core.io.printable import CONTROLS
from nlpkit.core.io.records import open_output

if TYPE_CHECKING:
    from rich.table import Table as Grid


class Mark(NamedTuple):
    """A labelled span of characters; marks of one group, or else of one label, have the same colour."""

    start: int
    end: int
    label: str
    score: float | None = None
    group: str | None = None


class Table(NamedTuple):
    """A table below a text: a title, and rows with the same number of cells; the group selects the colour."""

    title: str
    rows: Sequence[tuple[str, ...]]
    group: str | None = None


COLOURS = ("blue", "red", "green", "magenta", "cyan", "yellow", "orange3", "deep_pink3", "chartreuse3", "purple", "tan")

_STYLE = """
:root { color-scheme: light dark }
body { font: 17px/2.1 system-ui, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif;
       max-width: 48em; margin: 2em auto; padding: 0 1em }
p { margin: 0 0 .6em; white-space: pre-wrap; overflow-wrap: anywhere }
mark { color: inherit; background: hsl(var(--hue) 85% 60% / .25);
       border-bottom: 2px solid hsl(var(--hue) 70% 50%); border-radius: 3px; padding: .1em .15em }
mark::after { content: attr(data-label); font-size: .65em; margin-left: .35em; color: hsl(var(--hue) 60% 45%) }
table { font-size: .8em; line-height: 1.5; margin: 0 0 1em 1em; border-left: 3px solid hsl(var(--hue) 70% 50%) }
caption { text-align: left; font-weight: bold; color: hsl(var(--hue) 60% 45%) }
td { padding: 0 .7em; vertical-align: top; overflow-wrap: anywhere }
"""

_HEAD = f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>nlpkit</title><style>{_STYLE}</style><body>\n'


def show(text: str, marks: Sequence[Mark], tables: Sequence[Table] = ()) -> None:
    """Print a text with its marks in colour, each followed by its label, and tables below it."""
    from rich.console import Console
    from rich.text import Text

    line = Text()
    for piece, opened, closed in _pieces(text, marks):
        style = f"bold {_colour(opened[-1])}" if opened else ""
        line.append(piece.translate(CONTROLS), style)
        for mark in closed:
            line.append(f"[{mark.label}]".translate(CONTROLS), f"dim {_colour(mark)}")
    console = Console()
    console.print(line, soft_wrap=True)
    for table in tables:
        console.print(_grid(table))


def _grid(table: Table) -> "Grid":
    """Return a table for rich: the title in colour, the first column dim."""
    from rich.table import Table as Grid
    from rich.text import Text

    title = Text(table.title.translate(CONTROLS), f"bold {_colour(table)}")
    grid = Grid(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 2))
    for row in table.rows:
        first, *others = (Text(cell.translate(CONTROLS)) for cell in row)
        first.stylize("dim")
        grid.add_row(first, *others)
    return grid


class Page:
    """A web page that is written text by text, so that it may have any size."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    @classmethod
    @contextmanager
    def open(cls, path: str) -> Iterator["Page"]:
        """Open a page; the file appears under its name when it is complete."""
        with open_output(path) as stream:
            stream.write(_HEAD.encode())
            yield cls(stream)
            stream.write(b"</body></html>\n")

    def write(self, html: bytes) -> None:
        """Add what `paragraph` returns."""
        self._stream.write(html)

    @staticmethod
    def paragraph(text: str, marks: Sequence[Mark], tables: Sequence[Table] = ()) -> bytes:
        """Return the HTML of a text with its marks, and with tables below it.

        Nested marks become nested elements; a mark that crosses another one is split.
        """
        below = "".join(map(_table, tables))
        return f"<p>{marked_up(text, marks)}</p>\n{below}".encode()


def marked_up(text: str, marks: Sequence[Mark]) -> str:
    """Return the HTML of a text with its marks."""
    parts: list[str] = []
    for piece, opened, closed in _pieces(text, marks):
        inner = html.escape(piece)
        for mark in reversed(opened):
            hue = _hue(mark)
            label = f' data-label="{html.escape(mark.label)}"' if mark in closed else ""
            title = html.escape(mark.label if mark.score is None else f"{mark.label} {mark.score:.3f}")
            inner = f'<mark style="--hue:{hue}"{label} title="{title}">{inner}</mark>'
        parts.append(inner)
    return "".join(parts)


def _table(table: Table) -> str:
    """Return the HTML of a table."""
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f'<table style="--hue:{_hue(table)}"><caption>{html.escape(table.title)}</caption>{rows}</table>\n'


def _pieces(text: str, marks: Sequence[Mark]) -> Iterator[tuple[str, list[Mark], list[Mark]]]:
    """Yield pieces of a text, cut at the edges of marks: (piece, marks that cover it, marks that end with it)."""
    ordered = sorted(marks, key=lambda mark: (mark.start, -mark.end))
    edges = sorted({0, len(text)} | {m.start for m in ordered} | {m.end for m in ordered})
    active: list[Mark] = []
    waiting = iter(ordered)
    following = next(waiting, None)
    for start, end in pairwise(edges):
        active = [mark for mark in active if mark.end > start]
        while following is not None and following.start == start:
            active.append(following)
            following = next(waiting, None)
        yield (
            text[start:end],
            sorted(active, key=lambda m: m.start - m.end),
            [m for m in active if m.end == end],
        )


class _Order(dict[str, int]):
    """Numbers keys in order of appearance, so that the first ones get the most different colours."""

    def __missing__(self, key: str) -> int:
        self[key] = len(self)
        return self[key]


_ORDER = _Order()


def _colour(item: Mark | Table) -> str:
    return COLOURS[_place(item) % len(COLOURS)]


def _hue(item: Mark | Table) -> int:
    """Return degrees on the colour wheel; multiples of the golden angle stay apart."""
    return round(210 + _place(item) * 137.5) % 360


def _place(item: Mark | Table) -> int:
    key = item.group or (item.label if isinstance(item, Mark) else item.title)
    return _ORDER[key]
