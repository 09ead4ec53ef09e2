r"""brat's standoff format: a text file and an annotation file of the same name for each text.

    a.txt   叶老桂在浙商银行
    a.ann   T1<TAB>name 0 3<TAB>叶老桂
            T2<TAB>company 4 8<TAB>浙商银行
            R1<TAB>任职 Arg1:T1 Arg2:T2
            T3<TAB>质押 6 8<TAB>质押
            E1<TAB>质押:T3 质押方:T1 质押方2:T2
            A1<TAB>环节 E1 正式上市

The reader takes folders (all `.ann` files in them and in their subfolders) and single `.ann` or `.txt` files; the
writer creates a folder with an `annotation.conf` for brat. Offsets count code points, with a line end as one. The
trigger of an event (E) is a span with the type of the event as its label, and not an entity. Roles that occur twice in
an event are numbered. An attribute with a value (A) of an event is a role with a fixed list of fillers; other
attributes, normalizations (N), notes (#) and equivalences (*) are counted and dropped. A span over a line end is
written as brat does it, with a gap; other spans with gaps are errors. Spans of relations and events without a label are
written with the label `unlabelled`, which is removed on reading.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nlpkit.core.formats.annotation import UNLABELLED, Annotation, Argument, Frame, Link, Mark, Sink, Source
from nlpkit.core.formats.gold import check_span, parsed
from nlpkit.core.formats.offsets import NAMES, recount, same
from nlpkit.core.io.output import reported
from nlpkit.core.io.records import STDIN, Line
from nlpkit.errors import DataError, UsageError

HOLDS = frozenset({"entities", "relations", "events"})

_SPAN = re.compile(r"(T\S*)\t(\S+) ([0-9]{1,15} [0-9]{1,15}(?:;[0-9]{1,15} [0-9]{1,15})*)(?:\t(.*))?")
_RELATION = re.compile(r"(R\S*)\t(\S+) \S+:(\S+) \S+:(\S+)\s*")
_EVENT = re.compile(r"(E\S*)\t(\S+)((?: \S+)*)\s*")
_ATTRIBUTE = re.compile(r"[AM]\S*\t(\S+) (\S+)(?: (\S+))?\s*")
_OTHERS = {"N": "normalisation", "#": "note", "*": "equivalence"}
_BREAKS = re.compile("[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]+")  # at which readers of .ann files may split lines
_NUMBER = re.compile(r"[2-9]|[1-9][0-9]+")


# --- reading ----------------------------------------------------------------------------------------------------------


def read(source: Source) -> Iterator[Annotation]:
    """Yield the documents of folders and files, in the order of their names.

    Raises:
        UsageError: the input is stdin.
        DataError: a file is missing, cannot be read, or has other content (unless `on_error` skips it).
    """
    return parsed(_documents(source), lambda document: _annotation(document, source), source.on_error)


def _documents(source: Source) -> Iterator[Path]:
    for name in source.paths:
        if name == STDIN:
            raise UsageError("brat is a pair of files for each text; name them or their folder")
        path = Path(name)
        if not path.is_dir():
            yield path.with_suffix(".ann") if path.suffix in (".ann", ".txt") else Path(f"{name}.ann")
            continue
        documents = sorted(path.rglob("*.ann"))
        texts = [text for text in path.rglob("*.txt") if not text.with_suffix(".ann").exists()]
        source.tally.drop("text", "there is no .ann file for {them}", Line("", name, 1), len(texts))
        if not documents:
            source.on_error(DataError("no .ann files in this folder", name))
        yield from documents


@dataclass(frozen=True, slots=True)
class _Span:
    """A text-bound annotation; a span with gaps has several pieces."""

    line: Line
    mark: Mark
    pieces: list[tuple[int, int]]


@dataclass(slots=True)
class _Standoff:
    """The lines of an .ann file, by kind."""

    spans: dict[str, _Span] = field(default_factory=dict)
    relations: list[tuple[Line, str, str, str]] = field(default_factory=list)
    events: dict[str, tuple[Line, str, str, list[tuple[str, str]]]] = field(default_factory=dict)
    attributes: list[tuple[Line, str, str, str | None]] = field(default_factory=list)


def _annotation(path: Path, source: Source) -> Annotation:
    text = _content(path.with_suffix(".txt"), source)
    standoff = _Standoff()
    lines = _content(path, source).removeprefix("\ufeff").split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip():
            _sort(Line(line.removesuffix("\r"), str(path), number), standoff, source)
    _recount(text, standoff, source, path)
    first = Line("", str(path), 1)
    links = tuple(_links(standoff, source))
    frames, triggers = _frames(standoff, source)
    marks = [span.mark for id, span in standoff.spans.items() if id not in triggers]
    entities = tuple(mark for mark in marks if mark.label is not None)
    regions = tuple(mark for mark in marks if mark.label is None)
    has_entities = bool(entities) or not (links or frames or regions)
    return Annotation(text, first, entities if has_entities else None, links or None, frames or None, regions)


def _content(path: Path, source: Source) -> str:
    """Return the content of a file."""
    encoding, limit = source.encoding, source.on_error.max_line
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise DataError(f"a file of more than {limit:,} bytes; raise --max-line", str(path))
        return content.decode(encoding)
    except FileNotFoundError:
        raise DataError("no such file; brat needs a .txt and an .ann file of the same name", str(path)) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", str(path)) from None
    except UnicodeDecodeError as error:
        raise DataError(f"not valid {encoding} at byte {error.start + 1}; try another --encoding", str(path)) from None
    except LookupError:
        raise UsageError(f"unknown encoding {encoding!r}; try utf-8 or gb18030") from None


def _sort(line: Line, standoff: _Standoff, source: Source) -> None:
    """Add a line of an .ann file to those of its kind, and check that its id is unique."""
    kind = line.text[0]
    if kind in _OTHERS:
        source.tally.drop(_OTHERS[kind], "nlpkit has none", line)
    elif (match := _SPAN.fullmatch(line.text)) is not None:
        if match[1] in standoff.spans:
            raise line.error(f"{match[1]} is there twice")
        standoff.spans[match[1]] = _parsed(line, *match.groups()[1:])
    elif (match := _RELATION.fullmatch(line.text)) is not None:
        standoff.relations.append((line, match[2], match[3], match[4]))
    elif (match := _EVENT.fullmatch(line.text)) is not None:
        type, colon, trigger = match[2].rpartition(":")
        if not colon:
            raise line.error(f"{match[1]} has no trigger; an event looks like E1<TAB>type:T3 role:T1")
        pairs = [pair.rpartition(":") for pair in match[3].split()]
        standoff.events[match[1]] = (line, type, trigger, [(role, id) for role, _, id in pairs])
    elif (match := _ATTRIBUTE.fullmatch(line.text)) is not None:
        standoff.attributes.append((line, match[1], match[2], match[3]))
    else:
        raise line.error("not a line of brat's standoff format, such as T1<TAB>name 0 3<TAB>叶老桂")


def _parsed(line: Line, label: str, offsets: str, string: str | None) -> _Span:
    pieces = [(int(start), int(end)) for start, _, end in (pair.partition(" ") for pair in offsets.split(";"))]
    return _Span(line, Mark(pieces[0][0], pieces[-1][1], None if label == UNLABELLED else label, string), pieces)


def _recount(text: str, standoff: _Standoff, source: Source, path: Path) -> None:
    """Convert the offsets of spans to code points, and close their gaps.

    Raises:
        DataError: a span with a gap of more than white space, or whose string differs from the text.
    """
    spans = list(standoff.spans.items())
    marks = [span.mark for _, span in spans]
    recounted = recount(text, [(mark.start, mark.end, mark.text) for mark in marks], ("codepoint", "crlf"))
    if recounted is not None and recounted[0] != "codepoint":
        why = f"offsets that count {NAMES[recounted[0]]}"
        source.tally.repair("span", why, Line("", str(path), 1), len(spans))
    for index, (id, span) in enumerate(spans):
        _check_gaps(text, id, span, source)
        start, end = recounted[1][index] if recounted is not None else (span.mark.start, span.mark.end)
        if recounted is None:
            check_span(span.line, text, start, end)
            if span.mark.text is not None and not same(text[start:end], span.mark.text):
                check_span(span.line, text, start, end, span.mark.text)
        standoff.spans[id] = replace(span, mark=span.mark._replace(start=start, end=end, text=None))


def _check_gaps(text: str, id: str, span: _Span, source: Source) -> None:
    """Check that the gaps of a span are white space; gaps at line ends are brat's form of a span over lines."""
    gaps = [text[one[1] : other[0]] for one, other in zip(span.pieces, span.pieces[1:], strict=False)]
    if any(gap.strip() or not gap for gap in gaps):
        shown = ";".join(f"{start} {end}" for start, end in span.pieces)
        string = span.mark.text or "".join(text[start:end] for start, end in span.pieces)
        raise span.line.error(
            f"{id} has a gap ({shown}: {string!r}), which nlpkit cannot hold; make it one span or two"
        )
    if any(not _BREAKS.search(gap) for gap in gaps):
        source.tally.repair("span", "a gap of spaces is closed", span.line)


def _links(standoff: _Standoff, source: Source) -> Iterator[Link]:
    for line, type, *ends in standoff.relations:
        if any(end in standoff.events for end in ends):
            source.tally.drop("relation", "it has an event as an end", line)
            continue
        subject, object = (_span(line, end, standoff) for end in ends)
        yield Link(subject, type, object)


def _frames(standoff: _Standoff, source: Source) -> tuple[tuple[Frame, ...], set[str]]:
    """Return the events and the ids of their triggers."""
    values: dict[str, list[tuple[str, str]]] = {}
    for line, name, target, value in standoff.attributes:
        if target in standoff.events and value is not None:
            values.setdefault(target, []).append((name, value))
        else:
            source.tally.drop("attribute", "nlpkit has only those of events with a value", line)
    frames = []
    triggers: set[str] = set()
    for id, (line, type, trigger, pairs) in standoff.events.items():
        mark = _span(line, trigger, standoff)
        if mark.label != type:
            raise line.error(f"{id} is of the type {type}, but its trigger {trigger} of {mark.label or UNLABELLED}")
        triggers.add(trigger)
        roles = {role for role, _ in pairs}
        arguments = []
        for role, end in pairs:
            if end in standoff.events:
                source.tally.drop("argument", "it is an event", line)
                continue
            arguments.append(Argument(_unnumbered(role, roles), _span(line, end, standoff)))
        arguments += [Argument(name, mark, value) for name, value in values.get(id, [])]
        frames.append(Frame(type, mark, arguments))
    return tuple(frames), triggers


def _span(line: Line, id: str, standoff: _Standoff) -> Mark:
    if id not in standoff.spans:
        raise line.error(f"there is no {id}")
    return standoff.spans[id].mark


def _unnumbered(role: str, roles: set[str]) -> str:
    """Return `质押方` for `质押方2` if the event also has the role 质押方."""
    splits = ((role[:end], role[end:]) for end in range(1, len(role)))
    return next((name for name, number in splits if name in roles and _NUMBER.fullmatch(number)), role)


# --- writing ----------------------------------------------------------------------------------------------------------


def write_folder(annotations: Iterable[Annotation], sink: Sink, folder: Path) -> None:
    """Write documents into a folder, `0000001.txt` and so on, and `annotation.conf` with their labels.

    Raises:
        OutputError: the folder cannot be written.
    """
    config = _Configuration()
    with reported(folder):
        documents = parsed(annotations, lambda annotation: _document(annotation, sink, config), sink.on_error)
        for number, (text, standoff) in enumerate(documents, 1):
            (folder / f"{number:07}.txt").write_bytes(text)
            (folder / f"{number:07}.ann").write_bytes(standoff)
        (folder / "annotation.conf").write_text(config.render(), encoding="utf-8")


@dataclass(slots=True)
class _Configuration:
    """The labels of all documents, for `annotation.conf`."""

    entities: dict[str, None] = field(default_factory=dict)
    relations: dict[str, None] = field(default_factory=dict)
    events: dict[str, dict[str, None]] = field(default_factory=dict)
    attributes: dict[str, dict[str, None]] = field(default_factory=dict)

    def render(self) -> str:
        """Return the content of `annotation.conf`."""
        lines = ["[entities]", *self.entities, "", "[relations]"]
        lines += [f"{name}\tArg1:<ENTITY>, Arg2:<ENTITY>" for name in self.relations]
        lines += ["", "[events]"]
        for name, roles in self.events.items():
            lines.append(f"{name}\t" + ", ".join(f"{role}*:<ENTITY>" for role in roles))
        lines += ["", "[attributes]"]
        lines += [f"{name}\tArg:<EVENT>, Value:{'|'.join(values)}" for name, values in self.attributes.items()]
        return "\n".join(lines) + "\n"


def _document(annotation: Annotation, sink: Sink, config: _Configuration) -> tuple[bytes, bytes]:
    """Return the contents of the .txt and the .ann file of a record."""
    writer = _Writer(annotation, sink)
    content = writer.lines(config)
    return annotation.text.encode(), "".join(f"{line}\n" for line in content).encode()


class _Writer:
    """The lines of an .ann file."""

    def __init__(self, annotation: Annotation, sink: Sink):
        self._annotation, self._sink = annotation, sink
        self._lines: list[str] = []
        self._ids: dict[tuple[int, int], str] = {}  # of the first entity with a span
        self._triggers: dict[tuple[int, int, str], str] = {}
        self._spans = 0

    def lines(self, config: _Configuration) -> list[str]:
        """Return the lines, and add their labels to the configuration.

        Raises:
            DataError: a label with white space, or a span that begins or ends with a line end.
        """
        annotation = self._annotation
        for mark in annotation.entities or ():
            if mark.label == UNLABELLED:
                raise self._error(f"the label {UNLABELLED} is kept for spans without a label; rename it")
            id = self._span(mark, mark.label)
            self._ids.setdefault((mark.start, mark.end), id)
            config.entities[mark.label] = None
        for number, link in enumerate(annotation.relations or (), 1):
            ends = [self._end(mark, config) for mark in (link.subject, link.object)]
            self._lines.append(f"R{number}\t{self._label(link.predicate)} Arg1:{ends[0]} Arg2:{ends[1]}")
            config.relations[link.predicate] = None
        number = attributes = 0
        for frame in annotation.events or ():
            if frame.trigger is None:
                self._sink.tally.drop("event", "it has no trigger, without which brat has none", annotation.line)
                continue
            number += 1
            attributes = self._event(frame, frame.trigger, number, attributes, config)
        return self._lines

    def _event(self, frame: Frame, trigger: Mark, number: int, attributes: int, config: _Configuration) -> int:
        """Add an event and its attributes; return the number of attributes so far."""
        key = (trigger.start, trigger.end, self._key(frame.type))
        if key not in self._triggers:
            self._triggers[key] = self._span(trigger, frame.type)
        roles = config.events.setdefault(frame.type, {})
        pairs, counts = [], dict[str, int]()
        valued = [a for a in frame.arguments if a.value]
        plain = [a for a in frame.arguments if not a.value]
        names = {argument.role for argument in plain}
        for argument in plain:
            role = self._key(argument.role)
            if _unnumbered(role, names) != role:
                raise self._error(f"the role {role!r} looks like a numbered one, which brat cannot hold; rename it")
            counts[role] = counts.get(role, 0) + 1
            shown = role if counts[role] == 1 else f"{role}{counts[role]}"
            pairs.append(f" {shown}:{self._end(argument.mark, config)}")
            roles[role] = None
        self._lines.append(f"E{number}\t{frame.type}:{self._triggers[key]}{''.join(pairs)}")
        for argument in valued:
            if argument.mark[:2] != trigger[:2]:
                raise self._error(f"the value of {argument.role} is not at the trigger, which brat cannot hold")
            attributes += 1
            name, value = self._key(argument.role), self._label(argument.value)
            self._lines.append(f"A{attributes}\t{name} E{number} {value}")
            config.attributes.setdefault(name, {})[value] = None
        return attributes

    def _end(self, mark: Mark, config: _Configuration) -> str:
        span = (mark.start, mark.end)
        if span not in self._ids:
            self._ids[span] = self._span(mark, UNLABELLED)
            config.entities[UNLABELLED] = None
        return self._ids[span]

    def _span(self, mark: Mark, label: Any) -> str:
        text = self._annotation.text
        pieces = []
        start = mark.start
        for match in (*_BREAKS.finditer(text, mark.start, mark.end), None):
            end = match.start() if match else mark.end
            if start == end:
                shown = text[mark.start : mark.end]
                raise self._error(f"{shown!r} ({label}) begins or ends with a line end; brat cannot hold it")
            pieces.append((start, end))
            start = match.end() if match else end
        self._spans += 1
        id = f"T{self._spans}"
        offsets = ";".join(f"{start} {end}" for start, end in pieces)
        string = " ".join(text[start:end] for start, end in pieces)
        self._lines.append(f"{id}\t{self._label(label)} {offsets}\t{string}")
        return id

    def _label(self, name: str) -> str:
        if re.search(r"\s", name):
            raise self._error(f"the label {name!r} has white space, which brat cannot hold; rename it")
        return name

    def _key(self, name: str) -> str:
        """Return the type or a role of an event, which must have no colon."""
        if ":" in name:
            raise self._error(f"the type or role {name!r} has a colon, which brat cannot hold; rename it")
        return self._label(name)

    def _error(self, message: str) -> DataError:
        return self._annotation.line.error(message)
