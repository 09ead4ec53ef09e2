"""CSV and tab-separated tables by the names of their columns.

CSV follows RFC 4180: a field in quotes may have commas and line ends. In a tab-separated file a line is a row: a quote
is a character like any other, unless quotes enclose the whole field and are doubled inside it, as Excel and pandas
write a field that contains quotes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from nlpkit.core.io.lines import ErrorPolicy, Line
from nlpkit.core.io.tables.rows import read_rows
from nlpkit.errors import DataError

_QUOTED = re.compile('"((?:[^"]|"")*)"')


def read_table(lines: Iterable[Line], format: str, on_error: ErrorPolicy) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield the rows of a table as fields by column name, each with its first line. Blank lines are skipped.

    Args:
        lines: of the file; the first row has the names of the columns.
        format: `csv` or `tsv`.
        on_error: error policy for rows that are not valid, or have more or fewer fields than there are columns.

    Raises:
        DataError: a name of a column is empty or not unique.
    """
    names: list[str] = []
    for line, row in read_rows(lines, on_error) if format == "csv" else _tabbed(lines):
        if not names:
            names = [name.strip() for name in row]
            _check_names(names, line)
        elif len(row) != len(names):
            on_error(line.error(f"{len(row)} field(s), but the first line names {len(names)} column(s)"))
        else:
            yield line, dict(zip(names, row, strict=True))


def _tabbed(lines: Iterable[Line]) -> Iterator[tuple[Line, list[str]]]:
    for line in lines:
        if line.text.strip():
            yield line, [_unquoted(field) for field in line.text.split("\t")]


def _unquoted(field: str) -> str:
    if not field.startswith('"') or (match := _QUOTED.fullmatch(field)) is None:
        return field
    return match[1].replace('""', '"')


def _check_names(names: list[str], line: Line) -> None:
    cure = "name the columns in the first line, or pass --input-format text"
    repeated = next((name for name in names if names.count(name) > 1), None)
    if "" in names or repeated is not None:
        problem = f"column {names.index('') + 1} has no name" if "" in names else f"two columns are named {repeated!r}"
        raise DataError(f"{problem}; {cure}", line.source, line.number)
