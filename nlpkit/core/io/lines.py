"""Reading of lines: plain text of any size, with file and line in all errors, and the policy for bad ones."""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from nlpkit.core.io.input import Part, bounded_lines, open_text, source_name
from nlpkit.errors import DataError

MAX_LINE = 16 << 20  # bytes
MAX_SHOWN = 1 << 16  # bytes of a line that cannot be read


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
        return DataError(message, self.source, self.number, self.text)


def read_lines(
    paths: Sequence[str | Part], encoding: str = "utf-8", on_error: ErrorPolicy | None = None
) -> Iterator[Line]:
    """Yield the lines of the files, or parts of files, in turn; `-` is stdin.

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
        part = path if isinstance(path, Part) else Part(path)
        source = source_name(part.path)
        with open_text(part, encoding) as (stream, codec):
            for number, raw in enumerate(bounded_lines(stream, source, limit), part.line):
                if len(raw) > limit and not raw.endswith(b"\n"):
                    on_error(DataError(_too_long(limit), source, number, _shown(raw)))
                    continue
                try:
                    text = raw.removesuffix(b"\n").removesuffix(b"\r").decode(codec)
                except UnicodeDecodeError as error:
                    on_error(DataError(_undecodable(error, codec), source, number, _shown(raw)))
                    continue
                yield Line(text.lstrip("\ufeff"), source, number, len(raw))


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


def _string_fields(text: str) -> list[str]:
    """Return the fields of a JSON object that are strings; none if the text is not a JSON object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return [name for name, item in value.items() if isinstance(item, str)] if isinstance(value, dict) else []


def _shown(raw: bytes) -> str:
    """Return the beginning of a line that is too long or not in its encoding, for a file of bad records."""
    return raw[:MAX_SHOWN].rstrip(b"\r\n").decode("utf-8", "backslashreplace")


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
