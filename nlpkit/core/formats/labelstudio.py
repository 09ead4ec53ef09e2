r"""Label Studio's JSON: entities, and relations between them.

    [{"data": {"text": "叶老桂"}, "annotations": [{"result": [{"id": "r1", "from_name": "label", "to_name": "text",
      "type": "labels", "value": {"start": 0, "end": 3, "text": "叶老桂", "labels": ["name"]}},
      {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right", "labels": ["任职"]}]}]}]

A file is an array of tasks, or JSON Lines. Regions of text of every type `…labels` are entities: `labels`,
`hypertextlabels` (in the visible text of the HTML), `paragraphlabels` (in a dialogue, one turn per line). For a task
without `annotations`, as in files for import, the `predictions` are read.

Label Studio counts code points; older versions counted UTF-16 code units (label-studio-frontend, pull request 308). Its
page shows `\r\n` as one character and may show several spaces as one. The unit is detected by the strings of regions.
"""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import chain
from typing import Any, TypeAlias

import orjson

from nlpkit.core.formats.annotation import Annotation, Link, Mark, Place, Sink, Source
from nlpkit.core.formats.gold import parsed, shaped_like
from nlpkit.core.formats.offsets import NAMES, recount
from nlpkit.core.io.records import ErrorPolicy, Line, read_lines
from nlpkit.errors import DataError

HOLDS = frozenset({"entities", "relations", "scores"})
OPTIONS = frozenset({"field", "annotator"})
FRAME = (b"[\n", b",\n", b"\n]\n")
MODEL_VERSION = "nlpkit"

Fields: TypeAlias = dict[str, Any]

_SHAPE = '{"data": {"text": "叶老桂"}, "annotations": [{"result": [...]}]}, a task of a JSON export of Label Studio'
_REGION = '{"id": "r1", "type": "labels", "value": {"start": 0, "end": 3, "labels": ["name"]}}'
_RELATION = '{"type": "relation", "from_id": "r1", "to_id": "r2", "labels": ["任职"]}'
_TEXT_TYPES = ("labels", "hypertextlabels", "paragraphlabels")
_UNITS = ("codepoint", "utf16", "crlf", "crlf-utf16", "collapsed")


def read(source: Source) -> Iterator[Annotation]:
    """Yield the tasks of exports; see `core.formats.annotation.Reader` for the errors.

    Raises:
        DataError: no task has an annotation by the selected annotator.
    """
    tasks = (task for path in source.paths for task in _tasks(path, source.encoding, source.on_error))
    others: dict[str, None] = {}
    any_without = any_with = False
    for annotation in parsed(tasks, lambda task: _task(task, source, others), source.on_error):
        if annotation is None:
            any_without = True
        else:
            any_with = True
            yield annotation
    if any_without and not any_with:
        raise DataError(
            f"no task has an annotation by {source.annotator}; there are those of: {', '.join(others) or 'nobody'}",
            ", ".join(source.paths),
        )


def write(annotation: Annotation, sink: Sink) -> bytes:
    """Return a task, with `predictions` if there are scores, else with `annotations`.

    In Label Studio a task with an empty annotation is completed, a task with an empty prediction is not.
    """
    ids: dict[tuple[int, int], str] = {}
    result: list[Fields] = []
    entities = annotation.entities or ()
    labelled = {(mark.start, mark.end) for mark in entities}
    regions = [mark for mark in dict.fromkeys(annotation.spans()) if (mark.start, mark.end) not in labelled]
    for mark in sorted({*entities, *(Mark(mark.start, mark.end) for mark in regions)}, key=_in_text_order):
        number = f"r{len(result) + 1}"
        ids.setdefault((mark.start, mark.end), number)
        value = {
            "start": mark.start,
            "end": mark.end,
            "text": annotation.text[mark.start : mark.end],
            "labels": [] if mark.label is None else [mark.label],
        }
        names = {"from_name": sink.from_name, "to_name": sink.to_name, "type": "labels"}
        score = {} if mark.score is None else {"score": mark.score}
        result.append({"id": number, **names, "value": value, **score})
    for link in annotation.relations or ():
        ends = {
            "from_id": ids[link.subject.start, link.subject.end],
            "to_id": ids[link.object.start, link.object.end],
        }
        score = {} if link.score is None else {"score": link.score}
        result.append({"type": "relation", **ends, "direction": "right", "labels": [link.predicate], **score})
    task: Fields = {"data": {sink.data_key: annotation.text}}
    scores = [item["score"] for item in result if "score" in item]
    if scores or (not result and sink.predicted):
        mean = {"score": round(sum(scores) / len(scores), 4)} if scores else {}
        task["predictions"] = [{"model_version": MODEL_VERSION, **mean, "result": result}]
    else:
        task["annotations"] = [{"result": result}]
    return orjson.dumps(task)


def _in_text_order(mark: Mark) -> tuple[int, int, str]:
    return mark.start, mark.end, mark.label or ""


# --- tasks ------------------------------------------------------------------------------------------------------------


def _tasks(path: str, encoding: str, on_error: ErrorPolicy) -> Iterator[Line]:
    """Yield the JSON text of each task of an array, which is read into memory, or of JSON Lines."""
    errors = on_error.count
    lines = read_lines([path], encoding, on_error)
    first = next((line for line in lines if line.text.strip()), None)
    if first is None:
        return
    if not first.text.lstrip().startswith("["):
        yield from (line for line in chain([first], lines) if line.text.strip())
        return
    whole = Line("\n".join(line.text for line in chain([first], lines)), first.source, first.number)
    if on_error.count != errors:
        raise whole.error(f"a JSON array cannot be read without its lines that are not valid {encoding}")
    yield from _array(whole)


def _array(whole: Line) -> Iterator[Line]:
    """Yield the items of a JSON array, each at the line on which it begins."""
    text, number = whole.text, whole.number
    try:
        count = len(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        message = f"not a valid JSON array ({error.msg}, column {error.colno}); export it again"
        raise DataError(message, whole.source, number + error.lineno - 1) from None
    position = text.index("[") + 1
    for _ in range(count):
        start = position
        while text[start] in " \t\r\n,":  # the array is known to be valid
            start += 1
        try:
            _, end = json.JSONDecoder().raw_decode(text, start)
        except RecursionError:
            raise DataError("a task is nested too deep", whole.source, number) from None
        number += text.count("\n", position, start)
        yield Line(text[start:end], whole.source, number)
        number += text.count("\n", start, end)
        position = end


def _task(line: Line, source: Source, others: dict[str, None]) -> Annotation | None:
    """Return the annotation of a task; None if there is none by the selected annotator."""
    with shaped_like(line, _SHAPE):
        task = orjson.loads(line.text)
        place = Place(line.text, line.source, line.number, line.size, f"task {task.get('id', 'without id')}: ")
        data = task["data"]
        done, results = _results(task, place, source, others)
    if not done:
        return None
    marks, links, text = _Regions(place, data, source).read(results)
    entities = tuple(mark for mark in marks if mark.label is not None)
    regions = tuple(mark for mark in marks if mark.label is None)
    has_entities = bool(entities) or not (links or regions)
    return Annotation(text, place, entities if has_entities else None, links or None, regions=regions)


def _results(task: Fields, place: Place, source: Source, others: dict[str, None]) -> tuple[bool, list[Fields]]:
    """Return whether there is an annotation to read, and its results; count the annotations that are not read."""
    if "annotations" not in task and "predictions" in task:
        predictions = task["predictions"]
        source.tally.drop("prediction", "only the first of a task is taken", place, max(len(predictions) - 1, 0))
        return True, predictions[0]["result"] if predictions else []
    annotations = task["annotations"]
    kept = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    source.tally.drop("annotation", "cancelled by the annotator", place, len(annotations) - len(kept))
    if not kept:
        raise place.error("no annotation, or only cancelled ones; export the annotated tasks only")
    annotator = source.annotator
    if annotator is None:
        more = "the first of each task is taken; pass --annotator for another"
        source.tally.drop("annotation by further annotators", more, place, len(kept) - 1)
        return True, kept[0]["result"]
    others |= dict.fromkeys(name for annotation in kept for name in _names(annotation)[:1])
    if annotator[0] == "#":
        chosen = kept[int(annotator[1:]) - 1 :][:1]
    else:
        chosen = [annotation for annotation in kept if annotator in _names(annotation)]
    if not chosen:
        source.tally.drop("task", f"no annotation by {annotator}", place)
        return False, []
    source.tally.drop("annotation by further annotators", f"only that of {annotator} is taken", place, len(kept) - 1)
    return True, chosen[0]["result"]


def _names(annotation: Fields) -> list[str]:
    """Return the identifiers of the annotator of an annotation."""
    by = annotation.get("completed_by")
    names = [by.get("id"), by.get("email")] if isinstance(by, dict) else [by]
    return [str(name) for name in names if name is not None]


# --- regions ----------------------------------------------------------------------------------------------------------


class _Regions:
    """The results of one annotation, as marks of a text and links between them."""

    def __init__(self, place: Place, data: Fields, source: Source):
        self._place, self._source, self._tally = place, source, source.tally
        self._data = data
        self._dropped: set[str] = set()

    def read(self, results: list[Fields]) -> tuple[list[Mark], tuple[Link, ...], Any]:
        """Return the marks, the links, and the text.

        Raises:
            DataError: a malformed result, or offsets that do not fit the text of their region.
        """
        regions: list[tuple[str | None, str, Fields, Any]] = []
        relations = []
        with shaped_like(self._place, _REGION):
            for result in results:
                kind, value = result["type"], result.get("value", {})
                if kind == "relation":
                    relations.append(result)
                elif kind in _TEXT_TYPES or (kind.endswith("labels") and _marks_text(value)):
                    regions.append((result.get("id"), kind, value, result.get("score")))
                else:
                    self._tally.drop(f"result of type {kind}", "it does not mark text", self._place)
                    self._dropped.add(result.get("id", ""))
            text, spans = self._spans([(kind, value) for _, kind, value, _ in regions])
            marks: list[Mark] = []
            ends: dict[str, Mark] = {}
            for (id, kind, value, score), (start, end, string) in zip(regions, spans, strict=True):
                labels = value.get(kind if kind in value else "labels") or [None]
                region = [Mark(start, end, label, string, score) for label in labels]
                marks += region
                if id is not None:
                    ends[id] = region[0]
        return marks, self._links(relations, ends), text

    def _spans(self, regions: list[tuple[str, Fields]]) -> tuple[Any, list[tuple[Any, Any, Any]]]:
        """Return the text, and start, end and string of each region, in code points if the unit can be detected."""
        dialogue = any(kind == "paragraphlabels" for kind, _ in regions)
        text, starts = _dialogue(self._data, self._source.field) if dialogue else (None, [])
        if not dialogue:
            text = _text_of(self._data, self._source.field)
        if any("globalOffsets" in value for _, value in regions) and isinstance(text, str):
            visible = _visible(text)
            if visible != text:
                why = "read without its HTML tags; offsets are those of the visible text"
                self._tally.repair("text", why, self._place)
                text = visible
        spans = []
        for kind, value in regions:
            if kind == "paragraphlabels":
                turns = dict(enumerate(starts))
                first, last = turns[int(value["start"])], turns[int(value["end"])]
                spans.append((first + value["startOffset"], last + value["endOffset"], value.get("text")))
            else:
                place = value.get("globalOffsets", value)
                spans.append((place["start"], place["end"], value.get("text")))
        return text, self._recounted(text, spans)

    def _recounted(self, text: Any, spans: list[tuple[Any, Any, Any]]) -> list[tuple[Any, Any, Any]]:
        if not isinstance(text, str):
            return spans
        recounted = recount(text, spans, _UNITS)
        if recounted is None:
            return spans  # the check of the spans raises an error for the first one that does not fit
        unit, places = recounted
        if unit != "codepoint":
            why = f"offsets that count {NAMES[unit]}"
            self._tally.repair("region", why, self._place, len(spans))
        else:
            changed = sum(
                string is not None and string != text[a:b] for (a, b), (*_, string) in zip(places, spans, strict=True)
            )
            self._tally.repair("region", "its string has other white space than the text", self._place, changed)
        return [(*place, None) for place in places]

    def _links(self, relations: list[Fields], ends: dict[str, Mark]) -> tuple[Link, ...]:
        links = []
        with shaped_like(self._place, _RELATION):
            for relation in relations:
                names = (relation["from_id"], relation["to_id"])
                if any(name in self._dropped and name not in ends for name in names):
                    self._tally.drop("relation", "it has an end that does not mark text", self._place)
                    continue
                for name in names:
                    if name not in ends:
                        raise self._place.error(f"a relation with a region {name!r} that the task does not have")
                one, other = ends[names[0]], ends[names[1]]
                directions = {"left": [(other, one)], "bi": [(one, other), (other, one)]}
                labels = relation.get("labels") or []
                if not labels:
                    self._tally.drop("relation", "without a label", self._place)
                for subject, object in directions.get(relation.get("direction", "right"), [(one, other)]):
                    links += [Link(subject, label, object, relation.get("score")) for label in labels]
        return tuple(links)


def _marks_text(value: Fields) -> bool:
    return "globalOffsets" in value or (type(value.get("start")) is int and type(value.get("end")) is int)


def _text_of(data: Fields, field: str | None) -> str | None:
    """Return the given field, else `text` or the only string; None if that is not a string."""
    strings = [value for value in data.values() if isinstance(value, str)]
    text = data.get(field or "text", strings[0] if field is None and len(strings) == 1 else None)
    return text if isinstance(text, str) else None


def _dialogue(data: Fields, field: str | None) -> tuple[str | None, list[int]]:
    """Return the turns of a dialogue as lines, and the offset of each."""
    lists = [value for value in data.values() if isinstance(value, list)]
    turns = data.get(field) if field else lists[0] if len(lists) == 1 else None
    if not isinstance(turns, list):
        return None, []
    lines = [turn["text"] for turn in turns]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return "\n".join(lines), starts


def _visible(html: str) -> str:
    parser = _Visible()
    parser.feed(html)
    parser.close()
    return "".join(parser.texts)


class _Visible(HTMLParser):
    """The visible text of HTML, in which Label Studio counts a `<br>` as one character."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._hidden += tag in ("script", "style", "head")
        if tag == "br":
            self.texts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= self._hidden > 0 and tag in ("script", "style", "head")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)
