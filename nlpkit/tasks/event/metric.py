"""Metrics of events: spans, roles, whole events, characters; and counts of errors by kind."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from nlpkit.core.model.calibration import Outcome, distinct
from nlpkit.core.text.lcs import lcs_similarity
from nlpkit.core.training.metric import prf
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, Example

Pairs = Iterable[tuple[Example, list[Event]]]
Key = Callable[[Argument], Hashable]  # by which spans are compared


def event_scores(pairs: Pairs) -> dict[str, Any]:
    """Return all metrics as {precision, recall, f1}; the top-level `f1` is that of `argument_classification`.

    The first four are those of CasEE (arXiv 2107.01583), over sets per text: the span of the trigger; span and type of
    the trigger; type of the event and span of an argument; these and the role. `event` is strict: type, trigger and all
    arguments of an event. `argument_characters` is DuEE's: within a type and role each predicted argument has the
    credit 2·LCS/(|a| + |b|) with the most similar gold argument, one to one. Spans are compared by offsets, or by their
    characters if the gold offsets were not annotated. `labels` has argument classification per type.
    """
    pairs = list(pairs)
    totals = {name: _Counts() for name in (*_ITEMS, "event")}
    types: defaultdict[str, _Counts] = defaultdict(_Counts)
    credit, predicted_arguments, gold_arguments = 0.0, 0, 0
    for example, answer in pairs:
        key = _key(example)
        for name, items in _ITEMS.items():
            totals[name].add(items(example.events, key), items(answer, key))
        totals["event"].add(_whole(example.events, key), _whole(answer, key))
        for name in {event.type for event in (*example.events, *answer)}:
            sides = ([e for e in events if e.type == name] for events in (example.events, answer))
            types[name].add(*(_classified(events, key) for events in sides))
        gold, predicted = (_arguments(events, key) for events in (example.events, answer))
        credit += _credit(example.text, gold, predicted)
        predicted_arguments += len(predicted)
        gold_arguments += len(gold)
    scores: dict[str, Any] = {name: counts.prf() for name, counts in totals.items()}
    return {
        "f1": scores["argument_classification"]["f1"],
        **scores,
        "argument_characters": prf(credit, predicted_arguments, gold_arguments),
        "support": {
            "triggers": totals["trigger_classification"].gold,
            "arguments": gold_arguments,
            "events": totals["event"].gold,
        },
        "labels": {name: {**types[name].prf(), "support": types[name].gold} for name in sorted(types)},
    }


def outcomes(pairs: Pairs) -> tuple[list[Outcome], list[Outcome]]:
    """Return the scores of the predicted triggers and arguments, and of the events, with whether each is right.

    Right is what `trigger_classification`, `argument_classification` and `event` count; what is in several events of a
    text counts once, with its highest score.
    """
    spans: list[Outcome] = []
    events: list[Outcome] = []
    for example, answer in pairs:
        key = _key(example)
        gold, whole = {item for item, _ in _spans(example.events, key)}, _whole(example.events, key)
        spans += distinct((item, score, item in gold) for item, score in _spans(answer, key))
        predicted = [(item, event.score) for event in answer for item in _whole([event], key)]
        events += distinct((item, score, item in whole) for item, score in predicted)
    return spans, events


def errors(pairs: Pairs) -> dict[str, dict[str, int]]:
    """Return counts of gold triggers and arguments by the first outcome that applies, and of spurious predictions.

    Triggers: `right`; `wrong_type` (a trigger of another type has the span); `missed`. Arguments: `right`, in an event
    with the gold trigger; `broken_link` (type, role and span are correct, the event is not); `wrong_role`; `wrong_type`
    (the span is an argument of another type); `wrong_span` (type and role are correct, the spans overlap);
    `missed_trigger` (the event's trigger was not predicted either); `missed`. `spurious` are predicted triggers and
    arguments that are not classified correctly.
    """
    triggers: Counter[str] = Counter()
    arguments: Counter[str] = Counter()
    spurious: Counter[str] = Counter()
    for example, answer in pairs:
        key = _key(example)
        gold_triggers, predicted_triggers = (_trigger_set(events, key) for events in (example.events, answer))
        predicted_spans = {span for _, span in predicted_triggers}
        for type, span in gold_triggers:
            right = (type, span) in predicted_triggers
            triggers["right" if right else "wrong_type" if span in predicted_spans else "missed"] += 1
        for item in _in_events(example.events, key):
            arguments[_outcome(item, example, answer, key)] += 1
        spurious["triggers"] += len(predicted_triggers - gold_triggers)
        spurious["arguments"] += len(_classified(answer, key) - _classified(example.events, key))
    order = ("right", "broken_link", "wrong_role", "wrong_type", "wrong_span", "missed_trigger", "missed")
    return {
        "triggers": {name: triggers[name] for name in ("right", "wrong_type", "missed")},
        "arguments": {name: arguments[name] for name in order},
        "spurious": {name: spurious[name] for name in ("triggers", "arguments")},
    }


class _Counts:
    """Numbers of correct, predicted and gold items of sets."""

    def __init__(self) -> None:
        self.correct = self.predicted = self.gold = 0

    def add(self, gold: set[Any], predicted: set[Any]) -> None:
        self.correct += len(gold & predicted)
        self.predicted += len(predicted)
        self.gold += len(gold)

    def prf(self) -> dict[str, float]:
        return prf(self.correct, self.predicted, self.gold)


def _key(example: Example) -> Key:
    """Return the function that compares arguments: by offsets and value, or by filler if offsets are not gold."""
    if example.located:
        return lambda argument: (argument.start, argument.end, argument.value)
    return lambda argument: argument.filler(example.text)


def _trigger_set(events: Iterable[Event], key: Key) -> set[Any]:
    return {(event.type, key(event.trigger)) for event in events if event.trigger}


def _classified(events: Iterable[Event], key: Key) -> set[Any]:
    return {(e.type, key(a), a.role) for e in events for a in e.arguments if a.role != TRIGGER}


def _spans(events: Iterable[Event], key: Key) -> list[tuple[Hashable, float]]:
    """Return each trigger and argument with its score."""
    return [((e.type, key(a), a.role), a.score) for e in events for a in e.arguments]


def _whole(events: Iterable[Event], key: Key) -> set[Any]:
    return {(e.type, frozenset((key(a), a.role) for a in e.arguments)) for e in events}


_ITEMS: dict[str, Callable[[Iterable[Event], Key], set[Any]]] = {
    "trigger_identification": lambda events, key: {span for _, span in _trigger_set(events, key)},
    "trigger_classification": _trigger_set,
    "argument_identification": lambda events, key: {item[:2] for item in _classified(events, key)},
    "argument_classification": _classified,
}


def _arguments(events: Iterable[Event], key: Key) -> list[tuple[str, Argument]]:
    """Return (type, argument) without duplicates."""
    items = {(e.type, a.role, key(a)): (e.type, a) for e in events for a in e.arguments if a.role != TRIGGER}
    return list(items.values())


def _credit(text: str, gold: list[tuple[str, Argument]], predicted: list[tuple[str, Argument]]) -> float:
    """Return the credit of all predicted arguments: the best pairs first, each argument in one pair."""
    credits = []
    for i, (type, argument) in enumerate(predicted):
        for j, (gold_type, gold_argument) in enumerate(gold):
            if (type, argument.role) == (gold_type, gold_argument.role):
                credit = lcs_similarity(argument.filler(text), gold_argument.filler(text))
                credits.append((credit, -i, -j))
    total = 0.0
    used: set[tuple[str, int]] = set()
    for credit, i, j in sorted(credits, reverse=True):
        if not used & {("predicted", i), ("gold", j)}:
            used |= {("predicted", i), ("gold", j)}
            total += credit
    return total


def _in_events(events: Iterable[Event], key: Key) -> list[tuple[Event, Argument]]:
    """Return each argument once for each different trigger of its events."""
    items = {}
    for event in events:
        for argument in event.arguments:
            if argument.role != TRIGGER:
                trigger = key(event.trigger) if event.trigger else None
                items[event.type, argument.role, key(argument), trigger] = event, argument
    return list(items.values())


def _outcome(item: tuple[Event, Argument], example: Example, answer: list[Event], key: Key) -> str:
    """Return what became of a gold argument in the answer: a kind of error, or `right`."""
    event, argument = item
    span, trigger = key(argument), event.trigger and key(event.trigger)
    predicted = [(e, a) for e in answer for a in e.arguments if a.role != TRIGGER]
    same_span = [(e, a) for e, a in predicted if key(a) == span]
    same_role = [(e, a) for e, a in same_span if (e.type, a.role) == (event.type, argument.role)]
    if any((e.trigger and key(e.trigger)) == trigger for e, _ in same_role):
        return "right"
    if same_role:
        return "broken_link"
    if any(e.type == event.type for e, _ in same_span):
        return "wrong_role"
    if same_span:
        return "wrong_type"
    if any(
        (e.type, a.role) == (event.type, argument.role) and a.start < argument.end and argument.start < a.end
        for e, a in predicted
    ):
        return "wrong_span"
    has_trigger = any(e.type == event.type and e.trigger and key(e.trigger) == trigger for e in answer)
    return "missed" if has_trigger or trigger is None else "missed_trigger"
