"""Annotated texts, independent of the file format, and the parameters of reading and writing them.

A format reads and writes `Annotation`s: texts with entities, relations and events, each `None` if the record is not
annotated with them. Readers do not check spans; each task checks its own annotations (see `gold`).

A conversion never loses annotations silently: a `Tally` counts what is dropped, and the command reports the counts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from nlpkit.core.formats.gold import parsed
from nlpkit.core.formats.offsets import UNITS
from nlpkit.core.io.records import ErrorPolicy, Line, read_json
from nlpkit.errors import DataError, UsageError

# the layers of annotation, and a noun for one item of each
LAYERS = {"entities": "entity", "relations": "relation", "events": "event"}
UNLABELLED = "unlabelled"

Example = TypeVar("Example")


class Mark(NamedTuple):
    """A span; `label` is None for a span without a label, `text` if the format does not repeat it."""

    start: Any
    end: Any
    label: Any = None
    text: Any = None
    score: Any = None


class Link(NamedTuple):
    """A relation between two spans."""

    subject: Mark
    predicate: Any
    object: Mark
    score: Any = None


class Argument(NamedTuple):
    """A span in a role of an event, with its value if the role has a fixed list of fillers."""

    role: Any
    mark: Mark
    value: Any = ""


class Frame(NamedTuple):
    """An event; its trigger, if any, is not one of the arguments."""

    type: Any
    trigger: Mark | None
    arguments: Sequence[Argument]


@dataclass(frozen=True, slots=True)
class Place(Line):
    """A part of a line; its name, such as `task 7: `, is the prefix of every message."""

    name: str = ""

    def error(self, message: str) -> DataError:
        """Return a DataError with the name of the part."""
        return DataError(self.name + message, self.source, self.number)


@dataclass(frozen=True, slots=True)
class Annotation:
    """A text with its annotations.

    Attributes:
        text: the text to which the offsets refer.
        line: of the record.
        entities: labelled spans.
        relations: pairs of spans.
        events: triggers with arguments.
        regions: spans without a label, possibly including those of relations and events.
        located: whether the offsets of relations and events were annotated, not found by a search.
    """

    text: Any
    line: Line
    entities: tuple[Mark, ...] | None = None
    relations: tuple[Link, ...] | None = None
    events: tuple[Frame, ...] | None = None
    regions: tuple[Mark, ...] = ()
    located: bool = True

    def spans(self) -> Iterator[Mark]:
        """Yield the spans of relations and events."""
        for link in self.relations or ():
            yield from (link.subject, link.object)
        for frame in self.events or ():
            yield from ([frame.trigger] if frame.trigger else [])
            yield from (argument.mark for argument in frame.arguments)

    def scores(self) -> int:
        """Return the number of scores."""
        items: tuple[Mark | Link, ...] = (*(self.entities or ()), *(self.relations or ()))
        return sum(item.score is not None for item in items)


class Tally:
    """Counts of dropped and repaired annotations by kind, each with the line of the first one."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}
        self._first: dict[tuple[str, str, str], Line] = {}

    def drop(self, noun: str, why: str, line: Line, count: int = 1) -> None:
        """Count annotations that are not converted; `{them}` in the reason becomes `it` or `them`."""
        self._add("dropped", noun, why, line, count)

    def repair(self, noun: str, why: str, line: Line, count: int = 1) -> None:
        """Count annotations that are corrected in conversion."""
        self._add("repaired", noun, why, line, count)

    def warn(self, noun: str, why: str, line: Line, count: int = 1) -> None:
        """Count annotations that the user should check."""
        self._add("check", noun, why, line, count)

    def messages(self) -> list[str]:
        """Return one line for each kind: `dropped: 3 relations (conll cannot hold them), first in a.jsonl:7`."""
        return [
            f"{verb}: {count} {noun if count == 1 else _plural(noun)} "
            f"({why.replace('{them}', 'it' if count == 1 else 'them')}), "
            f"first in {str(self._first[verb, noun, why].error('')).rstrip(': ')}"
            for (verb, noun, why), count in self._counts.items()
        ]

    def _add(self, verb: str, noun: str, why: str, line: Line, count: int) -> None:
        if count:
            key = (verb, noun, why)
            self._counts[key] = self._counts.get(key, 0) + count
            self._first.setdefault(key, line)


@dataclass(frozen=True, slots=True)
class Source:
    """Input files and the options of reading them.

    Attributes:
        paths: files, or `-` for stdin; folders for brat.
        encoding: of the files.
        on_error: how to handle invalid records.
        field: field of the text in a JSON format; the usual name of the format when None.
        annotator: whose annotation to read if a record has several: an id, an e-mail address, or `#2` for the second
            one; the first when None.
        offsets: unit of doccano's offsets, one of `offsets.UNITS`; code points when None.
        tally: counts dropped and repaired annotations.
        label: field with the label, of formats with named fields; `label` when None.
        pair: field with the second text of a pair; a record is a single text when None.
    """

    paths: Sequence[str]
    encoding: str = "utf-8"
    on_error: ErrorPolicy = default(default_factory=ErrorPolicy)
    field: str | None = None
    annotator: str | None = None
    offsets: str | None = None
    tally: Tally = default(default_factory=Tally)
    label: str | None = None
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class Sink:
    """The options of writing.

    Attributes:
        on_error: how to handle records that the format cannot represent.
        tally: counts dropped annotations.
        offsets: as in `Source`.
        from_name: name of the labelling tag in the Label Studio configuration.
        to_name: name of its text tag.
        data_key: key of the text in the data of a Label Studio task.
        predicted: whether texts without annotations are predictions of a model, not the work of an annotator.
    """

    on_error: ErrorPolicy = default(default_factory=ErrorPolicy)
    tally: Tally = default(default_factory=Tally)
    offsets: str | None = None
    from_name: str = "label"
    to_name: str = "text"
    data_key: str = "text"
    predicted: bool = False


Render = Callable[[Annotation, Sink], bytes]


@dataclass(frozen=True, slots=True)
class Format(Generic[Example]):
    """A file format of a task: its reader, its writer if it has one, and what it can represent.

    Attributes:
        read: yields the examples of files.
        options: the fields of `Source` that only some formats support and that this one supports.
        write: returns the bytes of a record, or raises DataError if the format cannot represent it; None if the format
            has no writer.
        holds: the fields of `Annotation`, and `scores` and `located`, that the writer supports.
        frame: bytes before the first record, between two records, and after the last.
        write_folder: writes all records into a folder, for formats of several files; instead of `write`.
    """

    read: Callable[[Source], Iterator[Example]]
    options: frozenset[str] = frozenset()
    write: Render | None = None
    holds: frozenset[str] = frozenset()
    frame: tuple[bytes, bytes, bytes] = (b"", b"", b"")
    write_folder: Callable[[Iterable[Annotation], Sink, Path], None] | None = None


class Layer(NamedTuple):
    """The part of a record that one task reads and writes.

    Attributes:
        name: `entities`, `relations` or `events`, as in nlpkit's own format.
        formats: of the task's gold annotation.
        parse: (line, fields, text field) -> the example of a record in nlpkit's own format.
        from_annotation: (annotation, tally) -> example.
        to_annotation: (example, with scores) -> annotation.
        to_record: (example, with scores) -> the record in nlpkit's own format.
    """

    name: str
    formats: dict[str, Format[Any]]
    parse: Callable[[Line, dict[str, Any], str | None], Any]
    from_annotation: Callable[..., Any]
    to_annotation: Callable[[Any, bool], Annotation]
    to_record: Callable[[Any, bool], dict[str, Any]]


def json_lines(parse: Callable[[Line, dict[str, Any], str | None], Example]) -> Format[Example]:
    """Return a format of JSON Lines; `parse` returns the example of a line, its object, and the text field."""

    def read(source: Source) -> Iterator[Example]:
        items = read_json(source.paths, source.encoding, source.on_error)
        return parsed(items, lambda item: parse(*item, source.field), source.on_error)

    return Format(read, frozenset({"field"}))


@dataclass(frozen=True, slots=True)
class Reader(Generic[Example]):
    """Reads the gold annotation of a task.

    Attributes:
        formats: of the task, by name.
    """

    formats: Mapping[str, Format[Example]]

    def __call__(
        self,
        paths: Sequence[str],
        format: str = "nlpkit",
        encoding: str = "utf-8",
        on_error: ErrorPolicy | None = None,
        field: str | None = None,
        *,
        label: str | None = None,
        pair: str | None = None,
        annotator: str | None = None,
        offsets: str | None = None,
        tally: Tally | None = None,
    ) -> Iterator[Example]:
        """Return the examples of files.

        Args:
            paths: files, compressed or not, or `-` for stdin.
            format: name of the format.
            encoding: of the files.
            on_error: how to handle invalid records; raises by default.
            field: as in `Source`, as are the next ones.
            label: field of the label.
            pair: field of the second text.
            annotator: whose annotation to read.
            offsets: unit of doccano's offsets.
            tally: counts dropped and repaired annotations.

        Raises:
            UsageError: an unknown format, or an option that it does not have.
            DataError: an invalid record (unless `on_error` skips it), or a file that cannot be read.
        """
        if format not in self.formats:
            raise UsageError(f"unknown format {format!r}; there are: {', '.join(self.formats)}")
        source = Source(
            paths, encoding, on_error or ErrorPolicy(), field, annotator, offsets, tally or Tally(), label, pair
        )
        check_options(format, self.formats[format].options, source)
        return self.formats[format].read(source)


def check_options(format: str, options: frozenset[str], source: Source) -> None:
    """Check that a source has only options that its format supports.

    Raises:
        UsageError: it has others.
    """
    reasons = {
        "field": f"the format {format} is not JSON and has no fields",
        "label": f"the format {format} has no named fields",
        "pair": f"the format {format} has no named fields",
        "annotator": f"the format {format} does not name annotators; only labelstudio does",
        "offsets": f"the offsets of the format {format} are known; only those of doccano may differ",
    }
    for option, reason in reasons.items():
        value = getattr(source, option)
        if value is not None and option not in options:
            raise UsageError(f"--{option} {value}: {reason}; leave it out")
    if source.annotator is not None and not re.fullmatch(r"#[1-9][0-9]{0,5}|[^#].*", source.annotator):
        raise UsageError(f"--annotator {source.annotator}: an id, an e-mail address, or #2 for the second of each task")
    check_unit(source.offsets)


def check_unit(offsets: str | None) -> None:
    """Check the unit of offsets.

    Raises:
        UsageError: it is not one of `offsets.UNITS`.
    """
    if offsets is not None and offsets not in UNITS:
        raise UsageError(f"--offsets {offsets}: one of {', '.join(UNITS)}")


def loose_regions(annotation: Annotation) -> int:
    """Return the number of spans without a label that are in no relation and no event."""
    used = {(mark.start, mark.end) for mark in annotation.spans()}
    return sum((mark.start, mark.end) not in used for mark in annotation.regions)


def _plural(noun: str) -> str:
    first, *rest = noun.split(" ", 1)
    many = f"{first[:-1]}ies" if first.endswith("y") else f"{first}s"
    return " ".join([many, *rest])
