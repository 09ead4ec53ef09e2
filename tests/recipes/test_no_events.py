"""Texts without events for the training of `event`."""

import importlib
import json
import lzma
from pathlib import Path

import pytest
from support import write_jsonl

TRIGGER = {"start": 2, "end": 4, "text": "离开"}
RECORD = {"text": "他们离开公司", "events": [{"type": "退出", "trigger": TRIGGER, "arguments": []}]}
UNTRIGGERED = ["今天的天气真是不错，适合出去走走。", "李娜在北京大学学习了很长一段时间。"]
UNNAMED = "如果可以的话，谁都不想离开这里。"
LEFT_OUT = [
    "李娜宣布从今以后离开清华大学。",
    "有300多人从这里离开了，真的吗？",
    "他在《红楼梦》里离开了贾府。",
    "太短了",
]


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "event"))
    return importlib.import_module("no_events")


def written(recipe, corpus):
    """The records that are written beside a corpus."""
    folder = corpus.parent
    for name in recipe.SETS:
        write_jsonl(folder / f"{name}.jsonl", [RECORD])
    recipe.main(str(corpus), str(folder))
    return [json.loads(line) for line in (folder / "none.jsonl").read_text(encoding="utf-8").splitlines()]


def test_lines_without_triggers_and_lines_without_names(recipe, tmp_path):
    corpus = tmp_path / "corpus.txt.xz"
    lines = [*LEFT_OUT, *UNTRIGGERED, UNNAMED]
    corpus.write_bytes(lzma.compress("".join(f"{line}\n" for line in lines).encode()))
    records = written(recipe, corpus)
    assert sorted(record["text"] for record in records) == sorted([*UNTRIGGERED, UNNAMED])
    assert all(set(record) == {"text", "events"} and record["events"] == [] for record in records)


def test_there_are_as_many_of_each_kind(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "COUNT", 1)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"{line}\n" for line in [*UNTRIGGERED, UNNAMED, UNNAMED]), encoding="utf-8")
    first, second = (record["text"] for record in written(recipe, corpus))
    assert first in UNTRIGGERED
    assert second == UNNAMED
