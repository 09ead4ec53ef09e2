"""Texts with events: the records of nlpkit's own format, and the examples that all readers return.

    {"text": "甲公司将股份质押给乙银行", "events": [{"type": "质押", "trigger": {"start": 6, "end": 8, "text": "质押"},
     "arguments": [{"role": "质押方", "start": 0, "end": 3, "text": "甲公司", "score": 0.97}], "score": 0.91}]}

Offsets are half-open and count characters, as in Python's `text[start:end]`. The trigger of an event may be `null`; a
span may have several roles and be in several events. A role with a fixed list of fillers, such as 环节 of 公司上市, has
the span of the trigger and its filler (正式上市) as `value`. `"located": false` means that the offsets were not
annotated, but found by a search. A record with `"types": ["质押"]` is annotated with events of these types only:
training learns nothing about the other ones from it. In input, `text`, `score` and `located` are optional (`text` must
be the text at the offsets) and other fields are ignored.

In `Event`, the trigger is one of the arguments, with the role `TRIGGER`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nlpkit.core.formats.gold import annotated_names, check_span
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError

TRIGGER = "trigger"
_WORD = re.compile(r"[A-Za-z]+|[^\W\d_]")  # a Latin word, or one Chinese character


class Label(NamedTuple):
    """A label of a span: a role of an event type, with its value if the role has a fixed list of them."""

    type: str
    role: str
    value: str = ""

    def parts(self) -> list[str]:
        """Return the parts by which it shares weights with other labels: its names, and their words and characters.

        An example is `type 产品行为-召回`, `type 召`, `role 召回方`, `role 方`.
        """
        names = {field: name for field, name in self._asdict().items() if name}
        within = (f"{field} {part}" for field, name in names.items() for part in (name, *_WORD.findall(name)))
        return list(dict.fromkeys(within))


@dataclass(frozen=True, slots=True, order=True)
class Argument:
    """A span of characters [start, end) in a role; scores are not compared."""

    start: int
    end: int
    role: str
    value: str = ""
    score: float = field(default=1.0, compare=False)

    def filler(self, text: str) -> str:
        """Return the filler of the role: the value, or else the characters of the span."""
        return self.value or text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Event:
    """A type and its arguments, trigger included, in text order; scores are not compared.

    `parts` is the number of events, predicted in different windows, that were merged into this one.
    """

    type: str
    arguments: tuple[Argument, ...]
    score: float = field(default=1.0, compare=False)
    parts: int = field(default=1, compare=False)

    @property
    def trigger(self) -> Argument | None:
        """Return the trigger, or None."""
        return next((argument for argument in self.arguments if argument.role == TRIGGER), None)


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its gold events in text order, and its line in a file.

    Attributes:
        text: the text.
        events: in text order.
        line: of the record.
        located: as in the module's docstring.
        types: those that are annotated; all types when None.
    """

    text: str
    events: tuple[Event, ...]
    line: Line
    located: bool = True
    types: frozenset[str] | None = None


def labels_of(examples: Iterable[Example], files: Sequence[str]) -> tuple[Label, ...]:
    """Return the sorted labels of a training set.

    Raises:
        DataError: it has no events.
    """
    labels = {Label(e.type, a.role, a.value) for example in examples for e in example.events for a in e.arguments}
    if not labels:
        raise DataError("no text has an event; add training data with events", ", ".join(files))
    return tuple(sorted(labels))


def join(examples: Sequence[Example]) -> Example:
    """Return the concatenation of several examples as one, less those with other `types` than the first."""
    types = examples[0].types
    examples = [example for example in examples if example.types == types]
    events = []
    start = 0
    for example in examples:
        for event in example.events:
            moved = (replace(a, start=start + a.start, end=start + a.end) for a in event.arguments)
            events.append(replace(event, arguments=tuple(moved)))
        start += len(example.text)
    located = all(example.located for example in examples)
    return Example("".join(example.text for example in examples), tuple(events), examples[0].line, located, types)


class Mention(NamedTuple):
    """An argument as read from a file, unchecked; `text` is None if the format does not repeat it."""

    role: Any
    start: Any
    end: Any
    text: Any = None
    value: Any = ""
    score: Any = 1.0


class RawEvent(NamedTuple):
    """An event as read from a file, unchecked; its trigger is one of the mentions."""

    type: Any
    mentions: Sequence[Mention]


def make_example(
    line: Line, text: Any, raw_events: Iterable[RawEvent], located: Any = True, types: Any = None
) -> Example:
    """Check the events of a text, in any format, and return the example; duplicates are removed.

    Args:
        line: of the record.
        text: the text.
        raw_events: its events.
        located: as in `Example`.
        types: list of the types that are annotated; all types when None.

    Raises:
        DataError: no text, offsets outside the text, an empty type or role, an event with two triggers or without
            trigger and argument, a mention that is not the text at its offsets, or an event of a type that is not among
            `types`.
    """
    if not isinstance(text, str):
        raise line.error("the record has no text, or it is not a string; name the field that holds it with --field")
    if not isinstance(located, bool):
        raise line.error(f'"located" must be true or false, this is {located!r}')
    events = dict.fromkeys(_checked(line, text, raw_event) for raw_event in raw_events)
    annotated = annotated_names(line, "types", types, '["质押", "收购"]')
    if annotated is not None and (extra := sorted({event.type for event in events} - annotated)):
        raise line.error(f'an event has the type {extra[0]}, which "types" of this record does not list')
    return Example(text, tuple(sorted(events, key=in_text_order)), line, located, annotated)


def in_text_order(event: Event) -> tuple[Any, ...]:
    """Return the sort key of an event: its first offset, then its type, then its arguments."""
    return event.arguments[0].start, event.type, event.arguments


def to_record(
    text: str,
    events: Iterable[Event],
    fields: Mapping[str, Any] | None = None,
    *,
    scores: bool = False,
    located: bool = True,
) -> dict[str, Any]:
    """Return the JSON object of a text with its events.

    Args:
        text: the text to which the offsets refer.
        events: in the order of the output.
        fields: all fields of the input record; only `text` when None.
        scores: whether to include the scores.
        located: whether the offsets are those of an annotation or a model.
    """

    def span(argument: Argument) -> dict[str, Any]:
        return {"start": argument.start, "end": argument.end, "text": text[argument.start : argument.end]}

    def to_object(argument: Argument) -> dict[str, Any]:
        value = {"value": argument.value} if argument.value else {}
        score = {"score": round(argument.score, 4)} if scores else {}
        return {"role": argument.role, **span(argument), **value, **score}

    items: list[dict[str, Any]] = []
    for event in events:
        trigger = event.trigger
        record = {
            "type": event.type,
            "trigger": trigger and span(trigger),
            "arguments": [to_object(argument) for argument in event.arguments if argument is not trigger],
        }
        items.append(
            record
            | ({"score": round(event.score, 4)} if scores else {})
            | ({"parts": event.parts} if event.parts > 1 else {})
        )
    return {**({"text": text} if fields is None else fields), "events": items} | ({} if located else {"located": False})


def _checked(line: Line, text: str, raw_event: RawEvent) -> Event:
    name = raw_event.type
    if not isinstance(name, str) or not name:
        raise line.error(f"the type of an event must be a non-empty string, this is {name!r}")
    arguments = sorted({_argument(line, text, name, mention) for mention in raw_event.mentions})
    if not arguments:
        raise line.error(f"an event {name} has neither a trigger nor an argument")
    if sum(argument.role == TRIGGER for argument in arguments) > 1:
        raise line.error(f"an event {name} has two triggers; make it two events")
    return Event(name, tuple(arguments))


def _argument(line: Line, text: str, event_type: str, mention: Mention) -> Argument:
    role, start, end, mention_text, value, score = mention
    check_span(line, text, start, end, mention_text)
    if not isinstance(role, str) or not role:
        raise line.error(f"the role of {start}:{end} in {event_type} must be a non-empty string, this is {role!r}")
    if not isinstance(value, str):
        raise line.error(f"the value of {role} in {event_type} must be a string, this is {value!r}")
    if type(score) not in (int, float):  # True is an int to isinstance
        raise line.error(f"the score of {start}:{end} in {event_type} must be a number, this is {score!r}")
    return Argument(start, end, role, value, float(score))
