"""Read CSV so that an unclosed quote makes one line invalid, not the rest of the file.

    甲,备注,"说          a quote opens here
    乙,职业,老师         the csv module would read this and all following lines as text of 甲's third column

A row that is not valid CSV is skipped at the line where its last quote opens; the next line begins a new row.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from nlpkit.core.io.lines import ErrorPolicy, Line

_CLOSE = 'close it, or write "" for a quote inside a field'


def read_rows(lines: Iterable[Line], on_error: ErrorPolicy) -> Iterator[tuple[Line, list[str]]]:
    """Yield the rows of a file, each with its first line. Blank lines are skipped.

    Args:
        lines: lines of the file.
        on_error: error policy for rows that are not valid CSV.
    """
    source, pushed_back = iter(lines), deque[Line]()
    width = 0  # number of columns of the first row

    def next_line() -> Line | None:
        return pushed_back.popleft() if pushed_back else next(source, None)

    while (line := next_line()) is not None:
        if '"' not in line.text:
            row = line.text.split(",") if line.text else []
        else:
            taken = [line]
            row, problem = _quoted_row(taken, next_line, width)
            if problem:
                opening = _opening(taken)
                pushed_back.extendleft(reversed(taken[opening + 1 :]))
                on_error(taken[opening].error(problem))
                continue
        if row:
            width = width or len(row)
            yield line, row


def _quoted_row(taken: list[Line], next_line: Callable[[], Line | None], width: int) -> tuple[list[str], str]:
    """Return the row that begins at a line, and its problem if any; further lines of the row are added to `taken`."""

    def texts() -> Iterator[str]:
        yield taken[0].text + "\n"
        while (line := next_line()) is not None:
            taken.append(line)
            yield line.text + "\n"

    try:
        row = next(csv.reader(texts(), strict=True), [])
    except csv.Error as error:
        return [], _problem(taken, str(error))
    # The last line of a row has its closing quote, so it says nothing.
    rest = taken[_opening(taken) + 1 :]
    if rest[:-1] and width > 1 and all(_is_row(line.text, width) for line in rest[:-1]):
        count = f"the next {len(rest):,} line(s), which look like rows of their own"
        return [], f"not valid CSV: a quote that opens here includes {count}; {_CLOSE}"
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
    """Return the index of the line in which the last quoted field of a row begins."""
    opening, quoted = 0, False
    for number, line in enumerate(taken):
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
                quoted, opening = True, number
            start = not quoted and character == ","
            index += 1
    return opening


def _is_row(text: str, width: int) -> bool:
    """Return whether a line inside a quoted field looks like a row of its own: same number of fields, none blank."""
    fields = text.split(",")
    return len(fields) == width and all(field.strip(' "') and not field[0].isspace() for field in fields)
