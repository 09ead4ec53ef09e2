"""Reading and writing of records: text, JSON Lines, tables; with file and line in all errors.

Every line of plain text is a record, blank lines included.
"""

import copyreg
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

# `X as X` are exported from here, for the callers that read or write records.
from nlpkit.core.io.input import COMPRESSIONS as COMPRESSIONS
from nlpkit.core.io.input import STDIN as STDIN
from nlpkit.core.io.input import Part, source_name
from nlpkit.core.io.input import open_input as open_input
from nlpkit.core.io.input import text_size as text_size
from nlpkit.core.io.lines import MAX_LINE as MAX_LINE
from nlpkit.core.io.lines import ErrorPolicy as ErrorPolicy
from nlpkit.core.io.lines import Line as Line
from nlpkit.core.io.lines import hinted as hinted
from nlpkit.core.io.lines import read_lines as read_lines
from nlpkit.core.io.output import STDOUT as STDOUT
from nlpkit.core.io.output import content_suffix
from nlpkit.core.io.output import open_output as open_output
from nlpkit.core.io.printable import encodable
from nlpkit.core.io.tables.delimited import read_table
from nlpkit.core.io.tables.parquet import read_parquet
from nlpkit.errors import DataError, OutputError, UsageError

# Formats of texts, by the suffix of a file (before .gz and the like); all other files are plain text.
INPUT_FORMATS = {
    ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
}  # fmt: skip
_MANY_DIGITS = re.compile("[0-9]{19}")  # a number that may need more than 64 bits
_NAMES_SHOWN = 20  # maximum number of fields listed in a message
# So that records can be sent to other processes.
copyreg.pickle(orjson.Fragment, lambda fragment: (orjson.Fragment, (orjson.dumps(fragment),)))


@dataclass(frozen=True, slots=True)
class Record:
    """A text, all fields of its record, and its line; `second` is the second text of a pair."""

    text: str
    fields: dict[str, Any]
    line: Line
    second: str | None = None


def read_json(
    paths: Sequence[str | Part], encoding: str = "utf-8", on_error: ErrorPolicy | None = None
) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield the objects of JSON Lines files, each with its line; blank lines are ignored.

    A whole number of more than 64 bits, which would become a float, is an `orjson.Fragment`, written unchanged.
    """
    on_error = on_error or ErrorPolicy()
    for line in read_lines(paths, encoding, on_error):
        if not line.text.strip():
            continue
        try:
            value = orjson.loads(line.text)
            if _MANY_DIGITS.search(line.text):
                value = json.loads(line.text, parse_int=_whole_number)
        except (orjson.JSONDecodeError, RecursionError) as error:
            on_error(line.error(f"not valid JSON ({error}); each line must be one JSON object"))
            continue
        if not isinstance(value, dict):
            on_error(line.error(f"a JSON object is expected, this is {type(value).__name__}"))
            continue
        yield line, value


def read_records(
    paths: Sequence[str | Part],
    text_field: str | None = None,
    encoding: str = "utf-8",
    on_error: ErrorPolicy | None = None,
    usual_field: str = "text",
    second_field: str | None = None,
    second_option: str = "--pair",
    *,
    format: str | None = None,
    file_field: str | None = None,
) -> Iterator[Record]:
    """Yield the records of files: the one reader of texts for all commands.

    Args:
        paths: files, parts of files, or `-` for stdin.
        text_field: field or column of the text.
        encoding: of the files.
        on_error: how to handle invalid lines; its hint is called for plain text that looks like JSON Lines.
        usual_field: default field of the text, also for lines of plain text.
        second_field: field of the second text of a pair.
        second_option: option that names this field, for messages.
        format: see `input_format`.
        file_field: field to add, with the name of the file.

    Raises:
        DataError: a file cannot be read, or a record is invalid (unless `on_error` skips it).
        UsageError: a field is named for plain text.
    """
    on_error = on_error or ErrorPolicy()
    name = text_field or usual_field
    has_field = text_field is not None or second_field is not None
    if format == "text" and has_field:
        raise UsageError("--input-format text: plain text has no fields; leave out --field")
    for path in paths:
        name_of_file = source_name(path.path if isinstance(path, Part) else path)
        chosen = format or input_format(name_of_file, has_field)
        added = {file_field: name_of_file} if file_field else {}
        for line, fields in _read(chosen, path, encoding, on_error, usual_field):
            text, second = fields.get(name), None if second_field is None else fields.get(second_field)
            problem = None
            if not isinstance(text, str):
                problem = _no_field(name, fields)
            elif second_field is not None and not isinstance(second, str):
                problem = _no_field(second_field, fields, second_option)
            elif file_field and file_field in fields:
                problem = f"the field {file_field!r} is the name of the file with --add-file; rename it"
            if problem is not None:
                error = line.error(problem)
                if chosen not in ("text", "jsonl"):  # a row is not a line
                    error.record = dumps(fields).decode()
                on_error(error)
            else:
                assert isinstance(text, str)
                yield Record(text, fields | added if added else fields, line, second)


def input_format(path: str, has_field: bool = False) -> str:
    """Return the format of a file by its name: `jsonl`, `csv`, `tsv`, `parquet` or `text`.

    Args:
        path: the file.
        has_field: whether the text has a field; a file that would be plain text is JSON Lines then.
    """
    return INPUT_FORMATS.get(content_suffix(path), "jsonl" if has_field else "text")


def _read(
    format: str, path: str | Part, encoding: str, on_error: ErrorPolicy, usual_field: str
) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield the fields of the records of a file, each with its line."""
    if format == "jsonl":
        yield from read_json([path], encoding, on_error)
    elif format == "text":
        for line in hinted(read_lines([path], encoding, on_error), on_error, usual_field):
            yield line, {usual_field: line.text}
    elif format == "parquet":
        yield from read_parquet(path)
    else:
        yield from read_table(read_lines([path], encoding, on_error), format, on_error)


def without_clashes(
    records: Iterable[Record], names: Iterable[str], nest: str | None, on_error: ErrorPolicy
) -> Iterator[Record]:
    """Yield the records whose fields do not clash with the fields that the output adds; see `combined`.

    Args:
        records: the input.
        names: all fields that the command may add, so that a clash is reported at the first record.
        nest: the field for the added fields as an object; None adds them to the fields of the input.
        on_error: how to handle a record with a field of the same name.
    """
    added = (nest,) if nest else tuple(names)
    cure = "choose another name for --nest" if nest else "rename it, or collect the output's fields: --nest NAME"
    for record in records:
        clash = next((name for name in added if name in record.fields), None)
        if clash is None:
            yield record
        else:
            on_error(record.line.error(f"the field {clash!r} would be overwritten by the output; {cure}"))


def combined(fields: Mapping[str, Any], added: Mapping[str, Any], nest: str | None = None) -> dict[str, Any]:
    """Return the fields of an input record and the added fields, the latter as an object `nest` if that is given."""
    return {**fields, **({nest: dict(added)} if nest else added)}


def is_json_name(path: str) -> bool:
    """Return whether a file name has a suffix of JSON Lines, also before a compression suffix."""
    return input_format(path) == "jsonl"


def dumps(value: Any) -> bytes:
    """Return compact JSON in UTF-8; bytes of file names that are not UTF-8 are escaped.

    Raises:
        OutputError: the value is nested too deep.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        if "surrogates" in str(error):
            return orjson.dumps(_encodable(value), option=orjson.OPT_SERIALIZE_NUMPY)
        # orjson reads deeper nesting than it writes.
        raise OutputError(f"a record cannot be written as JSON ({error})") from None


def dump_line(value: dict[str, Any]) -> bytes:
    """Return a line of JSON Lines; see `dumps`."""
    return dumps(value) + b"\n"


def dump_error(error: DataError) -> bytes:
    """Return a bad record as a line of JSON Lines: its file and line, the error, and its text."""
    return dump_line({"file": error.source, "line": error.line, "error": error.message, "record": error.record})


def write_json(path: str | Path | None, values: Iterable[dict[str, Any]]) -> None:
    """Write JSON Lines to a file or stdout."""
    with open_output(path) as stream:
        for value in values:
            stream.write(dump_line(value))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(name): _encodable(item) for name, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def _whole_number(digits: str) -> Any:
    if len(digits) <= 20 and -(1 << 63) <= int(digits) < 1 << 64:
        return int(digits)
    return orjson.Fragment(digits)


def _no_field(name: str, fields: dict[str, Any], option: str = "--field") -> str:
    if name in fields:
        return f"field {name!r} is not a string"
    return f"no field {name!r} here (there are: {field_names(fields)}); name the text field with {option}"


def field_names(fields: Iterable[str]) -> str:
    """Return the names of a record's fields for a message, at most the first `_NAMES_SHOWN`."""
    names = list(fields)
    more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "none") + more
