"""Texts through a predictor to JSON Lines, a terminal or a page; the predictor finds the digits of a text."""

import json
import os
import re
import signal
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import typer
from support import records, write_jsonl

from nlpkit.cli.options import PredictFlags
from nlpkit.cli.predict import Reading, annotating, predict
from nlpkit.cli.render.text import Mark, Table
from nlpkit.cli.train.options import flat
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.predictor import Prediction
from nlpkit.core.pipeline.outputs import open_for
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


APP = typer.Typer()


@APP.command()
@flat
def digits(flags: PredictFlags) -> None: ...


def execute(model, flags, errors=None, reading_options=None, on_terminal=True, **own):
    """Run a command that annotates with a model; gives the devices on which it was loaded."""
    devices = []

    def make(device):
        devices.append(device)
        return annotating(model, flags, to_marks, **own)

    context = typer.Context(typer.main.get_command(APP), info_name="nlpkit digits")
    context.params = asdict(flags)
    predict(context, flags, make, errors, reading_options or Reading(), on_terminal=on_terminal)
    return devices


OWN = {"to_tables": to_tables, "adds": ("digits",), "to_fields": to_fields}


@pytest.fixture
def run(tmp_path, monkeypatch, capfdbinary):
    """Runs over files in an empty folder; gives what is written to stdout."""
    monkeypatch.chdir(tmp_path)

    def run(*paths, model=None, dump=None, policy=None, **options):
        flags = PredictFlags(files=list(paths), **options)
        execute(model or Digits(), flags, policy or ErrorPolicy(), on_terminal=dump is None, **OWN, dump=dump)
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
    run("a.txt", output="out", policy=errors)
    assert errors.count == 1
    assert Path("out").read_bytes().count(b"\n") == 2


def test_fields_and_names_are_those_of_the_model_unless_said(tmp_path, capfdbinary):
    model = Digits()
    model.output_fields, model.to_fields = ("digits",), to_fields
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "1"}, {"text": "2", "digits": 5}])
    with pytest.raises(DataError, match=r"a\.jsonl:2: .*digits"):
        execute(model, PredictFlags(files=[path]))
    capfdbinary.readouterr()
    execute(model, PredictFlags(files=[path], nest="nlp"))
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
    execute(model, PredictFlags(files=[path], field="a"), reading_options=Reading(second_field="b"))
    assert model.calls == [[("1", "2"), ("", "345")]]
    found = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert found == [{"b": "2", "a": "1", "digits": 2}, {"a": "", "b": "345", "digits": 3}]
    with pytest.raises(DataError, match=r"a\.jsonl:1: no field 'c' here .* with --pair$"):
        execute(model, PredictFlags(files=[path], field="a"), reading_options=Reading(second_field="c"))


def test_the_input_may_have_another_usual_field_and_be_changed(tmp_path, capfdbinary):
    path = write_jsonl(tmp_path / "a.jsonl", [{"question": "1", "id": 7}])
    reading = Reading("question", change=lambda record: replace(record, fields={"id": record.fields["id"]}))
    execute(Digits(), PredictFlags(files=[path]), reading_options=reading, **OWN)
    (found,) = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert found == {"id": 7, "digits": [{"start": 0, "end": 1, "text": "1"}]}


def test_a_command_may_show_nothing_on_a_terminal(tmp_path, monkeypatch, capfdbinary):
    """As that for vectors: it writes the same as to a pipe."""
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "1", "digits": 1}])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(DataError, match="the field 'digits' would be overwritten"):
        execute(Digits(), PredictFlags(files=[path]), on_terminal=False, **OWN)


def test_a_fifo_is_answered_at_once(run, tmp_path):
    os.mkfifo("in")
    os.mkfifo("out")
    thread = threading.Thread(target=run, args=("in",), kwargs={"output": "out"})
    thread.start()
    with Path("out").open() as target, Path("in").open("w") as source:
        for number in "12":
            source.write(f"{number}\n")
            source.flush()
            assert json.loads(target.readline())["text"] == number
    thread.join()


@pytest.mark.parametrize(("output", "held"), [("file", True), ("/dev/null", False), ("-", False), (None, False)])
def test_signals_wait_only_while_a_file_is_opened(run, monkeypatch, output, held):
    """A FIFO may wait for its reader for ever."""
    masks = []

    def opened(*args, **options):
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return open_for(*args, **options)

    monkeypatch.setattr("nlpkit.cli.predict.open_for", opened)
    write("a.txt", "1")
    run("a.txt", output=output)
    assert [signal.SIGINT in mask for mask in masks] == [held]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


BAD = b"good 1\n\xff2\n" + b"x" * 2000 + b"\ngood 2\n"


def test_skipped_records_go_to_a_file_with_their_reasons(run, tmp_path):
    Path("a.txt").write_bytes(BAD)
    bad = write_jsonl(tmp_path / "b.jsonl", [{"text": 5}, {"text": "1", "digits": 0}, {"text": "good"}])
    with Path(bad).open("a") as stream:
        stream.write("{no JSON\n")
    Path("c.csv").write_text("id,text\n1,2,3\n4,good\n")
    flags = PredictFlags(files=["a.txt", "b.jsonl", "c.csv"], output="out", on_error="skip", errors="bad",
                         max_line=1024, quiet=True)  # fmt: skip
    with pytest.raises(typer.Exit) as ended:
        execute(Digits(), flags, **OWN)
    assert ended.value.exit_code == 3
    assert [record["text"] for record in records(Path("out"))] == ["good 1", "good 2", "good", "good"]
    found = records(Path("bad"))
    assert [(each["file"], each["line"], each["record"]) for each in found] == [
        ("a.txt", 2, "\\xff2"), ("a.txt", 3, "x" * 1025), ("b.jsonl", 1, '{"text": 5}'),
        ("b.jsonl", 2, '{"text": "1", "digits": 0}'), ("b.jsonl", 4, "{no JSON"), ("c.csv", 2, "1,2,3"),
    ]  # fmt: skip
    reasons = ("not valid utf-8", "a line of more than 1,024 bytes", "field 'text' is not a string",
               "the field 'digits' would be", "not valid JSON", "3 field(s), but")  # fmt: skip
    assert all(each["error"].startswith(reason) for each, reason in zip(found, reasons, strict=True))
    assert all(list(each) == ["file", "line", "error", "record"] for each in found)


def test_the_file_of_skipped_records_is_there_also_without_any(run):
    write("a.txt", "1")
    run("a.txt", output="out", on_error="skip", errors="bad.gz")
    assert sorted(os.listdir()) == ["a.txt", "bad.gz", "out"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"errors": "bad"}, "--errors: a bad record ends the command; pass --on-error skip, too"),
        ({"errors": "out", "on_error": "skip"}, "--errors and --output name the same file; give each its own"),
        ({"html": "page", "resume": True}, "--resume with --html: a page is made by one process in one run"),
        ({"html": "page", "workers": 2}, "--workers with --html: a page is made by one process in one run"),
        ({"workers": 2, "device": "cuda"}, "--workers: processes share the memory of a CPU; leave out --device cuda"),
        ({"workers": 2, "device": "cuda:1"}, "leave out --device cuda:1"),
        ({"output": None, "resume": True}, "--resume: only a file can be continued; name it with --output"),
        ({"field": "text", "input_format": "text"}, "--input-format text: plain text has no fields"),
    ],
)
def test_options_that_exclude_each_other(run, monkeypatch, options, message):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write("a.txt", "1")
    with pytest.raises(UsageError) as found:
        run("a.txt", **{"output": "out"} | options)
    assert message in str(found.value)
    assert os.listdir() == ["a.txt"]  # noqa: PTH208


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # Python 3.12
def test_workers_write_what_one_process_writes(run, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    write("a.txt", *(f"第{number}行" for number in range(2000)))
    assert run("a.txt", workers=2) == run("a.txt")
    flags = PredictFlags(files=["a.txt"], output="out", workers=2)
    assert execute(Digits(), flags, **OWN) == ["cpu"]
    assert os.environ["OMP_NUM_THREADS"] == "1"  # a pool of threads does not survive a fork
    assert execute(Digits(), replace(flags, workers=1), **OWN) == ["auto"]
    assert Path("out").read_text(encoding="utf-8") == run("a.txt")
