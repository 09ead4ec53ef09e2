"""Conversion of annotated records between formats, for `nlpkit convert`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from nlpkit.core.formats.annotation import (
    LAYERS,
    Annotation,
    Format,
    Layer,
    Render,
    Sink,
    Source,
    check_options,
    loose_regions,
)
from nlpkit.core.formats.gold import parsed
from nlpkit.core.formats.tools import TOOLS
from nlpkit.core.io.records import Line, dump_line, read_json
from nlpkit.errors import UsageError
from nlpkit.tasks import TASKS, imported

OWN = "nlpkit"

_OF_TASK: dict[str, Layer] = {  # the tasks whose annotation can be converted
    task.name: module.LAYER for task in TASKS if hasattr(module := imported(task.formats), "LAYER")
}
_LAYERS = {layer.name: layer for layer in _OF_TASK.values()}
CONVERTED = tuple(_OF_TASK)

# Formats of examples that are no annotation of spans; they become records of nlpkit, and nothing else.
LABELLED: dict[str, Any] = {
    name: module
    for task in TASKS
    if hasattr(module := imported(task.formats), "to_record") and not hasattr(module, "LAYER")
    for name in module.FORMATS
    if name != OWN
}
_ANNOTATED = tuple(dict.fromkeys(chain.from_iterable(layer.formats for layer in _LAYERS.values())))
SOURCES = (*_ANNOTATED, *LABELLED)
_WRITTEN: dict[str, Format[Any]] = {
    name: format
    for layer in _LAYERS.values()
    for name, format in layer.formats.items()
    if format.write or format.write_folder
}
TARGETS = (OWN, *_WRITTEN)


# --- reading ----------------------------------------------------------------------------------------------------------


def read(format: str, source: Source, task: str | None = None) -> Iterator[Annotation]:
    """Yield the checked records of files; with a task, only its annotation.

    Raises:
        UsageError: there is no such format, or it does not have an option or the task.
        DataError: a record that does not fit (unless `on_error` skips it), or a file that cannot be read.
    """
    only = None if task is None else _layer_of(task).name
    layers = [name for name, layer in _LAYERS.items() if format in layer.formats]
    if not layers:
        raise UsageError(f"unknown format {format!r}; there are: {', '.join(SOURCES)}")
    if only is not None and only not in layers:
        raise UsageError(f"--task {task}: the format {format} has {' and '.join(layers)} only")
    check_options(format, _LAYERS[layers[0]].formats[format].options, source)
    if format == OWN:
        items = read_json(source.paths, source.encoding, source.on_error)
        return parsed(items, lambda item: _own(*item, source, only), source.on_error)
    if format in TOOLS:
        return parsed(TOOLS[format].read(source), lambda record: _checked(record, source, only), source.on_error)
    layer = _LAYERS[layers[0]]
    return (layer.to_annotation(example, False) for example in layer.formats[format].read(source))


def read_labelled(format: str, source: Source) -> Iterator[dict[str, Any]]:
    """Yield the records, in nlpkit's own format, of files of labelled texts; raises as `read`."""
    module = LABELLED[format]
    check_options(format, module.FORMATS[format].options, source)
    return (module.to_record(example) for example in module.FORMATS[format].read(source))


def _layer_of(task: str) -> Layer:
    if task not in _OF_TASK:
        raise UsageError(f"--task {task}: there are: {', '.join(CONVERTED)}")
    return _OF_TASK[task]


def _own(line: Line, fields: dict[str, Any], source: Source, only: str | None) -> Annotation:
    """Return a record of nlpkit's own format, with the layers that it has."""
    layers = [name for name in _LAYERS if name in fields]
    if only is not None and only not in layers:
        layers = [only]  # its reader reports what is missing
    if not layers:
        raise line.error('no "entities" here, and no "relations" or "events"; it is not a record of nlpkit')
    annotation = Annotation(fields.get(source.field or "text"), line)
    for name in layers:
        items = fields[name] if isinstance(fields.get(name), list) else []
        scored = any(isinstance(item, dict) and "score" in item for item in items)
        part = _LAYERS[name].to_annotation(_LAYERS[name].parse(line, fields, source.field), scored)
        annotation = _merged(annotation, name, part)
        if scored and name == "events":
            source.tally.drop("record of events with scores", "the scores are left out", line)
    return annotation if only is None else _alone(annotation, only, source)


def _checked(record: Annotation, source: Source, only: str | None) -> Annotation:
    """Return a record of an annotation tool, in text order and without duplicates."""
    if only is not None:
        return _alone(record, only, source)
    annotation = replace(record, entities=None, relations=None, events=None, regions=())
    for name, layer in _LAYERS.items():
        if getattr(record, name) is not None:
            scored = record.scores() > 0
            annotation = _merged(annotation, name, layer.to_annotation(layer.from_annotation(record), scored))
    source.tally.drop("region", "without a label", record.line, loose_regions(record))
    return annotation


def _alone(record: Annotation, only: str, source: Source) -> Annotation:
    layer = _LAYERS[only]
    return layer.to_annotation(layer.from_annotation(record, source.tally), record.scores() > 0)


def _merged(annotation: Annotation, name: str, part: Annotation) -> Annotation:
    changed = {name: getattr(part, name), "located": annotation.located and part.located}
    return replace(annotation, **changed)


# --- writing ----------------------------------------------------------------------------------------------------------


def target(format: str) -> Format[Any]:
    """Return a format to write.

    Raises:
        UsageError: there is no such format, or it can only be read.
    """
    if format == OWN:
        return Format(lambda source: iter(()), write=_write_own, holds=frozenset({*LAYERS, "scores", "located"}))
    if format not in _WRITTEN:
        known = "only read" if format in SOURCES else "unknown"
        raise UsageError(f"--to {format}: {known}; choose one of {', '.join(TARGETS)}")
    return _WRITTEN[format]


def without_unsupported(name: str, annotations: Iterable[Annotation], sink: Sink) -> Iterator[Annotation]:
    """Yield the records without what a format cannot hold, and count that.

    A record of which nothing would remain is an error.
    """
    holds = target(name).holds
    return parsed(annotations, lambda annotation: _without_unsupported(name, holds, annotation, sink), sink.on_error)


def _without_unsupported(name: str, holds: frozenset[str], annotation: Annotation, sink: Sink) -> Annotation:
    layers = [layer for layer in LAYERS if getattr(annotation, layer) is not None]
    lost = [layer for layer in layers if layer not in holds]
    if lost and lost == layers:
        raise annotation.line.error(f"the record has only {' and '.join(lost)}, which {name} cannot hold")
    why = f"{name} cannot hold {{them}}"
    for layer in lost:
        sink.tally.drop(LAYERS[layer], why, annotation.line, len(getattr(annotation, layer)))
    empty: dict[str, Any] = dict.fromkeys(lost)
    kept = replace(annotation, **empty)
    if "scores" not in holds:
        sink.tally.drop("score", why, annotation.line, kept.scores())
        kept = _without_scores(kept)
    if "located" not in holds and not kept.located:
        sink.tally.drop("mark of offsets that were looked up", why, annotation.line)
    return kept


def _without_scores(annotation: Annotation) -> Annotation:
    if not annotation.scores():
        return annotation
    entities = annotation.entities and tuple(mark._replace(score=None) for mark in annotation.entities)
    relations = annotation.relations and tuple(link._replace(score=None) for link in annotation.relations)
    return replace(annotation, entities=entities, relations=relations)


def render(name: str, annotations: Iterable[Annotation], sink: Sink) -> Iterator[bytes]:
    """Yield the bytes of a file with the records.

    Texts without annotation count as predictions if the first annotated record has scores.
    """
    format = target(name)
    annotations, pending = iter(annotations), []
    for annotation in annotations if "scores" in format.holds else ():
        pending.append(annotation)
        if annotation.entities or annotation.relations:
            sink = replace(sink, predicted=annotation.scores() > 0)
            break
    annotations = chain(pending, annotations)
    write: Render = format.write  # type: ignore[assignment]
    before, between, after = format.frame
    empty = True
    for record in parsed(annotations, lambda annotation: write(annotation, sink), sink.on_error):
        yield (before if empty else between) + record
        empty = False
    yield before + after if empty else after


def _write_own(annotation: Annotation, sink: Sink) -> bytes:
    """Return a line with the layers that a record has."""
    record: dict[str, Any] = {}
    for name, layer in _LAYERS.items():
        if getattr(annotation, name) is not None:
            items = getattr(annotation, name)
            scored = name != "events" and any(item.score is not None for item in items)
            record |= layer.to_record(layer.from_annotation(annotation), scored)
    return dump_line(record)
