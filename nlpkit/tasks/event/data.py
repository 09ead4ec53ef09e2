"""A text with its events: what the readers give and the commands write.

    {"text": "甲公司将股份质押给乙银行", "events": [{"type": "质押", "trigger": {"start": 6, "end": 8, "text": "质押"},
     "arguments": [{"role": "质押方", "start": 0, "end": 3, "text": "甲公司", "score": 0.97}], "score": 0.91}]}

Offsets are half-open and count characters, as Python's `text[start:end]`. An event may lack a trigger (`null`), a span
may play several roles and take part in several events. A role whose fillers are a fixed list, as 公司上市 has the 环节
正式上市, stands at the trigger and names its filler as `value`. `"located": false` says that the offsets were not
annotated but looked up. On reading, `text`, `score` and `located` are optional (`text` is checked where it is there)
and other fields are ignored.

Inside, the trigger is an argument, too: that with the role `TRIGGER`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nlpkit.core.formats.gold import check_span
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError

TRIGGER = "trigger"


class Label(NamedTuple):
    """What a span can be: a role in a type of event, with its value where those are listed."""

    type: str
    role: str
    value: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Argument:
    """Characters [start, end) of a text in a role; arguments are equal whatever their score."""

    start: int
    end: int
    role: str
    value: str = ""
    score: float = field(default=1.0, compare=False)

    def says(self, text: str) -> str:
        """What fills the role: the value, or else the characters."""
        return self.value or text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Event:
    """A type and its arguments in text order, the trigger among them; events are equal whatever their score.

    `parts` is of how many events, found in different windows, this one was made.
    """

    type: str
    arguments: tuple[Argument, ...]
    score: float = field(default=1.0, compare=False)
    parts: int = field(default=1, compare=False)

    @property
    def trigger(self) -> Argument | None:
        """The argument that is the trigger, if there is one."""
        return next((argument for argument in self.arguments if argument.role == TRIGGER), None)


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its gold events in text order, and where it stands; `located` as in the module's docstring."""

    text: str
    events: tuple[Event, ...]
    line: Line
    located: bool = True


def labels_of(examples: Iterable[Example], files: Sequence[str]) -> tuple[Label, ...]:
    """The labels of a training set, sorted.

    Raises:
        DataError: it has no event, so there is nothing to learn.
    """
    labels = {Label(e.type, a.role, a.value) for example in examples for e in example.events for a in e.arguments}
    if not labels:
        raise DataError("no text with an event in it; there is nothing to learn from", ", ".join(files))
    return tuple(sorted(labels))


def join(examples: Sequence[Example]) -> Example:
    """One example of several texts, written one behind the other."""
    events = []
    start = 0
    for example in examples:
        for event in example.events:
            moved = (replace(a, start=start + a.start, end=start + a.end) for a in event.arguments)
            events.append(replace(event, arguments=tuple(moved)))
        start += len(example.text)
    located = all(example.located for example in examples)
    return Example("".join(example.text for example in examples), tuple(events), examples[0].line, located)


class Mention(NamedTuple):
    """An argument as a file has it, unchecked; `text` is None where the format does not repeat it."""

    role: Any
    start: Any
    end: Any
    text: Any = None
    value: Any = ""
    score: Any = 1.0


class Happening(NamedTuple):
    """An event as a file has it, unchecked; its trigger is among the mentions."""

    type: Any
    mentions: Sequence[Mention]


def make_example(line: Line, text: Any, happenings: Iterable[Happening], located: Any = True) -> Example:
    """The checks that all formats share; what is there twice counts once.

    Raises:
        DataError: no text, offsets outside the text, an empty type or role, an event with two triggers or without
            trigger and argument, a mention that is not the text at its offsets.
    """
    if not isinstance(text, str):
        raise line.error("the record has no text, or it is not a string; name the field that holds it with --field")
    if not isinstance(located, bool):
        raise line.error(f'"located" must be true or false, this is {located!r}')
    events = dict.fromkeys(_checked(line, text, happening) for happening in happenings)
    return Example(text, tuple(sorted(events, key=in_text_order)), line, located)


def in_text_order(event: Event) -> tuple[Any, ...]:
    """What events are sorted by: where they begin, then type and all else."""
    return event.arguments[0].start, event.type, event.arguments


def to_record(
    text: str,
    events: Iterable[Event],
    fields: Mapping[str, Any] | None = None,
    *,
    scores: bool = False,
    located: bool = True,
) -> dict[str, Any]:
    """The JSON object of a text with its events.

    Args:
        text: what the offsets refer to.
        events: in the order in which they are to be written.
        fields: of the input record, its text among them, which pass through; None is only the text.
        scores: whether to write the scores, too.
        located: whether the offsets are those of an annotation or a model.
    """

    def span(argument: Argument) -> dict[str, Any]:
        return {"start": argument.start, "end": argument.end, "text": text[argument.start : argument.end]}

    def written(argument: Argument) -> dict[str, Any]:
        value = {"value": argument.value} if argument.value else {}
        score = {"score": round(argument.score, 4)} if scores else {}
        return {"role": argument.role, **span(argument), **value, **score}

    found: list[dict[str, Any]] = []
    for event in events:
        trigger = event.trigger
        record = {
            "type": event.type,
            "trigger": trigger and span(trigger),
            "arguments": [written(argument) for argument in event.arguments if argument is not trigger],
        }
        found.append(
            record
            | ({"score": round(event.score, 4)} if scores else {})
            | ({"parts": event.parts} if event.parts > 1 else {})
        )
    return {**({"text": text} if fields is None else fields), "events": found} | ({} if located else {"located": False})


def _checked(line: Line, text: str, happening: Happening) -> Event:
    if not isinstance(happening.type, str) or not happening.type:
        raise line.error(f"the type of an event must be a non-empty string, this is {happening.type!r}")
    arguments = sorted({_argument(line, text, happening.type, mention) for mention in happening.mentions})
    if not arguments:
        raise line.error(f"an event {happening.type} has neither a trigger nor an argument")
    if sum(argument.role == TRIGGER for argument in arguments) > 1:
        raise line.error(f"an event {happening.type} has two triggers; make it two events")
    return Event(happening.type, tuple(arguments))


def _argument(line: Line, text: str, type: str, mention: Mention) -> Argument:
    role, start, end, said, value, score = mention
    check_span(line, text, start, end, said)
    if not isinstance(role, str) or not role:
        raise line.error(f"the role of {start}:{end} in {type} must be a non-empty string, this is {role!r}")
    if not isinstance(value, str):
        raise line.error(f"the value of {role} in {type} must be a string, this is {value!r}")
    if _not_a_number(score):
        raise line.error(f"the score of {start}:{end} in {type} must be a number, this is {score!r}")
    return Argument(start, end, role, value, float(score))


def _not_a_number(value: Any) -> bool:
    return type(value) not in (int, float)  # True is an int to isinstance
