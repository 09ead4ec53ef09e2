"""Parquet files, read row by row."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nlpkit.core.io.input import STDIN, Part, source_name
from nlpkit.core.io.lines import Line
from nlpkit.errors import DataError, NlpkitError

_ROWS = 1024  # read at a time


def read_parquet(path: str | Part) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield the rows of a Parquet file as fields, each with its number from 1 as the line.

    Numbers, texts, dates, lists and structs keep their values; decimals and durations become texts, and bytes texts in
    base64. Times are read in microseconds.

    Args:
        path: the file; a part of it is a range of row groups.

    Raises:
        DataError: it is missing, no Parquet file or damaged, or is stdin; or pyarrow is not installed.
    """
    part = path if isinstance(path, Part) else Part(path)
    number = part.line
    with _opened(part.path) as file:
        groups = range(part.start, file.num_row_groups if part.end is None else part.end)
        for read in file.iter_batches(_ROWS, row_groups=list(groups)):
            batch = _in_microseconds(read)
            size = batch.nbytes // max(1, batch.num_rows)
            for row in batch.to_pylist():
                yield (
                    Line("", source_name(part.path), number, size),
                    {name: _plain(value) for name, value in row.items()},
                )
                number += 1


def row_groups(path: str) -> list[int]:
    """Return the numbers of rows in the row groups of a file; raises as `read_parquet`."""
    with _opened(path) as file:
        return [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Yield a `pyarrow.parquet.ParquetFile`; an error of pyarrow is a DataError."""
    source = source_name(path)
    if path == STDIN:
        raise DataError("Parquet cannot be read from a pipe; name the file", source)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError("is a Parquet file; install the reader: pip install 'nlpkit[parquet]'", source) from None
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield file
    except NlpkitError:
        raise
    except FileNotFoundError:
        raise DataError("no such file", source) from None
    except IsADirectoryError:
        raise DataError("is a directory; name its files", source) from None
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise DataError(f"cannot be read as Parquet ({' '.join(str(error).split())[:300]})", source) from None


def _in_microseconds(batch: Any) -> Any:
    """Return a record batch without nanoseconds, which Python's own types do not have."""
    for index, field in enumerate(batch.schema):
        if (type := _microseconds(field.type)) != field.type:
            batch = batch.set_column(index, field.name, batch.column(index).cast(type, safe=False))
    return batch


def _microseconds(type: Any) -> Any:
    """Return an Arrow type with microseconds in place of nanoseconds."""
    import pyarrow as arrow

    types = arrow.types
    if types.is_list(type):
        return arrow.list_(_microseconds(type.value_type))
    if types.is_struct(type):
        return arrow.struct([field.with_type(_microseconds(field.type)) for field in type])
    if getattr(type, "unit", "") != "ns":
        return type
    if types.is_timestamp(type):
        return arrow.timestamp("us", type.tz)
    return arrow.duration("us") if types.is_duration(type) else arrow.time64("us")


def _plain(value: Any) -> Any:
    """Return a value that JSON has."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
