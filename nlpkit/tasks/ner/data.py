"""Texts with entities: the records of nlpkit's own format, and the examples that all readers return.

    {"text": "叶老桂在浙商银行", "entities": [{"start": 0, "end": 3, "label": "name", "text": "叶老桂", "score": 0.98}]}

Offsets are half-open and count characters, as in Python's `text[start:end]`; entities may nest and overlap. In input,
`text` and `score` of an entity are optional (`text` must be the text at the offsets) and other fields are ignored. In
output, an entity from a dictionary has `"source": "dict"`. A record with `"labels": ["name"]` is annotated with these
labels only: training learns nothing about the other ones from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nlpkit.core.formats.gold import annotated_names, check_span
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A labelled span of characters [start, end); score and source are not compared.

    `source` is `dict` for an entity from a dictionary, else empty.
    """

    start: int
    end: int
    label: str
    score: float = field(default=1.0, compare=False)
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its gold entities in text order, and its line in a file.

    Attributes:
        text: the text.
        entities: in text order.
        line: of the record.
        labels: those that are annotated; all labels when None.
    """

    text: str
    entities: tuple[Entity, ...]
    line: Line
    labels: frozenset[str] | None = None


def labels_of(examples: Iterable[Example], files: Sequence[str], groups: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the sorted labels of a training set, less the names of groups.

    Raises:
        DataError: it has no entities.
    """
    labels = sorted({entity.label for example in examples for entity in example.entities} - set(groups))
    if not labels:
        raise DataError("no text has an entity; add training data with entities", ", ".join(files))
    return tuple(labels)


def join(examples: Sequence[Example]) -> Example:
    """Return the concatenation of several examples as one, less those with other `labels` than the first."""
    labels = examples[0].labels
    examples = [example for example in examples if example.labels == labels]
    entities = []
    start = 0
    for example in examples:
        entities += [replace(entity, start=start + entity.start, end=start + entity.end) for entity in example.entities]
        start += len(example.text)
    return Example("".join(example.text for example in examples), tuple(entities), examples[0].line, labels)


class Mention(NamedTuple):
    """An entity as read from a file, unchecked; `text` is None if the format does not repeat it."""

    start: Any
    end: Any
    label: Any
    text: Any = None
    score: Any = 1.0


def make_example(line: Line, text: Any, mentions: Iterable[Mention], labels: Any = None) -> Example:
    """Check the entities of a text, in any format, and return the example; duplicates are removed.

    Args:
        line: of the record.
        text: the text.
        mentions: the entities.
        labels: list of the labels that are annotated; all labels when None.

    Raises:
        DataError: no text, offsets outside the text, an empty label, a mention that is not the text at its offsets, or
            an entity with a label that is not among `labels`.
    """
    if not isinstance(text, str):
        raise line.error("the record has no text, or it is not a string; name the field that holds it with --field")
    entities = [_checked(line, text, mention) for mention in mentions]
    annotated = annotated_names(line, "labels", labels, '["name", "address"]')
    if annotated is not None and (extra := sorted({entity.label for entity in entities} - annotated)):
        raise line.error(f'an entity has the label {extra[0]}, which "labels" of this record does not list')
    return Example(text, tuple(sorted(dict.fromkeys(entities))), line, annotated)


def to_record(
    text: str, entities: Iterable[Entity], fields: Mapping[str, Any] | None = None, scores: bool = False
) -> dict[str, Any]:
    """Return the JSON object of a text with its entities.

    Args:
        text: the text to which the offsets refer.
        entities: in the order of the output.
        fields: all fields of the input record; only `text` when None.
        scores: whether to include the scores.
    """
    items = [
        {"start": e.start, "end": e.end, "label": e.label, "text": text[e.start : e.end]}
        | ({"score": round(e.score, 4)} if scores else {})
        | ({"source": e.source} if e.source else {})
        for e in entities
    ]
    return {**({"text": text} if fields is None else fields), "entities": items}


def _checked(line: Line, text: str, mention: Mention) -> Entity:
    start, end, label, mention_text, score = mention
    check_span(line, text, start, end, mention_text)
    if not isinstance(label, str) or not label:
        raise line.error(f"the label of {start}:{end} must be a non-empty string, this is {label!r}")
    if type(score) not in (int, float):
        raise line.error(f"the score of {start}:{end} must be a number, this is {score!r}")
    return Entity(start, end, label, float(score))
