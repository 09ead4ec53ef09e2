"""Every event format through `read_examples`: what it gives, and what it says of a bad record."""

import json

import pytest

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, to_record
from nlpkit.tasks.event.formats import FORMATS, read_examples, read_schema

TEXT = "甲公司将股份质押给乙银行"
PLEDGE = Event("质押", (Argument(0, 3, "质押方"), Argument(6, 8, TRIGGER), Argument(9, 12, "质权方")))
NLPKIT = {
    "text": TEXT,
    "events": [
        {
            "type": "质押",
            "trigger": {"start": 6, "end": 8, "text": "质押"},
            "arguments": [
                {"role": "质权方", "start": 9, "end": 12, "score": 0.5},
                {"role": "质押方", "start": 0, "end": 3},
            ],
        }
    ],
}
DUEE = {
    "text": TEXT,
    "event_list": [
        {
            "event_type": "质押",
            "trigger": "质押",
            "trigger_start_index": 6,
            "arguments": [
                {"role": "质押方", "argument": "甲公司", "argument_start_index": 0, "alias": []},
                {"role": "质权方", "argument": "乙银行", "argument_start_index": 9},
            ],
        }
    ],
}
FEWFC = {
    "content": TEXT,
    "events": [
        {
            "type": "质押",
            "mentions": [
                {"word": "甲公司", "span": [0, 3], "role": "质押方"},
                {"word": "质押", "span": [6, 8], "role": "trigger"},
                {"word": "乙银行", "span": [9, 12], "role": "质权方"},
            ],
        }
    ],
}
DUEE_FIN = {
    "title": "丙公司",
    "text": "甲公司将股份质押给乙银行",
    "event_list": [
        {
            "event_type": "质押",
            "trigger": "质押",
            "arguments": [{"role": "质押方", "argument": "甲公司"}, {"role": "质权方", "argument": "乙银行"}],
        }
    ],
}


@pytest.fixture
def read(tmp_path):
    def read(record, format="nlpkit", on_error=None, field=None):
        path = tmp_path / "gold.jsonl"
        content = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
        path.write_text(content + "\n", encoding="utf-8")
        return list(read_examples([str(path)], format, on_error=on_error, field=field))

    return read


@pytest.mark.parametrize(("format", "record"), [("nlpkit", NLPKIT), ("duee", DUEE), ("fewfc", FEWFC)])
def test_formats_with_offsets(read, format, record):
    (example,) = read(record, format)
    assert (example.text, example.events, example.located) == (TEXT, (PLEDGE,), True)


def test_duee_fin_is_looked_up_in_title_and_text(read):
    (example,) = read(DUEE_FIN, "duee-fin")
    assert example.text == "丙公司\n" + TEXT
    assert not example.located
    (event,) = example.events
    assert [(a.role, a.filler(example.text), a.start) for a in event.arguments] == [
        ("质押方", "甲公司", 4),
        (TRIGGER, "质押", 10),
        ("质权方", "乙银行", 13),
    ]
    assert read({"title": "", "text": TEXT}, "duee-fin")[0].events == ()


def test_listed_values_stand_at_the_trigger(read):
    arguments = [{"role": "环节", "argument": "正式上市"}, {"role": "上市公司", "argument": "甲公司"}]
    listing = {"event_type": "公司上市", "trigger": "挂牌", "arguments": arguments}
    (example,) = read({"title": "", "text": "甲公司今日挂牌", "event_list": [listing]}, "duee-fin")
    (event,) = example.events
    assert Argument(5, 7, "环节", "正式上市") in event.arguments
    record = to_record(example.text, example.events, located=example.located)
    assert {"role": "环节", "start": 5, "end": 7, "text": "挂牌", "value": "正式上市"} in record["events"][0][
        "arguments"
    ]
    assert record["located"] is False
    (again,) = read(record)
    assert (again.events, again.located) == (example.events, False)


def test_what_is_optional(read):
    (example,) = read(
        {"text": TEXT, "events": [{"type": "质押", "arguments": [{"role": "质押方", "start": 0, "end": 3}]}]}
    )
    assert example.events[0].trigger is None
    bare = {"type": "质押", "trigger": {"start": 6, "end": 8}, "arguments": []}
    assert read({"body": TEXT, "events": [bare, bare]}, field="body")[0].events == (
        Event("质押", (Argument(6, 8, TRIGGER),)),
    )
    assert read({"text": TEXT, "events": []})[0].events == ()


def changed(record, **fields):
    return {**record, **fields}


def with_argument(**fields):
    argument = {"role": "质押方", "start": 0, "end": 3, **fields}
    return {"text": TEXT, "events": [{"type": "质押", "trigger": None, "arguments": [argument]}]}


@pytest.mark.parametrize(
    ("format", "record", "words"),
    [
        ("nlpkit", "{", ["not valid JSON"]),
        ("nlpkit", changed(NLPKIT, text=None), ["no text"]),
        ("nlpkit", {"text": TEXT}, ['"events": []']),
        ("nlpkit", changed(NLPKIT, events=[{"type": "质押"}]), ["not a record like"]),
        ("nlpkit", changed(NLPKIT, events=[{"type": "质押", "arguments": []}]), ["neither a trigger nor an argument"]),
        ("nlpkit", changed(NLPKIT, events=["质押"]), ["not a record like"]),
        ("nlpkit", changed(NLPKIT, located="no"), ["true or false"]),
        ("nlpkit", with_argument(text="乙公司"), ["0:3", "甲公司", "乙公司"]),
        ("nlpkit", with_argument(end=99), ["0:99", "outside"]),
        ("nlpkit", with_argument(end=0), ["0:0", "no character"]),
        ("nlpkit", with_argument(start="0"), ["whole numbers"]),
        ("nlpkit", with_argument(role=""), ["role", "non-empty"]),
        ("nlpkit", with_argument(role=["x"]), ["role", "non-empty"]),
        ("nlpkit", with_argument(role=TRIGGER), ["an argument has", "own"]),
        ("nlpkit", with_argument(score=True), ["score", "number"]),
        ("nlpkit", with_argument(value=1), ["value", "string"]),
        ("nlpkit", {"text": TEXT, "events": [{"type": 1, "arguments": []}]}, ["type", "non-empty"]),
        ("duee", {"text": TEXT}, ["event_list", "without gold"]),
        ("duee", changed(DUEE, text="乙公司将股份质押给乙银行"), ["甲公司", "乙公司"]),
        ("duee", {"text": TEXT, "event_list": [{"event_type": "质押"}]}, ["not a record like"]),
        ("duee-fin", changed(DUEE_FIN, text="甲公司将股份质押"), ["乙银行", "质权方", "does not occur"]),
        ("duee-fin", {"event_list": []}, ["not a record like"]),
        ("fewfc", {"content": TEXT}, ["without gold"]),
        (
            "fewfc",
            {
                "content": TEXT,
                "events": [
                    {
                        "type": "质押",
                        "mentions": [
                            {"word": "质押", "span": [6, 8], "role": "trigger"},
                            {"word": "股份", "span": [4, 6], "role": "trigger"},
                        ],
                    }
                ],
            },
            ["two triggers"],
        ),
    ],
)  # fmt: skip
def test_a_bad_record_is_named(read, tmp_path, format, record, words):
    with pytest.raises(DataError) as caught:
        read(record, format)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'gold.jsonl'}:1: ")
    assert all(word in message for word in words), message
    skipping = ErrorPolicy("skip")
    assert read(record, format, skipping) == []
    assert skipping.count == 1


def test_an_unknown_format_is_refused(read):
    with pytest.raises(UsageError, match="duee-fin"):
        read(NLPKIT, "ace")


TYPES = {"质押": ("质押方", "质权方"), "收购": ("买方",)}
ALL = {("质押", TRIGGER), ("质押", "质押方"), ("质押", "质权方")}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"type": "质押"}', ALL),
        ('{"type": "质押", "roles": ["质押方"]}', {("质押", TRIGGER), ("质押", "质押方")}),
        ('{"event_type": "质押", "role_list": [{"role": "质权方"}, {"role": "没有"}], "id": "1"}',
         {("质押", TRIGGER), ("质押", "质权方")}),
        ('{"type": "质押"}\n\n{"type": "收购"}', ALL | {("收购", TRIGGER), ("收购", "买方")}),
        ('[\n {"type": "质押"},\n {"type": "收购", "roles": []}\n]', ALL | {("收购", TRIGGER)}),
        ("", set()),
    ],
)  # fmt: skip
def test_schemas(tmp_path, content, expected):
    (tmp_path / "schema.json").write_text(content, encoding="utf-8")
    assert set(read_schema(str(tmp_path / "schema.json"), TYPES)) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"type": "质押"}\n{"type": "裁员"}', [":2: ", "no type 裁员", "质押, 收购"]),
        ("{}", [":1: ", "not a record like"]),
        ('{"type": ["质押"]}', [":1: ", "not a record like"]),
        ('{"type": "质押", "roles": 1.5}', [":1: ", "not a record like"]),
        ("[1]", [":1: ", "objects"]),
        ("[{", [":1: ", "JSON array"]),
        ("质押", [":1: ", "not valid JSON"]),
    ],
)
def test_bad_schemas_are_named(tmp_path, content, words):
    (tmp_path / "schema.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_schema(str(tmp_path / "schema.json"), TYPES)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.data
@pytest.mark.parametrize(
    ("format", "path", "texts", "events", "arguments"),
    [
        ("fewfc", "event/fewfc/dev.jsonl", 1641, 2444, 9981),
        ("duee", "event/duee1.0/dev.json", 1000, 1207, 3716),
        ("duee-fin", "event/duee_fin/dev.json", 1174, 1537, 9470),
    ],
)
def test_published_data(data, format, path, texts, events, arguments):
    examples = list(read_examples([str(data / path)], format))
    assert set(FORMATS) == {"nlpkit", "duee", "duee-fin", "fewfc", "brat"}
    assert (len(examples), sum(len(e.events) for e in examples)) == (texts, events)
    assert sum(len(event.arguments) for e in examples for event in e.events) == arguments
    assert all(e.located == (format != "duee-fin") for e in examples)
