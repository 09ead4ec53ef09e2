r"""doccano's JSON Lines: entities, and relations between them.

    {"text": "叶老桂在浙商银行", "label": [[0, 3, "name"]]}
    {"text": "叶老桂在浙商银行", "entities": [{"id": 0, "label": "name", "start_offset": 0, "end_offset": 3}, …],
     "relations": [{"id": 0, "from_id": 0, "to_id": 1, "type": "任职"}]}

The second form is that of projects with relations. doccano stores the offsets of its page or of an import: the page
counts UTF-16 code units, or grapheme clusters (`\r\n` is one) if the project is set up so; files written by Python
count code points. Records do not repeat the strings of the spans, so the unit cannot be detected. It is code points
unless `Source.offsets` is given. Records for which the unit matters are counted, and are errors if an entity would
begin or end with a line break.

Spans of relations without a label are written with the label `unlabelled`, which is removed on reading.
"""

from collections.abc import Iterator
from typing import Any

from nlpkit.core.formats.annotation import UNLABELLED, Annotation, Link, Mark, Sink, Source
from nlpkit.core.formats.gold import parsed, shaped_like
from nlpkit.core.formats.offsets import NAMES, UNITS, boundaries, span
from nlpkit.core.io.records import Line, dump_line, read_json

HOLDS = frozenset({"entities", "relations"})
OPTIONS = frozenset({"field", "offsets"})


def read(source: Source) -> Iterator[Annotation]:
    """Yield the records of JSON Lines files; see `core.formats.annotation.Reader` for the errors."""
    items = read_json(source.paths, source.encoding, source.on_error)
    return parsed(items, lambda item: _annotation(*item, source), source.on_error)


def write(annotation: Annotation, sink: Sink) -> bytes:
    """Return a line of JSON, with `entities` and `relations` if the record has relations.

    Raises:
        DataError: an entity has the label `unlabelled`, or offsets that are ambiguous or impossible in the unit.
    """
    labels = annotation.entities or ()
    for mark in labels:
        if mark.label == UNLABELLED:
            raise annotation.line.error(f"the label {UNLABELLED} is kept for spans without a label; rename it")
    named = {(mark.start, mark.end): mark for mark in (*annotation.spans(), *labels)}
    without = [mark._replace(label=UNLABELLED) for place, mark in named.items() if mark.label is None]
    marks = sorted({(mark.start, mark.end, mark.label) for mark in (*labels, *without)})
    offsets = _from_code_points(annotation, marks, sink.offsets)
    if annotation.relations is None:
        spans = [[*span, label] for span, (*_, label) in zip(offsets, marks, strict=True)]
        return dump_line({"text": annotation.text, "label": spans})
    ids: dict[tuple[int, int], int] = {}
    for number, (start, end, _) in enumerate(marks):
        ids.setdefault((start, end), number)
    entities = [
        {"id": number, "label": label, "start_offset": start, "end_offset": end}
        for number, ((start, end), (*_, label)) in enumerate(zip(offsets, marks, strict=True))
    ]
    relations = [
        {
            "id": number,
            "from_id": ids[link.subject.start, link.subject.end],
            "to_id": ids[link.object.start, link.object.end],
            "type": link.predicate,
        }
        for number, link in enumerate(annotation.relations)
    ]
    return dump_line({"text": annotation.text, "entities": entities, "relations": relations})


def _annotation(line: Line, fields: dict[str, Any], source: Source) -> Annotation:
    relations: tuple[Link, ...] | None = None
    with shaped_like(line, '{"text": "叶老桂", "label": [[0, 3, "name"]]}'):
        match fields:
            case {"label": list(labels)} | {"labels": list(labels)}:
                marks = [Mark(start, end, label) for start, end, label in labels]
            case {"entities": list(items)}:
                marks = [Mark(item["start_offset"], item["end_offset"], item["label"]) for item in items]
            case _:
                raise line.error('no list "label", "labels" or "entities" here; export it as JSONL from doccano')
    text = fields.get(source.field or ("text" if "text" in fields else "data"))
    if isinstance(text, str):
        marks = _to_code_points(line, text, marks, source)
    marks = [mark._replace(label=None) if mark.label == UNLABELLED else mark for mark in marks]
    if "relations" in fields:
        relations = _relations(line, fields, marks)
    entities = tuple(mark for mark in marks if mark.label is not None)
    regions = tuple(mark for mark in marks if mark.label is None)
    has_entities = bool(entities) or not (relations or regions)
    return Annotation(text, line, entities if has_entities else None, relations, regions=regions)


def _relations(line: Line, fields: dict[str, Any], marks: list[Mark]) -> tuple[Link, ...]:
    shape = '{"entities": [{"id": 0, …}, {"id": 1, …}], "relations": [{"from_id": 0, "to_id": 1, "type": "任职"}]}'
    with shaped_like(line, shape):
        numbered = enumerate(fields["relations"])
        relations = [(r.get("id", number), r["from_id"], r["to_id"], r["type"]) for number, r in numbered]
        by_id = {e["id"]: mark for e, mark in zip(fields.get("entities", []), marks, strict=False)} if relations else {}
        for number, *ends, _ in relations:
            for end in ends:
                if end not in by_id:
                    raise line.error(f"relation {number}: no entity has the id {end!r}")
        return tuple(Link(by_id[begin], type, by_id[end]) for _, begin, end, type in relations)


# --- offsets ----------------------------------------------------------------------------------------------------------


def _to_code_points(line: Line, text: str, marks: list[Mark], source: Source) -> list[Mark]:
    """Return the marks with offsets in code points."""
    if source.offsets not in (None, "codepoint"):
        bounds = boundaries(text, source.offsets or "")
        converted = []
        for mark in marks:
            place = span(bounds, mark.start, mark.end)
            if place is None:
                name = NAMES[source.offsets or ""]
                raise line.error(f"offsets {mark.start!r}:{mark.end!r} do not fit a text of {len(bounds) - 1} {name}")
            converted.append(mark._replace(start=place[0], end=place[1]))
        return converted
    if source.offsets is None:
        for mark in marks:
            other = _as_graphemes(text, mark)
            if other is not None:
                raise line.error(
                    f"offsets {mark.start}:{mark.end} are {text[mark.start : mark.end]!r} if they count code points, "
                    f"but {other!r} if they count grapheme clusters; pass --offsets with what your project counts"
                )
        first = min(_first_difference(text, unit) for unit in UNITS[1:])
        if any(type(mark.end) is int and mark.end > first for mark in marks):
            why = "offsets read as code points; pass --offsets utf16 or grapheme if they were made in doccano's page"
            source.tally.warn("record with emoji, rare characters or \\r\\n", why, line)
    return marks


def _from_code_points(
    annotation: Annotation, marks: list[tuple[int, int, Any]], unit: str | None
) -> list[tuple[int, int]]:
    """Return the offsets of marks in a unit."""
    text = annotation.text
    if unit in (None, "codepoint"):
        for start, end, label in marks:
            if unit is None and _as_graphemes(text, Mark(start, end)) is not None:
                shown = f"{text[start:end]!r} ({label})"
                raise annotation.line.error(
                    f"the offsets of {shown}, at a line end \\r\\n, are ambiguous for doccano; pass --offsets"
                )
        return [(start, end) for start, end, _ in marks]
    offsets = {place: offset for offset, place in enumerate(boundaries(text, unit or "")) if place is not None}
    for start, end, label in marks:
        if start not in offsets or end not in offsets:
            raise annotation.line.error(
                f"{text[start:end]!r} ({label}) cuts a character as {NAMES[unit or '']} count them; "
                "doccano cannot hold it"
            )
    return [(offsets[start], offsets[end]) for start, end, _ in marks]


def _as_graphemes(text: str, mark: Mark) -> str | None:
    """Return the string of a mark in grapheme clusters, if as code points it begins or ends with a line break."""
    if "\r\n" not in text or span(range(len(text) + 1), mark.start, mark.end) is None:
        return None
    string = text[mark.start : mark.end]
    place = span(boundaries(text, "grapheme"), mark.start, mark.end)
    if place is None or string.strip("\r\n") == string:
        return None
    other = text[place[0] : place[1]]
    return other if other != string and other.strip("\r\n") == other else None


def _first_difference(text: str, unit: str) -> int:
    """Return the first offset with another position in a unit than in code points; that of the end if there is none."""
    bounds = boundaries(text, unit)
    return next((offset for offset, place in enumerate(bounds) if place != offset), len(text))
