"""Readers of gold questions: each format, and what each refuses."""

import json

import pytest

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.kgqa.data import Answer, Reply, to_record
from nlpkit.tasks.kgqa.formats import read_examples


def read(tmp_path, record, format="nlpkit", **more):
    path = tmp_path / "gold.jsonl"
    lines = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
    path.write_text(lines + "\n", encoding="utf-8")
    return list(read_examples([str(path)], format, **more))


def test_kgclue(tmp_path):
    record = {"question": "谁写的？", "answer": "红楼梦（小说（古典）） ||| 作者 ||| 曹 ||| 雪芹"}
    (example,) = read(tmp_path, record, "kgclue")
    assert example.text == "谁写的？"
    assert (example.name, example.sense, example.predicate) == ("红楼梦", "小说（古典）", "作者")
    assert example.object == "曹 ||| 雪芹"  # only the first two bars divide
    assert example.triple == ("红楼梦（小说（古典））", "作者", "曹 ||| 雪芹")


def test_nlpcc_prefers_its_triple(tmp_path):
    record = {"question": "谁写的？", "triple": "红楼梦 ||| 作者 ||| 曹雪芹", "answer": "曹雪芹"}
    for format in ("nlpcc", "kgclue"):  # told apart by their fields, so files of both can be given together
        (example,) = read(tmp_path, record, format)
        assert example.triple == ("红楼梦", "作者", "曹雪芹")


def test_what_the_command_writes_is_read(tmp_path):
    answers = (Answer("红楼梦", "小说", "作者", ("曹雪芹", "高鹗"), 0.9), Answer("红楼", "", "位置", ("北京",), 0.1))
    (example,) = read(tmp_path, to_record("谁写的？", Reply("ok", answers)))
    assert example.triple == ("红楼梦（小说）", "作者", "曹雪芹")


def test_the_question_may_stand_in_another_field(tmp_path):
    (example,) = read(tmp_path, {"q": "谁写的？", "answer": "甲 ||| 乙 ||| 丙"}, "kgclue", field="q")
    assert example.text == "谁写的？"


@pytest.mark.parametrize(
    ("record", "format", "said"),
    [
        ({"question": "谁？"}, "kgclue", 'neither "answer" nor "triple"'),
        ({"question": "谁？", "answer": "甲 ||| 乙"}, "kgclue", "is not subject ||| predicate ||| object"),
        ({"question": "谁？", "answer": " ||| 乙 ||| 丙"}, "kgclue", "the subject or the predicate is empty"),
        ({"question": "谁？", "answer": "甲 |||  ||| 丙"}, "nlpcc", "the subject or the predicate is empty"),
        ({"question": " ", "answer": "甲 ||| 乙 ||| 丙"}, "kgclue", "no question here, or an empty one"),
        ({"text": "谁？", "answer": "甲 ||| 乙 ||| 丙"}, "kgclue", "name the field that holds it with --field"),
        ({"question": 3, "answer": "甲 ||| 乙 ||| 丙"}, "kgclue", "no question here"),
        ({"question": "谁？", "answers": []}, "nlpkit", "not a record like"),
        ({"question": "谁？", "answers": [{"subject": "甲", "predicate": 1, "objects": [""]}]}, "nlpkit", "not a"),
        ({"question": "谁？", "answers": [{"subject": "甲", "predicate": "乙", "objects": []}]}, "nlpkit", "not a"),
        ('{"question": "谁', "kgclue", "not valid JSON"),
    ],
)
def test_refused(tmp_path, record, format, said):
    with pytest.raises(DataError, match=r"gold\.jsonl:1: ") as error:
        read(tmp_path, record, format)
    assert said in str(error.value)
    errors = ErrorPolicy("skip")
    assert read(tmp_path, record, format, on_error=errors) == []
    assert errors.count == 1


def test_unknown_format():
    with pytest.raises(UsageError, match="unknown format 'cluener'; there are: nlpkit, kgclue, nlpcc"):
        read_examples([], "cluener")
