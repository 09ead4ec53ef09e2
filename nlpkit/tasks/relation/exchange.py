"""Conversion between relation examples and annotations of all kinds (`core.formats.annotation`)."""

from nlpkit.core.formats.annotation import Annotation, Link, Mark, Tally, loose_regions
from nlpkit.tasks.relation.data import Example, Mention, Span, Statement, make_example


def from_annotation(annotation: Annotation, tally: Tally | None = None) -> Example:
    """Return the relations of an annotation; other annotations are counted as dropped.

    Raises:
        DataError: no text, or an invalid relation.
    """
    statements = (
        Statement(_mention(r.subject), r.predicate, _mention(r.object), 1.0 if r.score is None else r.score)
        for r in annotation.relations or ()
    )
    example = make_example(annotation.line, annotation.text, statements, annotation.located)
    if tally is not None:
        line = annotation.line
        kept = "records of relations hold no labels of {them}, and only those that are part of a relation"
        tally.drop("entity", kept, line, len(annotation.entities or ()))
        tally.drop("region", "without a label or a relation", line, loose_regions(annotation))
        tally.drop("event", "records of relations cannot hold {them}", line, len(annotation.events or ()))
    return example


def to_annotation(example: Example, scores: bool = False) -> Annotation:
    """Return the annotation of an example, with or without scores."""
    links = (
        Link(_mark(r.subject), r.predicate, _mark(r.object), r.score if scores else None) for r in example.relations
    )
    return Annotation(example.text, example.line, relations=tuple(links), located=example.located)


def _mention(mark: Mark) -> Mention:
    return Mention(mark.start, mark.end, mark.text)


def _mark(span: Span) -> Mark:
    return Mark(span.start, span.end)
