"""The annotation of sentences whose event types are known, and the types that a data set is annotated with."""

import importlib
import io
import json
import sys
from pathlib import Path

import pytest
from support import write_jsonl

from nlpkit.tasks.event.formats import read_examples

GOLD = {
    "text": "甲公司裁员九百人",
    "events": [
        {"type": "组织关系-裁员", "trigger": {"start": 3, "end": 5}, "arguments": []},
        {"type": "组织关系-解雇", "trigger": None, "arguments": [{"role": "解雇方", "start": 0, "end": 3}]},
    ],
}


@pytest.fixture
def recipe(monkeypatch):
    """Imports a module of the recipe."""

    def recipe(name):
        monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "recipes" / "event"), *sys.path])
        monkeypatch.delitem(sys.modules, name, raising=False)  # another recipe has a module of that name
        return importlib.import_module(name)

    return recipe


def test_frequent_types_are_enough_at_some_point(recipe):
    rows = [("a", ["x"]), ("b", ["x"]), ("c", ["x"]), ("d", ["x", "y"]), ("e", ["y"]), ("f", ["y", "x"])]
    assert [text for text, _ in recipe("silver").sample(rows, 2)] == ["a", "b", "d", "e"]


def test_events_of_known_types_are_found_and_what_is_missing_is_not_annotated(recipe, tmp_path):
    gold = write_jsonl(tmp_path / "gold.jsonl", [GOLD])
    text = "雀巢裁员4000人,时代抛弃你时,连招呼都不会打!"
    rows = [
        {"text1": GOLD["text"], "label": ["组织关系-裁员"]},
        {"text1": text, "label": ["组织关系-裁员", "组织关系-解雇"]},
        {"text1": text * 20, "label": ["组织关系-裁员"]},
        {"text1": "今天天气很好", "label": ["组织关系-解雇"]},
        {"text1": text + "!", "label": ["人生-死亡"]},
    ]
    types = write_jsonl(tmp_path / "types.txt", rows)
    recipe("silver").main("event", types, gold, str(tmp_path / "silver.jsonl"))
    (example,) = read_examples([str(tmp_path / "silver.jsonl")])
    assert example.text == text
    assert [event.type for event in example.events] == ["组织关系-裁员"]
    assert example.types == {"组织关系-裁员"}


def test_records_say_which_types_they_are_annotated_with(recipe, tmp_path, monkeypatch, capsys):
    path = write_jsonl(tmp_path / "all.jsonl", [GOLD, {"text": "无", "events": []}])
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"text": "无", "events": []}\n'))
    recipe("mark_types").main(path)
    found = json.loads(capsys.readouterr().out)
    assert found == {"text": "无", "events": [], "types": ["组织关系-裁员", "组织关系-解雇"]}
