"""How well events are found: spans, roles, whole events, characters; and what went wrong."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from nlpkit.core.training.metric import prf
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, Example

Pairs = Iterable[tuple[Example, list[Event]]]
Place = Callable[[Argument], Hashable]


def event_scores(pairs: Pairs) -> dict[str, Any]:
    """All figures as {precision, recall, f1}; `f1` by itself is that of `argument_classification`.

    The first four are those of CasEE (arXiv 2107.01583), over sets within a text: the trigger's span; with its type;
    the type and an argument's span; with its role. `event` is strict: type, trigger and all arguments of an event
    together. `argument_characters` is DuEE's: within a type and role each found argument is credited with
    2·LCS/(|a| + |b|) for the gold one that it resembles most, one to one. Spans are compared by offsets, or, where
    those of the gold were looked up, by their characters. `labels` has argument classification per type.
    """
    pairs = list(pairs)
    found = {name: _Counts() for name in (*_ITEMS, "event")}
    types: defaultdict[str, _Counts] = defaultdict(_Counts)
    credit, predicted_arguments, gold_arguments = 0.0, 0, 0
    for example, answer in pairs:
        place = _place(example)
        for name, items in _ITEMS.items():
            found[name].add(items(example.events, place), items(answer, place))
        found["event"].add(_whole(example.events, place), _whole(answer, place))
        for name in {event.type for event in (*example.events, *answer)}:
            sides = ([e for e in events if e.type == name] for events in (example.events, answer))
            types[name].add(*(_classified(events, place) for events in sides))
        gold, predicted = (_arguments(events, place) for events in (example.events, answer))
        credit += _resemblance(example.text, gold, predicted)
        predicted_arguments += len(predicted)
        gold_arguments += len(gold)
    scores: dict[str, Any] = {name: counts.prf() for name, counts in found.items()}
    return {
        "f1": scores["argument_classification"]["f1"],
        **scores,
        "argument_characters": prf(credit, predicted_arguments, gold_arguments),
        "support": {
            "triggers": found["trigger_classification"].gold,
            "arguments": gold_arguments,
            "events": found["event"].gold,
        },
        "labels": {name: {**types[name].prf(), "support": types[name].gold} for name in sorted(types)},
    }


def errors(pairs: Pairs) -> dict[str, dict[str, int]]:
    """What became of each gold trigger and argument, and how many found ones are not gold, by the first that applies.

    Triggers: `right`; `wrong_type` (a trigger of another type is there); `missed`. Arguments: `right`, in an event with
    the gold trigger; `broken_link` (type, role and span are right, the event is not); `wrong_role`; `wrong_type` (the
    span is an argument of another type); `wrong_span` (type and role are right, the span overlaps); `missed_trigger`
    (the event's trigger was not found either); `missed`. `spurious` are found triggers and arguments that are not
    classified right.
    """
    triggers: Counter[str] = Counter()
    arguments: Counter[str] = Counter()
    spurious: Counter[str] = Counter()
    for example, answer in pairs:
        place = _place(example)
        known = {(e.type, place(e.trigger)) for e in answer if e.trigger}
        placed = {where for _, where in known}
        for type, where in _trigger_set(example.events, place):
            right = (type, where) in known
            triggers["right" if right else "wrong_type" if where in placed else "missed"] += 1
        for item in _in_events(example.events, place):
            arguments[_fate(item, example, answer, place)] += 1
        spurious["triggers"] += len(known - _trigger_set(example.events, place))
        spurious["arguments"] += len(_classified(answer, place) - _classified(example.events, place))
    order = ("right", "broken_link", "wrong_role", "wrong_type", "wrong_span", "missed_trigger", "missed")
    return {
        "triggers": {name: triggers[name] for name in ("right", "wrong_type", "missed")},
        "arguments": {name: arguments[name] for name in order},
        "spurious": {name: spurious[name] for name in ("triggers", "arguments")},
    }


class _Counts:
    """Of sets: how many items are right, found, and gold."""

    def __init__(self) -> None:
        self.correct = self.predicted = self.gold = 0

    def add(self, gold: set[Any], predicted: set[Any]) -> None:
        self.correct += len(gold & predicted)
        self.predicted += len(predicted)
        self.gold += len(gold)

    def prf(self) -> dict[str, float]:
        return prf(self.correct, self.predicted, self.gold)


def _place(example: Example) -> Place:
    """What stands for an argument: its offsets and value, or its words where the offsets mean nothing."""
    if example.located:
        return lambda argument: (argument.start, argument.end, argument.value)
    return lambda argument: argument.says(example.text)


def _trigger_set(events: Iterable[Event], place: Place) -> set[Any]:
    return {(event.type, place(event.trigger)) for event in events if event.trigger}


def _classified(events: Iterable[Event], place: Place) -> set[Any]:
    return {(e.type, place(a), a.role) for e in events for a in e.arguments if a.role != TRIGGER}


def _whole(events: Iterable[Event], place: Place) -> set[Any]:
    return {(e.type, frozenset((place(a), a.role) for a in e.arguments)) for e in events}


_ITEMS: dict[str, Callable[[Iterable[Event], Place], set[Any]]] = {
    "trigger_identification": lambda events, place: {where for _, where in _trigger_set(events, place)},
    "trigger_classification": _trigger_set,
    "argument_identification": lambda events, place: {item[:2] for item in _classified(events, place)},
    "argument_classification": _classified,
}


def _arguments(events: Iterable[Event], place: Place) -> list[tuple[str, Argument]]:
    """(type, argument), each once."""
    items = {(e.type, a.role, place(a)): (e.type, a) for e in events for a in e.arguments if a.role != TRIGGER}
    return list(items.values())


def _resemblance(text: str, gold: list[tuple[str, Argument]], predicted: list[tuple[str, Argument]]) -> float:
    """The credit of all predicted arguments: the best pairs first, each argument in one pair."""
    credits = []
    for i, (type, argument) in enumerate(predicted):
        for j, (gold_type, gold_argument) in enumerate(gold):
            if (type, argument.role) == (gold_type, gold_argument.role):
                credit = likeness(argument.says(text), gold_argument.says(text))
                credits.append((-credit, i, j))
    total = 0.0
    used: set[tuple[str, int]] = set()
    for credit, i, j in sorted(credits):
        if not used & {("found", i), ("gold", j)}:
            used |= {("found", i), ("gold", j)}
            total -= credit
    return total


def likeness(one: str, other: str) -> float:
    """2·LCS/(|a| + |b|) of two strings, by their longest common subsequence."""
    if one == other:
        return 1.0
    row = [0] * (len(other) + 1)
    for character in one:
        diagonal = 0
        for index, candidate in enumerate(other, 1):
            diagonal, row[index] = (
                row[index],
                (diagonal + 1 if character == candidate else max(row[index], row[index - 1])),
            )
    return 2 * row[-1] / (len(one) + len(other))


def _in_events(events: Iterable[Event], place: Place) -> list[tuple[Event, Argument]]:
    """Each argument once for each different trigger that it has."""
    items = {}
    for event in events:
        for argument in event.arguments:
            if argument.role != TRIGGER:
                trigger = place(event.trigger) if event.trigger else None
                items[event.type, argument.role, place(argument), trigger] = event, argument
    return list(items.values())


def _fate(item: tuple[Event, Argument], example: Example, answer: list[Event], place: Place) -> str:
    event, argument = item
    where, trigger = place(argument), event.trigger and place(event.trigger)
    found = [(e, a) for e in answer for a in e.arguments if a.role != TRIGGER]
    here = [(e, a) for e, a in found if place(a) == where]
    alike = [(e, a) for e, a in here if (e.type, a.role) == (event.type, argument.role)]
    if any((e.trigger and place(e.trigger)) == trigger for e, _ in alike):
        return "right"
    if alike:
        return "broken_link"
    if any(e.type == event.type for e, _ in here):
        return "wrong_role"
    if here:
        return "wrong_type"
    if any(
        (e.type, a.role) == (event.type, argument.role) and a.start < argument.end and argument.start < a.end
        for e, a in found
    ):
        return "wrong_span"
    known = any(e.type == event.type and e.trigger and place(e.trigger) == trigger for e in answer)
    return "missed" if known or trigger is None else "missed_trigger"
