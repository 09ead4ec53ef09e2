"""The mixture of the first stage of `event`: other data sets as records."""

import importlib
import io
import json
import sys
from pathlib import Path

import pytest
from support import write_jsonl

from nlpkit.tasks.event.formats import read_examples

RECIPE = Path(__file__).parents[2] / "recipes" / "event"
DOCUMENT = "甲公司公告\n甲公司回购股票。乙公司质押股份,\n回购了。"


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPE))
    return importlib.import_module


def mark(text, part, start=None, **fields):
    start = text.index(part) if start is None else start
    return {**fields, "start": start, "end": start + len(part), "text": part}


def test_sentences_of_a_document_have_the_events_whose_trigger_they_contain(recipe):
    arguments = [mark(DOCUMENT, "甲公司", 6, role="回购方"), mark(DOCUMENT, "甲公司", 0, role="披露方")]
    events = [
        {"type": "股份回购", "trigger": mark(DOCUMENT, "回购"), "arguments": arguments},
        {"type": "质押", "trigger": mark(DOCUMENT, "质押"), "arguments": []},
        {"type": "亏损", "trigger": None, "arguments": arguments},
    ]
    first, second = recipe("first_stage").finance({"text": DOCUMENT, "events": events})
    assert first["text"] == "甲公司回购股票。"
    argument = {"role": "回购方", "start": 0, "end": 3, "text": "甲公司"}
    trigger = {"start": 3, "end": 5, "text": "回购"}
    assert first["events"] == [{"type": "金融-股份回购", "trigger": trigger, "arguments": [argument]}]
    assert second["text"] == "乙公司质押股份,"
    assert [event["type"] for event in second["events"]] == ["金融-质押"]


def test_arguments_without_a_place_are_left_out(recipe):
    arguments = [
        {"role": "时间", "argument": "昨天", "argument_start_index": -1},
        {"role": "主体", "argument": "甲", "argument_start_index": 0},
        {"role": "客体", "argument": "乙", "argument_start_index": 2},
    ]
    event = {"event_type": "公开声明", "trigger": "声明", "trigger_start_index": 1, "arguments": arguments}
    elsewhere = {**event, "trigger_start_index": 0}
    record = recipe("first_stage").politics({"text": "甲声明了", "event_list": [event, elsewhere]})
    argument = {"role": "主体", "start": 0, "end": 1, "text": "甲"}
    trigger = {"start": 1, "end": 3, "text": "声明"}
    assert record["events"] == [{"type": "时政-公开声明", "trigger": trigger, "arguments": [argument]}]


@pytest.mark.parametrize(("offset", "expected"), [(1, 1), (2, 1), (0, 1), (3, None)])
def test_offsets_may_be_wrong_by_one(recipe, offset, expected):
    event = {
        "trigger": {"text": "声明", "offset": offset},
        "arguments": [{"role": "subject", "text": "甲", "offset": 0}],
    }
    record = recipe("first_stage").second_round({"sentence": "甲声明了", "events": [event]})
    assert [event["trigger"]["start"] for event in record["events"]] == ([] if expected is None else [expected])


def test_the_occurrence_closest_to_the_trigger_is_the_argument(recipe):
    first_round = recipe("first_stage").first_round
    label = {"trigger": "见", "object": "甲", "subject": "", "time": "丁", "location": ""}
    ((event,),) = [first_round({"text": "甲乙丙见甲", "labels": [label]})["events"]]
    assert [(part["role"], part["start"]) for part in event["arguments"]] == [("object", 4)]
    assert first_round({"text": "甲见见甲", "labels": [label]})["events"] == []


def test_records_are_annotated_with_the_types_of_their_set(recipe):
    def record(text, *types):
        return {"text": text, "events": [{"type": type} for type in types]}

    records = [record("一", "a"), record("二"), record("三" * 251, "c"), record("四", "b")]
    assert recipe("first_stage").annotated(records) == [
        {**records[0], "types": ["a", "b"]},
        {**records[3], "types": ["a", "b"]},
    ]


def test_the_mixture_has_all_sets(recipe, tmp_path):
    def gold(text, type):
        return {"text": text, "events": [{"type": type, "trigger": mark(text, text[:1]), "arguments": []}]}

    folder = tmp_path / "event"
    for name in ("eet_open", "ifly2020"):
        (folder / name).mkdir(parents=True)
    row = {"trigger": "见", "object": "甲", "subject": "", "time": "", "location": ""}
    for name, records in {
        "first.jsonl": [gold("投资", "投资")],
        "second.jsonl": [gold("收购", "收购")],
        "duee-train.jsonl": [gold("裁员", "裁员") | {"types": ["裁员"]}],
        "silver-2.jsonl": [gold("解雇", "裁员") | {"types": ["裁员"]}],
        "fin.jsonl": [gold("亏损。", "亏损")],
        "event/eet_open/train.jsonl": [],
        "event/ifly2020/final_stack.jsonl": [],
        "event/ifly2020/preliminary_stack.jsonl": [{"id": n, "text": f"甲见{n}", "labels": [row]} for n in (1, 2)],
    }.items():
        write_jsonl(tmp_path / name, records)
    recipe("first_stage").main(str(tmp_path))
    examples = list(read_examples([str(tmp_path / "mixture.jsonl")]))
    texts = ["投资"] * 2 + ["收购"] * 3 + ["裁员"] * 3 + ["解雇", "亏损。", "亏损。", "甲见1"]
    assert sorted(example.text for example in examples) == sorted(texts)
    own = {example.text: example.types for example in examples}
    assert own["投资"] == {"投资", "收购", "裁员"}
    assert own["裁员"] == {"裁员"}
    assert own["亏损。"] == {"金融-亏损"}


def test_training_records_of_a_dev_set_are_left_out(recipe, tmp_path, monkeypatch, capsys):
    dev = write_jsonl(tmp_path / "dev.jsonl", [{"text": "甲\u2028乙"}])
    lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in ("甲", "甲\u2028乙", "乙")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(lines)))
    recipe("unseen").main(dev)
    assert capsys.readouterr().out == lines[0] + lines[2]
