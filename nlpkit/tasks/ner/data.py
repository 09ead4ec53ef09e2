"""A text with its entities: what the readers give and the commands write.

    {"text": "叶老桂在浙商银行", "entities": [{"start": 0, "end": 3, "label": "name", "text": "叶老桂", "score": 0.98}]}

Offsets are half-open and count characters, as Python's `text[start:end]`; entities may nest and overlap. On reading,
`text` and `score` of an entity are optional (`text` is checked where it is there) and other fields are ignored.
An entity that a dictionary gave has `"source": "dict"` when written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nlpkit.core.formats.gold import check_span
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A labelled span [start, end) of a text's characters; entities are equal whatever their score and source.

    `source` is where it comes from, if not from a model's prediction or a file.
    """

    start: int
    end: int
    label: str
    score: float = field(default=1.0, compare=False)
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its gold entities in text order, and where it stands."""

    text: str
    entities: tuple[Entity, ...]
    line: Line


def labels_of(examples: Iterable[Example], files: Sequence[str]) -> tuple[str, ...]:
    """The labels of a training set, sorted.

    Raises:
        DataError: it has no entity, so there is nothing to learn.
    """
    labels = sorted({entity.label for example in examples for entity in example.entities})
    if not labels:
        raise DataError("no text with an entity in it; there is nothing to learn from", ", ".join(files))
    return tuple(labels)


def join(examples: Sequence[Example]) -> Example:
    """One example of several texts, written one behind the other."""
    entities = []
    start = 0
    for example in examples:
        entities += [replace(entity, start=start + entity.start, end=start + entity.end) for entity in example.entities]
        start += len(example.text)
    return Example("".join(example.text for example in examples), tuple(entities), examples[0].line)


class Mention(NamedTuple):
    """An entity as a file has it, unchecked; `text` is None where the format does not repeat it."""

    start: Any
    end: Any
    label: Any
    text: Any = None
    score: Any = 1.0


def make_example(line: Line, text: Any, mentions: Iterable[Mention]) -> Example:
    """The checks that all formats share; a mention that is there twice counts once.

    Raises:
        DataError: no text, offsets outside the text, an empty label, a mention that is not the text at its offsets.
    """
    if not isinstance(text, str):
        raise line.error("the record has no text, or it is not a string; name the field that holds it with --field")
    entities = [_checked(line, text, mention) for mention in mentions]
    return Example(text, tuple(sorted(dict.fromkeys(entities))), line)


def to_record(
    text: str, entities: Iterable[Entity], fields: Mapping[str, Any] | None = None, scores: bool = False
) -> dict[str, Any]:
    """The JSON object of a text with its entities.

    Args:
        text: what the offsets refer to.
        entities: in the order in which they are to be written.
        fields: of the input record, its text among them, which pass through; None is only the text.
        scores: whether to write the scores, too.
    """
    written = [
        {"start": e.start, "end": e.end, "label": e.label, "text": text[e.start : e.end]}
        | ({"score": round(e.score, 4)} if scores else {})
        | ({"source": e.source} if e.source else {})
        for e in entities
    ]
    return {**({"text": text} if fields is None else fields), "entities": written}


def _checked(line: Line, text: str, mention: Mention) -> Entity:
    start, end, label, said, score = mention
    check_span(line, text, start, end, said)
    if not isinstance(label, str) or not label:
        raise line.error(f"the label of {start}:{end} must be a non-empty string, this is {label!r}")
    if type(score) not in (int, float):
        raise line.error(f"the score of {start}:{end} must be a number, this is {score!r}")
    return Entity(start, end, label, float(score))
