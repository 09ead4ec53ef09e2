"""Marked text for people: colours on a terminal, and one self-contained web page."""

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, NamedTuple

from nlpkit.core.io import open_output


class Mark(NamedTuple):
    """A labelled span of characters."""

    start: int
    end: int
    label: str
    score: float | None = None


COLOURS = ("blue", "red", "green", "magenta", "cyan", "yellow", "orange3", "deep_pink3", "chartreuse3", "purple", "tan")

_STYLE = """
:root { color-scheme: light dark }
body { font: 17px/2.1 system-ui, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif;
       max-width: 48em; margin: 2em auto; padding: 0 1em }
p { margin: 0 0 .6em; white-space: pre-wrap; overflow-wrap: anywhere }
mark { color: inherit; background: hsl(var(--hue) 85% 60% / .25);
       border-bottom: 2px solid hsl(var(--hue) 70% 50%); border-radius: 3px; padding: .1em .15em }
mark::after { content: attr(data-label); font-size: .65em; margin-left: .35em; color: hsl(var(--hue) 60% 45%) }
"""

_HEAD = f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>nlpkit</title><style>{_STYLE}</style><body>\n'

# What a terminal would obey, and not show: drawn as its picture instead. Lines and columns stay.
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
_CONTROLS |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def show(text: str, marks: Sequence[Mark]) -> None:
    """Prints a text with its marks in colour, each followed by its label."""
    from rich.console import Console
    from rich.text import Text

    line = Text()
    for piece, opened, closed in _pieces(text, marks):
        style = f"bold {_colour(opened[-1].label)}" if opened else ""
        line.append(piece.translate(_CONTROLS), style)
        for mark in closed:
            line.append(f"[{mark.label}]".translate(_CONTROLS), f"dim {_colour(mark.label)}")
    Console().print(line, soft_wrap=True)


class Page:
    """A web page that grows text by text, so it may be of any size."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    @classmethod
    @contextmanager
    def open(cls, path: str) -> Iterator["Page"]:
        """The page; it appears under its name when complete."""
        with open_output(path) as stream:
            stream.write(_HEAD.encode())
            yield cls(stream)
            stream.write(b"</body></html>\n")

    def add(self, text: str, marks: Sequence[Mark]) -> None:
        """One more text; nested marks are nested elements, a mark that crosses another is split where they cross."""
        self._stream.write(f"<p>{marked_up(text, marks)}</p>\n".encode())


def marked_up(text: str, marks: Sequence[Mark]) -> str:
    """HTML of a text with its marks."""
    parts: list[str] = []
    for piece, opened, closed in _pieces(text, marks):
        inner = html.escape(piece)
        for mark in reversed(opened):
            hue = _hue(mark.label)
            label = f' data-label="{html.escape(mark.label)}"' if mark in closed else ""
            title = html.escape(mark.label if mark.score is None else f"{mark.label} {mark.score:.3f}")
            inner = f'<mark style="--hue:{hue}"{label} title="{title}">{inner}</mark>'
        parts.append(inner)
    return "".join(parts)


def _pieces(text: str, marks: Sequence[Mark]) -> Iterator[tuple[str, list[Mark], list[Mark]]]:
    """The text cut at every mark's edge: (piece, marks that cover it, widest first; those of them that end with it)."""
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
    """Label -> its place in the order in which labels have come up, so that the first ones look the least alike."""

    def __missing__(self, label: str) -> int:
        self[label] = len(self)
        return self[label]


_ORDER = _Order()


def _colour(label: str) -> str:
    return COLOURS[_ORDER[label] % len(COLOURS)]


def _hue(label: str) -> int:
    """Degrees on the colour wheel; steps of the golden angle never come close to one another again."""
    return round(210 + _ORDER[label] * 137.5) % 360
