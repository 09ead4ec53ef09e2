"""Reading and writing of records: plain text lines and JSON Lines of any size, with file and line in all errors.

Every line of plain text is a record, blank lines included.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

# `X as X` are exported from here, for the callers that read or write records.
from nlpkit.core.io.input import COMPRESSIONS as COMPRESSIONS
from nlpkit.core.io.input import STDIN as STDIN
from nlpkit.core.io.input import bounded_lines, open_text, source_name
from nlpkit.core.io.input import open_input as open_input
from nlpkit.core.io.input import text_size as text_size
from nlpkit.core.io.output import STDOUT as STDOUT
from nlpkit.core.io.output import content_suffix
from nlpkit.core.io.output import open_output as open_output
from nlpkit.core.io.printable import encodable
from nlpkit.errors import DataError, OutputError

JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
MAX_LINE = 16 << 20  # bytes
_MANY_DIGITS = re.compile("[0-9]{19}")  # a number that may need more than 64 bits
_NAMES_SHOWN = 20  # maximum number of fields listed in a message


@dataclass(slots=True)
class ErrorPolicy:
    """Handling of invalid records: `fail` raises the error, `skip` reports and counts it.

    Attributes:
        policy: `fail` or `skip`.
        report: called with the error of each skipped record.
        count: records skipped so far.
        max_line: maximum number of bytes of a line; a longer line is an invalid record.
        hint: called once with a hint for the user about the input.
    """

    policy: Literal["fail", "skip"] = "fail"
    report: Callable[[DataError], None] = field(default=lambda error: None)
    count: int = 0
    max_line: int = MAX_LINE
    hint: Callable[[str], None] = field(default=lambda text: None)

    def __call__(self, error: DataError) -> None:
        """Raise the error, or report and count it."""
        if self.policy == "fail":
            raise error
        self.count += 1
        self.report(error)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text without its line end, its file and line number; `size` in bytes is for progress bars."""

    text: str
    source: str
    number: int
    size: int = 0

    def error(self, message: str) -> DataError:
        """Return a DataError with file and line."""
        return DataError(message, self.source, self.number)


@dataclass(frozen=True, slots=True)
class Record:
    """A text, all fields of its record, and its line; `second` is the second text of a pair."""

    text: str
    fields: dict[str, Any]
    line: Line
    second: str | None = None


def read_lines(paths: Sequence[str], encoding: str = "utf-8", on_error: ErrorPolicy | None = None) -> Iterator[Line]:
    """Yield the lines of the files in turn; `-` is stdin.

    Compression is detected by content, UTF-16 and UTF-32 by their byte order mark. A byte order mark at the beginning
    of any line is removed, as it may be there if files were concatenated.

    Raises:
        DataError: a file is missing, a directory, damaged or not text; a line is too long or not in the encoding
            (unless `on_error` skips it).
        UsageError: an unknown encoding.
    """
    on_error = on_error or ErrorPolicy()
    limit = on_error.max_line
    for path in paths:
        source = source_name(path)
        with open_text(path, encoding) as (stream, codec):
            for number, raw in enumerate(bounded_lines(stream, source, limit), 1):
                if len(raw) > limit and not raw.endswith(b"\n"):
                    on_error(DataError(_too_long(limit), source, number))
                    continue
                try:
                    text = raw.removesuffix(b"\n").removesuffix(b"\r").decode(codec)
                except UnicodeDecodeError as error:
                    on_error(DataError(_undecodable(error, codec), source, number))
                    continue
                yield Line(text.lstrip("\ufeff"), source, number, len(raw))


def read_json(
    paths: Sequence[str], encoding: str = "utf-8", on_error: ErrorPolicy | None = None
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
    paths: Sequence[str],
    text_field: str | None = None,
    encoding: str = "utf-8",
    on_error: ErrorPolicy | None = None,
    usual_field: str = "text",
    second_field: str | None = None,
    second_option: str = "--pair",
) -> Iterator[Record]:
    """Yield the records of plain text or JSON Lines files.

    Args:
        paths: files, or `-` for stdin.
        text_field: field of the text; all files are JSON Lines. When None, files whose names end in .jsonl, .json or
            .ndjson (before .gz and the like) are JSON Lines with the usual field; all others are plain text.
        encoding: of the files.
        on_error: how to handle invalid lines; its hint is called for plain text that looks like JSON Lines.
        usual_field: default field of the text, also for lines of plain text.
        second_field: field of the second text of a pair; all files are JSON Lines then.
        second_option: option that names this field, for messages.
    """
    on_error = on_error or ErrorPolicy()
    for path in paths:
        if text_field is None and second_field is None and not is_json_name(path):
            for line in hinted(read_lines([path], encoding, on_error), on_error, usual_field):
                yield Record(line.text, {usual_field: line.text}, line)
            continue
        name = text_field or usual_field
        for line, fields in read_json([path], encoding, on_error):
            text, second = fields.get(name), None if second_field is None else fields.get(second_field)
            if not isinstance(text, str):
                on_error(line.error(_no_field(name, fields)))
            elif second_field is not None and not isinstance(second, str):
                on_error(line.error(_no_field(second_field, fields, second_option)))
            else:
                yield Record(text, fields, line, second)


def hinted(lines: Iterable[Line], on_error: ErrorPolicy, field: str | None) -> Iterator[Line]:
    """Yield lines of plain text, with a hint to the user at the first line that is a JSON object.

    Args:
        lines: plain text.
        on_error: its hint is called.
        field: the usual field of the text, for the hint; None if the command reads plain text only.
    """
    hint_given = False
    for line in lines:
        if not hint_given and line.text.startswith("{") and line.text.rstrip().endswith("}"):
            names = _string_fields(line.text)
            if names:
                name = field if field in names else names[0]
                cure = f"name the text field: --field {name}" if field else f"give plain text: jq -r .{name}"
                on_error.hint(f"{line.source}:{line.number}: looks like JSON Lines and is read as plain text; {cure}")
                hint_given = True
        yield line


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
    return content_suffix(path) in JSON_SUFFIXES


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


def _string_fields(text: str) -> list[str]:
    """Return the fields of a JSON object that are strings; none if the text is not a JSON object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return [name for name, item in value.items() if isinstance(item, str)] if isinstance(value, dict) else []


def _whole_number(digits: str) -> Any:
    if len(digits) <= 20 and -(1 << 63) <= int(digits) < 1 << 64:
        return int(digits)
    return orjson.Fragment(digits)


def _too_long(limit: int) -> str:
    return f"a line of more than {limit:,} bytes; raise --max-line, or split the text"


def _undecodable(error: UnicodeDecodeError, encoding: str) -> str:
    if b"\0" in error.object:
        cure = "it has NUL bytes, so it is no text, or UTF-16: pass --encoding utf-16-le"
    elif codecs.lookup(encoding).name == "utf-8":
        cure = "for a GBK file add --encoding gb18030"
    else:
        cure = "try another --encoding"
    return f"not valid {encoding} at byte {error.start + 1} of the line (0x{error.object[error.start]:02x}); {cure}"


def _no_field(name: str, fields: dict[str, Any], option: str = "--field") -> str:
    if name in fields:
        return f"field {name!r} is not a string"
    return f"no field {name!r} here (there are: {field_names(fields)}); name the text field with {option}"


def field_names(fields: Iterable[str]) -> str:
    """Return the names of a record's fields for a message, at most the first `_NAMES_SHOWN`."""
    names = list(fields)
    more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "none") + more
