"""Texts through a predictor to JSON Lines, a terminal or a page; the predictor finds the digits of a text."""

import json
import re
import sys
from pathlib import Path

import pytest
from support import write_jsonl

from nlpkit.cli.options import PredictFlags
from nlpkit.cli.predict import annotate
from nlpkit.cli.render.text import Mark, Table
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.predictor import Prediction
from nlpkit.errors import DataError, OutputError, UsageError


class Digits:
    """A long text has windows of ten characters."""

    def __init__(self):
        self.calls = []

    def predictions(self, texts):
        self.calls.append(list(texts))
        return [
            Prediction([match.span() for match in re.finditer("[0-9]", text)], -(-len(text) // 10) or 1)
            for text in texts
        ]


def to_fields(text, answer):
    return {"digits": [{"start": start, "end": end, "text": text[start:end]} for start, end in answer]}


def to_marks(fields):
    return [Mark(found["start"], found["end"], "digit") for found in fields["digits"]]


def to_tables(fields):
    return [Table("digits", [(found["text"],) for found in fields["digits"]])] if fields["digits"] else []


@pytest.fixture
def run(tmp_path, monkeypatch, capfdbinary):
    """Runs over files in an empty folder; gives what is written to stdout."""
    monkeypatch.chdir(tmp_path)

    def run(*paths, model=None, dump=None, errors=None, **options):
        flags = PredictFlags(**options)
        own = {"adds": ("digits",), "to_fields": to_fields, "dump": dump}
        annotate(model or Digits(), flags, list(paths), errors or ErrorPolicy(), to_marks, to_tables, **own)
        return capfdbinary.readouterr().out.decode()

    return run


def write(name, *lines):
    Path(name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return name


def test_the_fields_of_the_input_come_first_then_those_of_the_answer(run, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": 7, "text": "第1行"}, {"text": "", "id": 8}])
    first, second = map(json.loads, run(path).splitlines())
    assert list(first) == ["id", "text", "digits"]
    assert first["digits"] == [{"start": 1, "end": 2, "text": "1"}]
    assert second == {"text": "", "id": 8, "digits": []}


def test_only_a_long_text_says_its_windows(run):
    write("a.txt", "短", "长" * 11)
    assert [json.loads(line).get("windows") for line in run("a.txt").splitlines()] == [None, 2]


def test_the_answer_may_be_nested(run):
    write("a.txt", "长" * 11)
    assert json.loads(run("a.txt", nest="nlp")) == {"text": "长" * 11, "nlp": {"digits": [], "windows": 2}}


@pytest.mark.parametrize("name", ["digits", "windows"])
def test_a_field_of_the_input_is_not_overwritten(run, tmp_path, name):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "1", name: 5}])
    with pytest.raises(DataError, match=rf"a\.jsonl:1: .*{name}"):
        run(path)
    assert json.loads(run(path, nest="nlp"))[name] == 5


def test_files_follow_one_another_in_chunks(run):
    write("a.txt", *map(str, range(CHUNK_SIZE + 5)))
    write("b.txt", "b")
    model = Digits()
    found = [json.loads(line)["text"] for line in run("a.txt", "b.txt", model=model).splitlines()]
    assert found == [*map(str, range(CHUNK_SIZE + 5)), "b"]
    assert max(map(len, model.calls)) <= CHUNK_SIZE
    assert [text for call in model.calls for text in call] == found


def test_another_way_to_write(run):
    """As a graph: the fields of the input are not asked for, and may have any name."""
    write("a.txt", "1", "2")
    assert run("a.txt", dump=lambda found: found["digits"][0]["text"].encode() + b";") == "1;2;"


def test_to_a_file_and_a_page(run, tmp_path):
    write("a.txt", "第1行", "<第2行>")
    assert run("a.txt", output="out.jsonl", html="page.html") == ""
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 2
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('data-label="digit"') == 2
    assert page.count("<table") == 2
    assert "&lt;第" in page


@pytest.mark.parametrize("name", ["out", "./out", "link"])
def test_the_page_and_the_output_are_two_files(run, name):
    Path("out").touch()
    Path("link").symlink_to("out")
    write("a.txt", "1")
    with pytest.raises(UsageError, match="--html and --output name the same file; give each its own"):
        run("a.txt", output="out", html=name)


def test_on_a_terminal_the_text_is_shown_with_its_marks(run, monkeypatch):
    write("a.txt", "第1行", "无")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = re.sub("\x1b\\[[0-9;]*m", "", run("a.txt"))
    assert "第1[digit]行\n" in shown
    assert "{" not in shown
    assert json.loads(run("a.txt", output="-").splitlines()[0])["digits"]  # asked for by name
    assert run("a.txt", dump=lambda found: b"x") == "xx"


def test_bad_records_end_the_run_or_are_counted(run):
    Path("a.txt").write_bytes(b"1\n\xff\n2\n")
    with pytest.raises(DataError, match=r"a\.txt:2: not valid utf-8"):
        run("a.txt", output="out")
    assert not Path("out").exists()
    errors = ErrorPolicy("skip")
    run("a.txt", output="out", errors=errors)
    assert errors.count == 1
    assert Path("out").read_bytes().count(b"\n") == 2


def test_fields_and_names_are_those_of_the_model_unless_said(tmp_path, capfdbinary):
    model = Digits()
    model.output_fields, model.to_fields = ("digits",), to_fields
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "1"}, {"text": "2", "digits": 5}])
    with pytest.raises(DataError, match=r"a\.jsonl:2: .*digits"):
        annotate(model, PredictFlags(), [path], ErrorPolicy(), to_marks)
    capfdbinary.readouterr()
    annotate(model, PredictFlags(nest="nlp"), [path], ErrorPolicy(), to_marks)
    found = [json.loads(line)["nlp"] for line in capfdbinary.readouterr().out.splitlines()]
    assert [len(each["digits"]) for each in found] == [1, 1]


def test_an_output_that_cannot_be_written(run):
    write("a.txt", "1")
    with pytest.raises(OutputError, match=r"nowhere/out: cannot be written \(there is no folder .*nowhere\)"):
        run("a.txt", output="nowhere/out")


class Pairs(Digits):
    """Finds the digits of both texts of a pair."""

    output_fields = ("digits",)

    def predictions(self, texts):
        self.calls.append(texts)
        return [Prediction([match.span() for match in re.finditer("[0-9]", "".join(pair))]) for pair in texts]

    def to_fields(self, text, answer):
        return {"digits": len(answer)}


def test_pairs_are_read_with_the_name_of_the_second_field(tmp_path, capfdbinary):
    model, path = Pairs(), write_jsonl(tmp_path / "a.jsonl", [{"b": "2", "a": "1"}, {"a": "", "b": "345"}])
    annotate(model, PredictFlags(field="a"), [path], ErrorPolicy(), to_marks, second_field="b")
    assert model.calls == [[("1", "2"), ("", "345")]]
    found = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert found == [{"b": "2", "a": "1", "digits": 2}, {"a": "", "b": "345", "digits": 3}]
    with pytest.raises(DataError, match=r"a\.jsonl:1: no field 'c' here .* with --pair$"):
        annotate(model, PredictFlags(field="a"), [path], ErrorPolicy(), to_marks, second_field="c")
