"""The figures of events by hand, and what became of the gold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.records import Line
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, Example
from nlpkit.tasks.event.metric import errors, event_scores, outcomes

TEXT = "甲公司将股份质押给乙银行，又质押给丙银行。"
FIGURES = (
    *("trigger_identification", "trigger_classification", "argument_identification", "argument_classification"),
    *("event", "argument_characters"),
)


def event(type, *arguments):
    return Event(type, tuple(sorted(Argument(*argument) for argument in arguments)))


def example(*events, located=True):
    return Example(TEXT, events, Line("", "gold", 1), located)


GOLD = event("质押", (6, 8, TRIGGER), (0, 3, "质押方"), (9, 12, "质权方"))


def scores(gold, answer, **options):
    found = event_scores([(example(*gold, **options), answer)])
    return {name: (found[name]["precision"], found[name]["recall"]) for name in FIGURES}


def test_all_right():
    found = event_scores([(example(GOLD), [replace(GOLD, score=0.4)]), (example(), [])])
    assert all(found[name] == {"precision": 1, "recall": 1, "f1": 1} for name in FIGURES)
    assert found["f1"] == 1
    assert found["support"] == {"triggers": 1, "arguments": 2, "events": 1}
    assert found["labels"] == {"质押": {"precision": 1, "recall": 1, "f1": 1, "support": 2}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([], [(0, 0)] * 6),
        # the other type: only the trigger's span is right
        ([replace(GOLD, type="收购")], [(1, 1), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]),
        # one role wrong
        (
            [event("质押", (6, 8, TRIGGER), (0, 3, "质押物"), (9, 12, "质权方"))],
            [(1, 1), (1, 1), (1, 1), (0.5, 0.5), (0, 0), (0.5, 0.5)],
        ),
        # one argument a character short: 银行 of 乙银行 is 2·2/(2 + 3)
        (
            [event("质押", (6, 8, TRIGGER), (0, 3, "质押方"), (10, 12, "质权方"))],
            [(1, 1), (1, 1), (0.5, 0.5), (0.5, 0.5), (0, 0), (0.9, 0.9)],
        ),
        # two events where there is one: the spans are right, the events are not
        (
            [event("质押", (6, 8, TRIGGER), (0, 3, "质押方")), event("质押", (6, 8, TRIGGER), (9, 12, "质权方"))],
            [(1, 1), (1, 1), (1, 1), (1, 1), (0, 0), (1, 1)],
        ),
        # no trigger, and one argument more
        (
            [event("质押", (0, 3, "质押方"), (9, 12, "质权方"), (4, 6, "质押物"))],
            [(0, 0), (0, 0), (2 / 3, 1), (2 / 3, 1), (0, 0), (2 / 3, 1)],
        ),
    ],
)
def test_cases_by_hand(answer, expected):
    found = scores([GOLD], answer)
    assert [value for name in FIGURES for value in found[name]] == pytest.approx([v for pair in expected for v in pair])


def test_gold_without_offsets_is_compared_by_words():
    elsewhere = event("质押", (14, 16, TRIGGER), (0, 3, "质押方"), (9, 12, "质权方"))
    assert scores([GOLD], [elsewhere])["event"] == (0, 0)
    assert scores([GOLD], [elsewhere], located=False)["event"] == (1, 1)


def test_values_count():
    gold, other = (event("上市", (6, 8, TRIGGER), (6, 8, "环节", value)) for value in ("正式上市", "筹备上市"))
    found = scores([gold], [other])
    assert found["argument_classification"] == (0, 0)
    assert found["argument_characters"] == (0.5, 0.5)


def test_one_argument_is_credited_once():
    gold = event("质押", (0, 3, "质权方"))
    twice = event("质押", (0, 3, "质权方"), (0, 2, "质权方"))
    assert scores([gold], [twice])["argument_characters"] == (0.5, 1)


spans = st.sampled_from([(0, 3), (0, 1), (4, 6), (6, 8), (9, 12), (17, 20)])
roles = st.sampled_from(["质押方", "质权方", TRIGGER])


@st.composite
def events(draw):
    found = []
    for _ in range(draw(st.integers(0, 3))):
        arguments = {(*draw(spans), draw(roles)) for _ in range(draw(st.integers(1, 4)))}
        triggers = sorted(argument for argument in arguments if argument[2] == TRIGGER)
        found.append(event(draw(st.sampled_from(["质押", "收购"])), *(arguments - set(triggers[1:]))))
    return found


@given(events(), events())
def test_figures_are_fractions_and_that_of_characters_is_no_lower(gold, answer):
    found = event_scores([(example(*gold), answer)])
    assert all(0 <= value <= 1 for name in FIGURES for value in found[name].values())
    assert found["argument_classification"]["recall"] <= found["argument_characters"]["recall"] + 1e-9
    for part in ("trigger", "argument"):  # what is classified is identified, though one span may have several roles
        identified, classified = found[f"{part}_identification"], found[f"{part}_classification"]
        assert (classified["f1"] == 0) or identified["f1"] > 0
        assert (classified["recall"] < 1) or identified["recall"] == 1
        assert (classified["precision"] < 1) or identified["precision"] == 1
    backwards = event_scores([(example(*answer), gold)])
    assert all(found[name]["precision"] == pytest.approx(backwards[name]["recall"]) for name in FIGURES)


@given(events(), events())
def test_every_gold_item_has_one_fate(gold, answer):
    found = errors([(example(*gold), answer)])
    assert sum(found["triggers"].values()) == len({(e.type, e.trigger) for e in gold if e.trigger})
    arguments = {(e.type, e.trigger, a) for e in gold for a in e.arguments if a.role != TRIGGER}
    assert sum(found["arguments"].values()) == len(arguments)
    perfect = errors([(example(*gold), gold)])
    assert sum(perfect["arguments"].values()) == perfect["arguments"]["right"]
    assert perfect["spurious"] == {"triggers": 0, "arguments": 0}


@pytest.mark.parametrize(
    ("answer", "triggers", "arguments"),
    [
        ([GOLD], "right", {"right": 2}),
        ([], "missed", {"missed_trigger": 2}),
        ([event("质押", (6, 8, TRIGGER))], "right", {"missed": 2}),
        ([replace(GOLD, type="收购")], "wrong_type", {"wrong_type": 2}),
        (
            [event("质押", (6, 8, TRIGGER), (0, 3, "质押物"), (9, 11, "质权方"))],
            "right",
            {"wrong_role": 1, "wrong_span": 1},
        ),
        (
            [event("质押", (6, 8, TRIGGER), (0, 3, "质押方")), event("质押", (14, 16, TRIGGER), (9, 12, "质权方"))],
            "right",
            {"right": 1, "broken_link": 1},
        ),
    ],
)
def test_fates_by_hand(answer, triggers, arguments):
    found = errors([(example(GOLD), answer)])
    assert found["triggers"][triggers] == 1
    assert {name: count for name, count in found["arguments"].items() if count} == arguments


def test_what_is_not_gold_is_spurious():
    answer = [GOLD, event("质押", (14, 16, TRIGGER), (0, 3, "质押方"), (17, 20, "质权方"))]
    assert errors([(example(GOLD), answer)])["spurious"] == {"triggers": 1, "arguments": 1}


def test_outcomes_are_the_scores_of_spans_and_of_whole_events():
    """A trigger and an argument that are in two events count once, with the higher score."""
    wrong = event("质押", (6, 8, TRIGGER, "", 0.6), (0, 3, "质押方", "", 0.8), (9, 11, "质权方", "", 0.5))
    right = event("质押", (6, 8, TRIGGER, "", 0.7), (0, 3, "质押方", "", 0.8), (9, 12, "质权方", "", 0.9))
    spans, events = outcomes([(example(GOLD), [replace(wrong, score=0.3), replace(right, score=0.4)]), (example(), [])])
    assert sorted(spans) == [(0.5, False), (0.7, True), (0.8, True), (0.9, True)]
    assert sorted(events) == [(0.3, False), (0.4, True)]
    found = event_scores([(example(GOLD), [wrong, right])])
    assert found["argument_classification"]["precision"] == 2 / 3
