"""Read the triples of a knowledge graph from TSV, CSV, JSON Lines and RDF files.

    江西（中国省份）<TAB>省会<TAB>南昌市
    {"subject": "江西", "meaning": "中国省份", "predicate": "省会", "objects": ["南昌市"]}

A subject that ends in ） has a sense, which distinguishes entities of the same name: the text after the first （. It is
called `meaning` in JSON. The JSON is the output of `nlpkit graph get`; for other JSON, `--columns` names the fields.
An IRI is shortened to the part after the last / or #, percent-decoded; a literal to its value. Invisible characters are
removed from all fields in all formats.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from nlpkit.core.io.progress import Advance, silent
from nlpkit.core.io.records import STDIN, ErrorPolicy, Line, read_json, read_lines
from nlpkit.core.io.tables.rows import read_rows
from nlpkit.core.text.normalization import clean_name
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.graph.rdf import LINE_FORMATS, read_rdf

Triple = tuple[str, str, str]
Format = Literal["tsv", "csv", "jsonl", "nt", "nq", "rdf"]

COLUMNS = ("subject", "predicate", "object")
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
_FORMATS: dict[str, Format] = {
    ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl",
    ".nt": "nt", ".nq": "nq", ".ttl": "rdf", ".trig": "rdf",
}  # fmt: skip


def split_subject(subject: str) -> tuple[str, str]:
    """Return (name, sense) of a subject: 江西（中国省份） is split into 江西 and 中国省份. Inverse of `join_subject`.

    If there is no name before the brackets, or nothing between them, the whole string is the name.
    """
    if subject.endswith("）"):
        name, bracket, rest = subject.partition("（")
        if name and bracket and len(rest) > 1:
            return name, rest[:-1]
    return subject, ""


def clean_subject(subject: str) -> str:
    """Return a subject with cleaned name and sense; see `clean_name`."""
    subject = clean_name(subject)
    name, sense = split_subject(subject)
    return join_subject(clean_name(name), clean_name(sense)) if sense else subject


def join_subject(name: str, sense: str) -> str:
    """Return the subject 名字（义） of a name and a sense; the name alone if the sense is empty."""
    return f"{name}（{sense}）" if sense else name


@dataclass(slots=True)
class TripleReader:
    """Reader of files of triples.

    Attributes:
        format: format of all files; None chooses by the file's suffix, TSV by default.
        columns: names of the three fields in the header of CSV or in JSON; for CSV without a header, their numbers,
            counted from 1.
        encoding: encoding of the files.
        on_error: error policy for invalid lines.
        advance: called after each line, or each triple of RDF.
        cleaned: number of triples so far with invisible characters around or in a field; see `clean_name`.
    """

    format: Format | None = None
    columns: tuple[str, str, str] | None = None
    encoding: str = "utf-8"
    on_error: ErrorPolicy = field(default_factory=ErrorPolicy)
    advance: Advance = silent
    cleaned: int = 0

    def read(self, paths: Sequence[str]) -> Iterator[Triple]:
        """Yield the triples of all files in order; `-` is stdin.

        Raises:
            DataError: a line is invalid or has an empty field (unless `on_error` skips it), or a file cannot be read.
            UsageError: columns were given for a format without columns.
        """
        for path in paths:
            kind = self.format or format_of(path)
            if self.columns is not None and kind not in ("csv", "jsonl"):
                raise UsageError(f"--columns: {path} is read as {kind}, which has none; see --format")
            yield from getattr(self, f"_read_{kind}")(path)

    def _read_tsv(self, path: str) -> Iterator[Triple]:
        for line in read_lines([path], self.encoding, self.on_error):
            self.advance(1, line.size)
            fields = line.text.split("\t")
            if len(fields) == 3:
                yield from self._checked(line, fields)
            elif line.text.strip():
                tabs = len(fields) - 1
                self.on_error(
                    line.error(f"{tabs} tab{'s' * (tabs != 1)}, not two; a line is SUBJECT<TAB>PREDICATE<TAB>OBJECT")
                )

    def _read_csv(self, path: str) -> Iterator[Triple]:
        columns = self.columns or COLUMNS
        numbers = [int(name) - 1 for name in columns if name.isdecimal() and int(name) > 0]
        for line, row in read_rows(self._counted(read_lines([path], self.encoding, self.on_error)), self.on_error):
            if len(numbers) < 3:
                numbers = _column_numbers([clean_name(name) for name in row], columns, line)
            elif len(row) > max(numbers):
                yield from self._checked(line, [row[number] for number in numbers])
            else:
                self.on_error(
                    line.error(f"{len(row)} columns; {max(numbers) + 1} are expected by the first line or --columns")
                )

    def _read_jsonl(self, path: str) -> Iterator[Triple]:
        subject, predicate, target = self.columns or COLUMNS
        for line, record in read_json([path], self.encoding, self.on_error):
            self.advance(1, line.size)
            objects = record.get(target, record.get("objects") if self.columns is None else None)
            name = record.get(subject)
            if self.columns is None and isinstance(name, str) and isinstance(record.get("meaning"), str):
                name = join_subject(name, record["meaning"])
            for value in objects if isinstance(objects, list) else [objects]:
                fields = [_as_text(field) for field in (name, record.get(predicate), value)]
                texts = [text for text in fields if text is not None]
                if len(texts) == 3:
                    yield from self._checked(line, texts)
                else:
                    there, missing = ", ".join(record) or "none", COLUMNS[fields.index(None)]
                    self.on_error(line.error(f"no {missing} here (fields: {there}); name the three with --columns"))

    def _read_rdf(self, path: str) -> Iterator[Triple]:
        extension = self.format if self.format in LINE_FORMATS else _suffix(path).lstrip(".")
        for line, fields in read_rdf(path, extension, self.encoding, self.on_error, self.advance):
            yield from self._checked(line, fields)

    _read_nt = _read_nq = _read_rdf

    def _counted(self, lines: Iterable[Line]) -> Iterator[Line]:
        for line in lines:
            self.advance(1, line.size)
            yield line

    def _checked(self, line: Line, fields: list[str]) -> Iterator[Triple]:
        """Yield the triple of three fields, without the invisible characters around and in them."""
        subject, predicate, target = clean_subject(fields[0]), clean_name(fields[1]), clean_name(fields[2])
        if subject and predicate and target:
            self.cleaned += [subject, predicate, target] != fields
            yield subject, predicate, target
        else:
            name = next(name for name, text in zip(COLUMNS, (subject, predicate, target), strict=True) if not text)
            self.on_error(line.error(f"an empty {name}; a triple needs all three"))


def parse_columns(text: str | None) -> tuple[str, str, str] | None:
    """Return the three names of `S,P,O`.

    Raises:
        UsageError: there are not three names.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if len(names) != 3 or not all(names):
        raise UsageError(
            f"--columns {text}: three names are expected: of subject, predicate and object, as in 头,关系,尾"
        )
    return names


def format_of(path: str) -> Format:
    """Return the format of a file by its suffix, before a compression suffix if any; TSV by default."""
    return _FORMATS.get(_suffix(path), "tsv")


def _suffix(path: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes and path != STDIN else ""


def _column_numbers(header: Sequence[str], columns: Sequence[str], line: Line) -> list[int]:
    missing = [name for name in columns if name not in header]
    if missing:
        there = ", ".join(header) or "none"
        raise line.error(
            f"no column {missing[0]!r} (there are: {there}); name the three with --columns S,P,O, or 1,2,3"
        )
    return [header.index(name) for name in columns]


def _as_text(value: Any) -> str | None:
    """Return a string, or a number as JSON text; None for anything else."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, int | float | orjson.Fragment) else None
