"""Texts with relations: the records of nlpkit's own format, and the examples that all readers return.

    {"text": "《三体》的作者是刘慈欣", "relations": [{"subject": {"start": 1, "end": 3, "text": "三体"},
     "predicate": "作者", "object": {"start": 8, "end": 11, "text": "刘慈欣"}, "score": 0.97}]}

Offsets are half-open and count characters, as in Python's `text[start:end]`. In input, `text` of a subject or object
and `score` are optional (`text` must be the text at the offsets) and other fields are ignored. `"located": false` means
that the offsets were not annotated: other occurrences of the strings may be meant.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nlpkit.core.formats.gold import check_span, closest_pairs
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError

MAX_ALTERNATIVES = 16  # of a relation; none of DuIE's has more


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters [start, end) of a text."""

    start: int
    end: int

    def shifted(self, by: int) -> "Span":
        """Return the span moved by some characters."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """Two spans and a predicate; scores and alternatives are not compared.

    Attributes:
        subject: the first span.
        predicate: of the relation.
        object: the second span.
        score: of a prediction.
        alternatives: pairs of a subject and an object of which one is meant, where the offsets are a guess; the guess
            is the first. Empty where the offsets are known.
    """

    subject: Span
    predicate: str
    object: Span
    score: float = field(default=1.0, compare=False)
    alternatives: tuple[tuple[Span, Span], ...] = field(default=(), compare=False)

    @property
    def pairs(self) -> tuple[tuple[Span, Span], ...]:
        """The pairs of a subject and an object of which one is meant."""
        return self.alternatives or ((self.subject, self.object),)

    def strings(self, text: str) -> tuple[str, str]:
        """Return the strings of subject and object."""
        return text[self.subject.start : self.subject.end], text[self.object.start : self.object.end]

    def triple(self, text: str) -> tuple[str, str, str]:
        """Return the relation as strings: subject, predicate, object."""
        subject, other = self.strings(text)
        return subject, self.predicate, other

    def shifted(self, by: int) -> "Relation":
        """Return the relation moved by some characters."""
        subject, other = self.subject.shifted(by), self.object.shifted(by)
        alternatives = tuple((one.shifted(by), two.shifted(by)) for one, two in self.alternatives)
        return Relation(subject, self.predicate, other, self.score, alternatives)


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its gold relations in text order, and its line in a file."""

    text: str
    relations: tuple[Relation, ...]
    line: Line

    @property
    def located(self) -> bool:
        """Whether no other occurrences of the strings may be meant."""
        return _located(self.relations)


def predicates_of(examples: Iterable[Example], files: Sequence[str]) -> tuple[str, ...]:
    """Return the sorted predicates of a training set.

    Raises:
        DataError: it has no relations.
    """
    predicates = sorted({relation.predicate for example in examples for relation in example.relations})
    if not predicates:
        raise DataError("no text has a relation; add training data with relations", ", ".join(files))
    return tuple(predicates)


def join(examples: Sequence[Example]) -> Example:
    """Return the concatenation of several examples as one."""
    relations: list[Relation] = []
    start = 0
    for example in examples:
        relations += [relation.shifted(start) for relation in example.relations]
        start += len(example.text)
    return Example("".join(example.text for example in examples), tuple(relations), examples[0].line)


class Mention(NamedTuple):
    """A span as read from a file, unchecked; `text` is None if the format does not repeat it."""

    start: Any
    end: Any
    text: Any = None


class Statement(NamedTuple):
    """A relation as read from a file, unchecked."""

    subject: Mention
    predicate: Any
    object: Mention
    score: Any = 1.0


def make_example(line: Line, text: Any, statements: Iterable[Statement], located: Any = True) -> Example:
    """Check the relations of a text, in any format, and return the example; duplicates are removed.

    Args:
        line: of the record.
        text: the text.
        statements: its relations.
        located: whether the offsets were annotated; if not, the relations get alternatives.

    Raises:
        DataError: no text, offsets outside the text, an empty predicate, a mention that is not the text at its offsets.
    """
    if not isinstance(text, str):
        raise line.error("the record has no text, or it is not a string; name the field that holds it with --field")
    if not isinstance(located, bool):
        raise line.error(f'"located" must be true or false, this is {located!r}')
    relations = [_checked(line, text, statement) for statement in statements]
    if not located:
        relations = [replace(relation, alternatives=_alternatives(text, relation)) for relation in relations]
    return Example(text, tuple(sorted(dict.fromkeys(relations))), line)


def to_record(
    text: str, relations: Iterable[Relation], fields: Mapping[str, Any] | None = None, scores: bool = False
) -> dict[str, Any]:
    """Return the JSON object of a text with its relations.

    Args:
        text: the text to which the offsets refer.
        relations: in the order of the output.
        fields: all fields of the input record; only `text` when None.
        scores: whether to include the scores.
    """

    def to_object(span: Span) -> dict[str, Any]:
        return {"start": span.start, "end": span.end, "text": text[span.start : span.end]}

    relations = list(relations)
    items = [
        {"subject": to_object(r.subject), "predicate": r.predicate, "object": to_object(r.object)}
        | ({"score": round(r.score, 4)} if scores else {})
        for r in relations
    ]
    located = {} if _located(relations) else {"located": False}
    return {**({"text": text} if fields is None else fields), "relations": items, **located}


def _located(relations: Iterable[Relation]) -> bool:
    return not any(relation.alternatives for relation in relations)


def _checked(line: Line, text: str, statement: Statement) -> Relation:
    subject, predicate, other, score = statement
    for mention in (subject, other):
        check_span(line, text, *mention)
    if not isinstance(predicate, str) or not predicate:
        raise line.error(f"a predicate must be a non-empty string, this is {predicate!r}")
    if type(score) not in (int, float):
        raise line.error(f"the score of {predicate} must be a number, this is {score!r}")
    return Relation(Span(subject.start, subject.end), predicate, Span(other.start, other.end), float(score))


def _alternatives(text: str, relation: Relation) -> tuple[tuple[Span, Span], ...]:
    """Return the pairs of spans with the strings of a relation, its own first; nothing if there are no others."""
    found = closest_pairs(text, *relation.strings(text), MAX_ALTERNATIVES)
    pairs = [(Span(*one), Span(*two)) for one, two in found]
    pairs = list(dict.fromkeys([(relation.subject, relation.object), *pairs]))[:MAX_ALTERNATIVES]
    return tuple(pairs) if len(pairs) > 1 else ()
