"""Rows of CSV. A quote that is never closed costs its own line, not the rest of the file.

    甲,备注,"说          a quote opens here
    乙,职业,老师         the csv module reads this line, and all after it, as text of 甲's third column

A row that breaks is given up at the line where its last quote opens, and the next line begins a new row.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from nlpkit.core.io.records import Line, OnError

_CLOSE = 'close it, or write "" for a quote inside a field'


def read_rows(lines: Iterable[Line], on_error: OnError) -> Iterator[tuple[Line, list[str]]]:
    """Yield the rows of a file, each with its first line. Blank lines are passed over.

    Args:
        lines: of the file.
        on_error: takes the rows that are not valid CSV.
    """
    source, waiting = iter(lines), deque[Line]()
    width = 0  # columns of the first row

    def following() -> Line | None:
        return waiting.popleft() if waiting else next(source, None)

    while (line := following()) is not None:
        if '"' not in line.text:
            row = line.text.split(",") if line.text else []
        else:
            taken = [line]
            row, problem = _quoted_row(taken, following, width)
            if problem:
                opening = _opening(taken)
                waiting.extendleft(reversed(taken[opening + 1 :]))
                on_error(taken[opening].error(problem))
                continue
        if row:
            width = width or len(row)
            yield line, row


def _quoted_row(taken: list[Line], following: Callable[[], Line | None], width: int) -> tuple[list[str], str]:
    """Return the row that begins with a line, and what is wrong with it; further lines of it are added to `taken`."""

    def texts() -> Iterator[str]:
        yield taken[0].text + "\n"
        while (line := following()) is not None:
            taken.append(line)
            yield line.text + "\n"

    try:
        row = next(csv.reader(texts(), strict=True), [])
    except csv.Error as error:
        return [], _problem(taken, str(error))
    behind = taken[_opening(taken) + 1 :]
    if behind and width > 1 and all(_is_row(line.text, width) for line in behind):
        count = f"the next {len(behind):,} line(s), which look like rows of their own"
        return [], f"not valid CSV: a quote that opens here takes in {count}; {_CLOSE}"
    return row, ""


def _problem(taken: Sequence[Line], error: str) -> str:
    lost = len(taken) - 1 - _opening(taken)
    if "unexpected end" in error:
        return f"not valid CSV: a quote opens here and is not closed in the {lost:,} line(s) up to the end; {_CLOSE}"
    if "field limit" in error:
        size = f"{csv.field_size_limit():,} characters, {lost:,} line(s)"
        return f"not valid CSV: a quote opens here and is not closed within {size}; {_CLOSE}"
    if lost:
        where = f"closed {lost:,} line(s) below, where text follows it"
        return f"not valid CSV: a quote opens here and is {where} ({error}); {_CLOSE}"
    return f"not valid CSV ({error}); {_CLOSE}"


def _opening(taken: Sequence[Line]) -> int:
    """Return the place of the line in which the last quoted field of a row begins."""
    opening, quoted = 0, False
    for place, line in enumerate(taken):
        start = True  # of a field
        text, index = line.text, 0
        while index < len(text):
            character = text[index]
            if quoted and character == '"':
                if text.startswith('""', index):
                    index += 1
                else:
                    quoted = False
            elif not quoted and start and character == '"':
                quoted, opening = True, place
            start = not quoted and character == ","
            index += 1
    return opening


def _is_row(text: str, width: int) -> bool:
    """Return whether a line of a quoted field looks like a row of the table: as many fields, none of them blank."""
    fields = text.split(",")
    return len(fields) == width and all(field.strip(' "') and not field[0].isspace() for field in fields)
