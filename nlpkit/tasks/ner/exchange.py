"""Conversion between NER examples and annotations of all kinds (`core.formats.annotation`)."""

from nlpkit.core.formats.annotation import Annotation, Mark, Tally
from nlpkit.tasks.ner.data import Example, Mention, make_example


def from_annotation(annotation: Annotation, tally: Tally | None = None) -> Example:
    """Return the entities of an annotation; other annotations are counted as dropped.

    Raises:
        DataError: no text, or an invalid entity.
    """
    entities = annotation.entities or ()
    mentions = (Mention(m.start, m.end, m.label, m.text, 1.0 if m.score is None else m.score) for m in entities)
    example = make_example(annotation.line, annotation.text, mentions)
    if tally is not None:
        line = annotation.line
        tally.drop("region", "without a label", line, len(annotation.regions))
        tally.drop("relation", "records of entities cannot hold {them}", line, len(annotation.relations or ()))
        tally.drop("event", "records of entities cannot hold {them}", line, len(annotation.events or ()))
    return example


def to_annotation(example: Example, scores: bool = False) -> Annotation:
    """Return the annotation of an example, with or without scores."""
    marks = (Mark(e.start, e.end, e.label, None, e.score if scores else None) for e in example.entities)
    return Annotation(example.text, example.line, entities=tuple(marks))
