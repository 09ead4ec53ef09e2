"""Triples of a knowledge graph from files: TSV, CSV, JSON Lines, and RDF.

    江西（中国省份）<TAB>省会<TAB>南昌市
    {"subject": "江西", "meaning": "中国省份", "predicate": "省会", "objects": ["南昌市"]}

A subject that ends in ） has a meaning, which tells it from others of its name: what follows the first （. The JSON is
what `nlpkit graph get` writes; any other names its fields. Of an IRI the part after the last / or # is taken,
percent-decoded; of a literal its value. Invisible characters are removed from all parts, whatever the format.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from nlpkit.core.io.records import STDIN, Line, OnError, read_json, read_lines, text_size
from nlpkit.core.text.normalization import clean_name
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.graph.csv_triples import read_rows
from nlpkit.tasks.kgqa.graph.rdf import LINE_FORMATS, Advance, read_rdf

Triple = tuple[str, str, str]
Format = Literal["tsv", "csv", "jsonl", "nt", "nq", "rdf"]

COLUMNS = ("subject", "predicate", "object")
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
_FORMATS: dict[str, Format] = {
    ".csv": "csv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl",
    ".nt": "nt", ".nq": "nq", ".ttl": "rdf", ".trig": "rdf",
}  # fmt: skip
_PART_NAMES = ("subject", "predicate", "object")
_REPORT = 1 << 14  # triples between two reports of progress


def split_subject(subject: str) -> tuple[str, str]:
    """(name, meaning) of a subject as written: 江西（中国省份） is 江西, 中国省份; `join_subject` undoes it.

    Without a name before the brackets, or nothing between them, the whole is the name.
    """
    if subject.endswith("）"):
        name, bracket, rest = subject.partition("（")
        if name and bracket and len(rest) > 1:
            return name, rest[:-1]
    return subject, ""


def clean_subject(subject: str) -> str:
    """Return a subject as written, whose name and meaning are cleaned; see `clean_name`."""
    subject = clean_name(subject)
    name, meaning = split_subject(subject)
    return join_subject(clean_name(name), clean_name(meaning)) if meaning else subject


def join_subject(name: str, meaning: str) -> str:
    """The subject as written."""
    return f"{name}（{meaning}）" if meaning else name


@dataclass(slots=True)
class TripleReader:
    """How to read files of triples.

    Attributes:
        format: of all files; by their names, TSV where these do not tell, when None.
        columns: names of the three fields in CSV's first line or in JSON; or, in CSV without a first line of names,
            their numbers from 1.
        encoding: of the files.
        on_error: what to do with a bad line.
        advance: told the lines or triples, and their bytes, as they are read.
        cleaned: triples so far that had invisible characters around or in a part; see `clean_name`.
    """

    format: Format | None = None
    columns: tuple[str, str, str] | None = None
    encoding: str = "utf-8"
    on_error: OnError = field(default_factory=OnError)
    advance: Advance = field(default=lambda triples, size: None)
    cleaned: int = 0

    def read(self, paths: Sequence[str]) -> Iterator[Triple]:
        """The triples of files in turn; `-` is stdin.

        Raises:
            DataError: a line without two tabs, an empty part, a file that cannot be read (unless `on_error` skips).
            UsageError: columns for a format that has none.
        """
        for path in paths:
            kind = self.format or format_of(path)
            if self.columns is not None and kind not in ("csv", "jsonl"):
                raise UsageError(f"--columns: {path} is read as {kind}, which has none; see --format")
            yield from getattr(self, f"_read_{kind}")(path)

    def _read_tsv(self, path: str) -> Iterator[Triple]:
        for line in read_lines([path], self.encoding, self.on_error):
            self.advance(1, line.size)
            parts = line.text.split("\t")
            if len(parts) == 3:
                yield from self._checked(line, parts)
            elif line.text.strip():
                tabs = len(parts) - 1
                self.on_error(
                    line.error(f"{tabs} tab{'s' * (tabs != 1)}, not two; a line is SUBJECT<TAB>PREDICATE<TAB>OBJECT")
                )

    def _read_csv(self, path: str) -> Iterator[Triple]:
        columns = self.columns or COLUMNS
        places = [int(name) - 1 for name in columns if name.isdecimal() and int(name) > 0]
        for line, row in read_rows(self._counted(read_lines([path], self.encoding, self.on_error)), self.on_error):
            if len(places) < 3:
                places = _places([clean_name(name) for name in row], columns, line)
            elif len(row) > max(places):
                yield from self._checked(line, [row[place] for place in places])
            else:
                self.on_error(
                    line.error(f"{len(row)} columns; the first line, or --columns, tells of {max(places) + 1}")
                )

    def _read_jsonl(self, path: str) -> Iterator[Triple]:
        subject, predicate, target = self.columns or COLUMNS
        for line, record in read_json([path], self.encoding, self.on_error):
            self.advance(1, line.size)
            found = record.get(target, record.get("objects") if self.columns is None else None)
            written = record.get(subject)
            if self.columns is None and isinstance(written, str) and isinstance(record.get("meaning"), str):
                written = join_subject(written, record["meaning"])
            for value in found if isinstance(found, list) else [found]:
                parts = [_as_text(part) for part in (written, record.get(predicate), value)]
                texts = [part for part in parts if part is not None]
                if len(texts) == 3:
                    yield from self._checked(line, texts)
                else:
                    there, missing = ", ".join(record) or "none", _PART_NAMES[parts.index(None)]
                    self.on_error(line.error(f"no {missing} here (fields: {there}); name the three with --columns"))

    def _read_rdf(self, path: str) -> Iterator[Triple]:
        extension = self.format if self.format in LINE_FORMATS else _suffix(path).lstrip(".")
        for line, parts in read_rdf(path, extension, self.encoding, self.on_error, self.advance):
            yield from self._checked(line, parts)

    _read_nt = _read_nq = _read_rdf

    def _counted(self, lines: Iterable[Line]) -> Iterator[Line]:
        for line in lines:
            self.advance(1, line.size)
            yield line

    def _checked(self, line: Line, parts: list[str]) -> Iterator[Triple]:
        """Yield the triple of three parts without the invisible characters around and in them."""
        subject, predicate, target = clean_subject(parts[0]), clean_name(parts[1]), clean_name(parts[2])
        if subject and predicate and target:
            self.cleaned += [subject, predicate, target] != parts
            yield subject, predicate, target
        else:
            name = next(name for name, part in zip(_PART_NAMES, (subject, predicate, target), strict=True) if not part)
            self.on_error(line.error(f"an empty {name}; a triple needs all three"))


def parse_columns(text: str | None) -> tuple[str, str, str] | None:
    """The three names of `S,P,O`.

    Raises:
        UsageError: not three.
    """
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if len(names) != 3 or not all(names):
        raise UsageError(
            f"--columns {text}: three names are expected: of subject, predicate and object, as in 头,关系,尾"
        )
    return names


class Progressing:
    """An `Advance` that tells, every so often, how many megabytes are read; or triples, where no file says its size.

    Args:
        paths: of the files.
        progress: told a stage, what is done of it, and its total, 0 where that is unknown.
    """

    def __init__(self, paths: Sequence[str], progress: Callable[[str, int, int], None]):
        sizes = [text_size(path) if path != STDIN and format_of(path) != "rdf" else None for path in paths]
        self.total = sum(size or 0 for size in sizes) if all(sizes) else 0
        self.progress, self.triples, self.size = progress, 0, 0

    def __call__(self, triples: int, size: int) -> None:
        """Counts what was read."""
        self.triples += triples
        self.size += size
        if self.triples % _REPORT:
            return
        if self.total >= 1_000_000:
            self.progress("reading, MB:", self.size // 1_000_000, max(self.size, self.total) // 1_000_000)
        else:
            self.progress("reading, triples:", self.triples, 0)


def format_of(path: str) -> Format:
    """The format that a file's name says, also under a compression suffix; TSV where it says none."""
    return _FORMATS.get(_suffix(path), "tsv")


def _suffix(path: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes and path != STDIN else ""


def _places(header: Sequence[str], columns: Sequence[str], line: Line) -> list[int]:
    missing = [name for name in columns if name not in header]
    if missing:
        there = ", ".join(header) or "none"
        raise line.error(
            f"no column {missing[0]!r} (there are: {there}); name the three with --columns S,P,O, or 1,2,3"
        )
    return [header.index(name) for name in columns]


def _as_text(value: Any) -> str | None:
    """A text, or a number as JSON has it; None for all else."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, int | float | orjson.Fragment) else None
