"""Files in, records out: lines and JSON Lines of any size, with errors that say file and line.

A plain text line is a record too: one line in, one record out, blank lines included.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

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
_MANY_DIGITS = re.compile("[0-9]{19}")  # where a number may need more than 64 bits
_NAMES_SHOWN = 20  # fields that a message lists


@dataclass(slots=True)
class OnError:
    """What to do with a bad record: `fail` raises at once, `skip` reports, counts, and goes on.

    Attributes:
        policy: see above.
        report: told each record that is skipped.
        count: records skipped so far.
        max_line: bytes of a line; a longer one is a bad record.
        hint: told once what a user may have meant otherwise.
    """

    policy: Literal["fail", "skip"] = "fail"
    report: Callable[[DataError], None] = field(default=lambda error: None)
    count: int = 0
    max_line: int = MAX_LINE
    hint: Callable[[str], None] = field(default=lambda text: None)

    def __call__(self, error: DataError) -> None:
        """Raises the error or counts it."""
        if self.policy == "fail":
            raise error
        self.count += 1
        self.report(error)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, without its line end, and where it stands; `size` is that of its bytes, for progress."""

    text: str
    source: str
    number: int
    size: int = 0

    def error(self, message: str) -> DataError:
        """A DataError that names this place."""
        return DataError(message, self.source, self.number)


@dataclass(frozen=True, slots=True)
class Record:
    """A text to work on, the fields that pass through with it, and where it stands."""

    text: str
    fields: dict[str, Any]
    line: Line


def read_lines(paths: Sequence[str], encoding: str = "utf-8", on_error: OnError | None = None) -> Iterator[Line]:
    """Yield the lines of the files in turn; `-` is stdin.

    Compression is recognised by content, and so are UTF-16 and UTF-32 by their byte order mark. A byte order mark is
    dropped at the beginning of every line, as it stands there where files were joined by `cat`.

    Raises:
        DataError: a file is missing, a directory, broken or no text; a line is too long or not in this encoding (unless
            `on_error` skips it).
        UsageError: an unknown encoding.
    """
    on_error = on_error or OnError()
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
    paths: Sequence[str], encoding: str = "utf-8", on_error: OnError | None = None
) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Yield the objects of JSON Lines files, each with its line; blank lines are passed over.

    A whole number of more than 64 bits, which would become a float, is an `orjson.Fragment`, and written as it was.
    """
    on_error = on_error or OnError()
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
    on_error: OnError | None = None,
    usual_field: str = "text",
) -> Iterator[Record]:
    """Yield the records of plain text or JSON Lines files.

    Args:
        paths: files, or `-` for stdin.
        text_field: the field that holds the text; given, every file is JSON Lines. When None, files whose names end in
            .jsonl, .json or .ndjson (before .gz and the like) are, with the usual field; all others are plain text.
        encoding: of the files.
        on_error: what to do with a bad line; its hint is given where plain text looks like JSON Lines.
        usual_field: the one that holds the text where none is named, and that a plain line becomes.
    """
    on_error = on_error or OnError()
    for path in paths:
        if text_field is None and not is_json_name(path):
            for line in hinted(read_lines([path], encoding, on_error), on_error, usual_field):
                yield Record(line.text, {usual_field: line.text}, line)
            continue
        name = text_field or usual_field
        for line, fields in read_json([path], encoding, on_error):
            text = fields.get(name)
            if isinstance(text, str):
                yield Record(text, fields, line)
            else:
                on_error(line.error(_no_field(name, fields)))


def hinted(lines: Iterable[Line], on_error: OnError, field: str | None) -> Iterator[Line]:
    """Yield lines of plain text; the first that is a JSON object gives a hint.

    Args:
        lines: plain text.
        on_error: takes the hint.
        field: the usual name of the text in a JSON object, to name in the hint; None where only plain text is read.
    """
    given = False
    for line in lines:
        if not given and line.text.startswith("{") and line.text.rstrip().endswith("}"):
            names = _string_fields(line.text)
            if names:
                name = field if field in names else names[0]
                cure = f"name the text field: --field {name}" if field else f"give plain text: jq -r .{name}"
                on_error.hint(f"{line.source}:{line.number}: looks like JSON Lines and is read as plain text; {cure}")
                given = True
        yield line


def unclashing(
    records: Iterable[Record], names: Iterable[str], nest: str | None, on_error: OnError
) -> Iterator[Record]:
    """Yield the records whose fields can stand beside those of the output; see `combined`.

    Args:
        records: the input.
        names: all fields that a command may add, so that a clash shows at the first record.
        nest: the field that will hold them, as an object; None where they stand beside the input's.
        on_error: what to do with a record that has a field of such a name.
    """
    added = (nest,) if nest else tuple(names)
    cure = "choose another name for --nest" if nest else "rename it, or collect the output's fields: --nest NAME"
    for record in records:
        clash = next((name for name in added if name in record.fields), None)
        if clash is None:
            yield record
        else:
            on_error(record.line.error(f"the field {clash!r} would be overwritten by the output; {cure}"))


def combined(fields: Mapping[str, Any], found: Mapping[str, Any], nest: str | None = None) -> dict[str, Any]:
    """Return the fields of an input record and, beside them or in an object named `nest`, what a command has found."""
    return {**fields, **({nest: dict(found)} if nest else found)}


def is_json_name(path: str) -> bool:
    """Whether a file name says JSON Lines, also under a compression suffix."""
    return content_suffix(path) in JSON_SUFFIXES


def dumps(value: Any) -> bytes:
    """Return JSON without white space; Chinese stays Chinese, and a file name that is not UTF-8 is shown with escapes.

    Raises:
        OutputError: the value is nested too deep.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        if "surrogates" in str(error):
            return orjson.dumps(_encodable(value), option=orjson.OPT_SERIALIZE_NUMPY)
        # Fields nested hundreds deep can be read, but not written.
        raise OutputError(f"a record cannot be written as JSON ({error})") from None


def dump_line(value: dict[str, Any]) -> bytes:
    """Return one JSON line; see `dumps`."""
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
    """The fields of a JSON object that hold strings; none where it is no object."""
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


def _no_field(name: str, fields: dict[str, Any]) -> str:
    if name in fields:
        return f"field {name!r} is not a string"
    return f"no field {name!r} here (there are: {field_names(fields)}); name the text field with --field"


def field_names(fields: Iterable[str]) -> str:
    """The names of a record's fields for a message, of many only the first."""
    names = list(fields)
    more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "none") + more
