"""Records of events: what is checked, sorted and joined, and that it comes back from JSON."""

from dataclasses import replace

import pytest

from nlpkit.core.io.records import Line, dump_line
from nlpkit.errors import DataError
from nlpkit.tasks.event.data import (
    TRIGGER,
    Argument,
    Event,
    Example,
    Label,
    Mention,
    RawEvent,
    join,
    labels_of,
    make_example,
    to_record,
)
from nlpkit.tasks.event.formats import read_examples

TEXT = "甲公司将股份质押给乙银行"
PLEDGE = Event("质押", (Argument(0, 3, "质押方"), Argument(6, 8, TRIGGER), Argument(9, 12, "质权方")))
LINE = Line("", "gold", 7)


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        (("质押", "质押方"), ["type 质押", "type 质", "type 押", "role 质押方", "role 质", "role 押", "role 方"]),
        (("质押", "sub-org"), ["type 质押", "type 质", "type 押", "role sub-org", "role sub", "role org"]),
        (("人", TRIGGER), ["type 人", "role trigger"]),
        (
            ("IPO", "环节", "完成"),
            ["type IPO", "role 环节", "role 环", "role 节", "value 完成", "value 完", "value 成"],
        ),
    ],
)
def test_parts_of_a_label(label, parts):
    assert Label(*label).parts() == parts


def test_what_was_joined_says_so():
    joined = replace(PLEDGE, parts=2, score=0.75)
    (event,) = to_record(TEXT, [joined], {}, scores=True)["events"]
    assert (event["parts"], event["score"]) == (2, 0.75)
    assert "parts" not in to_record(TEXT, [PLEDGE])["events"][0]


def test_labels_are_sorted_and_at_least_one():
    other = Event("质押", (Argument(0, 3, "环节", "完成"),))
    assert [tuple(label) for label in labels_of([Example(TEXT, (PLEDGE, other), LINE)], [])] == [
        ("质押", TRIGGER, ""),
        ("质押", "环节", "完成"),
        ("质押", "质押方", ""),
        ("质押", "质权方", ""),
    ]
    with pytest.raises(DataError, match=r"a\.jsonl, b\.jsonl: no text has an event; add training data with events"):
        labels_of([Example(TEXT, (), LINE)], ["a.jsonl", "b.jsonl"])


def test_a_record_has_the_trigger_beside_the_arguments():
    event = replace(PLEDGE, arguments=(*PLEDGE.arguments, Argument(6, 8, "环节", "完成", 0.98765)), score=0.12345)
    (item,) = to_record(TEXT, [event], {}, scores=True)["events"]
    assert item == {
        "type": "质押",
        "trigger": {"start": 6, "end": 8, "text": "质押"},
        "arguments": [
            {"role": "质押方", "start": 0, "end": 3, "text": "甲公司", "score": 1.0},
            {"role": "质权方", "start": 9, "end": 12, "text": "乙银行", "score": 1.0},
            {"role": "环节", "start": 6, "end": 8, "text": "质押", "value": "完成", "score": 0.9877},
        ],
        "score": 0.1235,
    }
    record = to_record(TEXT, [Event("质押", (Argument(0, 3, "质押方"),))])
    assert record["events"][0]["trigger"] is None
    assert "located" not in record
    assert to_record(TEXT, [], located=False) == {"text": TEXT, "events": [], "located": False}


def test_the_filler_is_the_value_or_the_characters():
    assert Argument(0, 3, "质押方").filler(TEXT) == "甲公司"
    assert Argument(6, 8, "环节", "完成").filler(TEXT) == "完成"


def test_scores_and_parts_are_not_compared():
    other = replace(PLEDGE, score=0.5, parts=2, arguments=tuple(replace(a, score=0.1) for a in PLEDGE.arguments))
    assert other == PLEDGE
    assert other.trigger == Argument(6, 8, TRIGGER)


def mentions(event):
    return [Mention(a.role, a.start, a.end, None, a.value) for a in event.arguments]


def test_events_are_in_text_order_without_duplicates():
    later = RawEvent("收购", [Mention("买方", 9, 12, "乙银行")])
    pledge = RawEvent("质押", mentions(PLEDGE)[::-1])
    example = make_example(LINE, TEXT, [later, pledge, pledge])
    assert example.events == (PLEDGE, Event("收购", (Argument(9, 12, "买方"),)))
    assert example.located


def test_joined_texts_keep_every_argument():
    joined = join(
        [Example("甲", (), LINE), Example(TEXT, (PLEDGE,), LINE, located=False), Example(TEXT, (PLEDGE,), LINE)]
    )
    assert joined.text == "甲" + TEXT * 2
    assert [[a.filler(joined.text) for a in event.arguments] for event in joined.events] == [
        ["甲公司", "质押", "乙银行"]
    ] * 2
    assert [event.arguments[0].start for event in joined.events] == [1, 13]
    assert not joined.located
    assert join([Example(TEXT, (), LINE)]).located


@pytest.mark.parametrize(
    ("text", "event", "message"),
    [
        (None, ("x", []), "the record has no text, or it is not a string; name the field that holds it with --field"),
        (TEXT, ("", []), "the type of an event must be a non-empty string, this is ''"),
        (TEXT, (None, []), "the type of an event must be a non-empty string, this is None"),
        (TEXT, ("x", []), "an event x has neither a trigger nor an argument"),
        (TEXT, ("x", [(TRIGGER, 0, 1), (TRIGGER, 1, 2)]), "an event x has two triggers; make it two events"),
        (TEXT, ("x", [("a", 0, 13)]), "offsets 0:13 are outside the text of 12 characters"),
        (TEXT, ("x", [("a", 0, 3, "乙公司")]), "the text at 0:3 is '甲公司', but the annotation says '乙公司'"),
        (TEXT, ("x", [("", 0, 3)]), "the role of 0:3 in x must be a non-empty string, this is ''"),
        (TEXT, ("x", [("a", 0, 3, None, 1)]), "the value of a in x must be a string, this is 1"),
        (TEXT, ("x", [("a", 0, 3, None, "", True)]), "the score of 0:3 in x must be a number, this is True"),
    ],
)
def test_an_event_that_does_not_fit_is_an_error(text, event, message):
    type, raw = event
    with pytest.raises(DataError) as caught:
        make_example(LINE, text, [RawEvent(type, [Mention(*mention) for mention in raw])])
    assert str(caught.value) == f"gold:7: {message}"


def test_located_is_true_or_false():
    with pytest.raises(DataError, match='gold:7: "located" must be true or false, this is 1'):
        make_example(LINE, TEXT, [], located=1)


def test_types_say_what_is_annotated(tmp_path):
    record = to_record(TEXT, [PLEDGE])
    path = tmp_path / "gold"
    path.write_bytes(dump_line({**record, "types": ["收购", "质押"]}) + dump_line(record))
    restricted, complete = read_examples([str(path)])
    assert (restricted.types, complete.types) == ({"收购", "质押"}, None)
    assert join([complete, restricted, complete]).text == TEXT * 2
    assert join([restricted, complete]).types == {"收购", "质押"}


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ("质押", r'"types" must be a list of types, as \["质押", "收购"\], this is \'质押\''),
        ([], r'"types" must be a list of types, as \["质押", "收购"\], this is \[\]'),
        ([None], r'"types" must be a list of types, as \["质押", "收购"\], this is \[None\]'),
        (["收购"], 'an event has the type 质押, which "types" of this record does not list'),
    ],
)
def test_types_that_do_not_fit_are_an_error(types, message):
    raw = RawEvent("质押", [Mention("质押方", 0, 3)])
    with pytest.raises(DataError, match=f"^gold:7: {message}$"):
        make_example(LINE, TEXT, [raw], types=types)
