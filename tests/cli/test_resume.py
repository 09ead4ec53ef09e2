"""`--resume`, as users call it: the same bytes as a run that was not ended, and refusals; processes are elsewhere."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from classify_support import save_ngram, task
from embed_support import save_embedder
from pipeline_support import listed
from static_support import save_static, sentences
from support import records, write_jsonl

from nlpkit.core.pipeline import journal
from nlpkit.core.pipeline.journal import Journal

COUNT, BAD = 1300, 1200  # records; the bad one is in the third chunk
TEXTS = [text.encode() for text in sentences(COUNT)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"static": save_static(folder / "static"), "ngram": save_ngram(folder / "ngram", task())}


@pytest.fixture(autouse=True)
def saved_often(monkeypatch):
    monkeypatch.setitem(Journal.__init__.__kwdefaults__, "save_every", 0.0)
    monkeypatch.setattr(journal, "FRAME", 20_000)


def write_input(name, *, bad, **changes):
    """The input, of which one line is bad or not; both have the same size."""
    lines = [changes.get(f"line{number}", text) for number, text in enumerate(TEXTS, 1)]
    lines[BAD - 1] = (b"\xff" if bad else b"x") + lines[BAD - 1]
    if name.endswith("jsonl"):
        lines = [b'{"text": "%s", "id": %d}' % (text, number) for number, text in enumerate(lines)]
    Path(name).write_bytes(b"\n".join(lines) + b"\n")


@pytest.fixture
def ended(nlpkit, models):
    """Runs a command that ends at a bad line after a saving; gives its arguments without --output."""

    def run(command="embed in.txt -m {static}", output="out.jsonl"):
        arguments = command.format(**models).split()
        write_input(arguments[1], bad=True)
        result = nlpkit(*arguments, "-o", output)
        assert result.exit_code == 1
        hint, error = result.stderr.splitlines()
        assert hint == f"nlpkit: hint: 1,024 records are in {output}.partial; continue with --resume"
        assert error.startswith(f"nlpkit: error: {arguments[1]}:{BAD}: not valid utf-8")
        assert {f"{output}.partial", f"{output}.partial.json"} < set(listed("."))
        assert output not in listed(".")
        return arguments

    return run


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("embed in.txt -m {static}", "out.jsonl"),
        ("embed in.jsonl -m {static}", "out.jsonl.gz"),
        ("embed in.txt -m {static}", "out.jsonl.zst"),
        ("embed in.txt -m {static} --precision int8", "out.npy"),
        ("embed in.jsonl -m {static} --id id", "out.parquet"),
        ("classify in.txt -m {ngram} --add-file", "out.jsonl.xz"),
        ("classify in.jsonl -m {ngram} --nest found", "out"),
    ],
)
def test_the_bytes_are_those_of_a_run_that_was_not_ended(nlpkit, ended, command, output):
    arguments = ended(command, output)
    before = {name for name in listed(".") if not name.startswith("out")}
    write_input(arguments[1], bad=False)
    assert nlpkit(*arguments, "-o", output, "--resume").exit_code == 0
    whole = f"whole{Path(output).name.removeprefix('out')}"
    assert nlpkit(*arguments, "-o", whole).exit_code == 0
    assert Path(output).read_bytes() == Path(whole).read_bytes()
    sidecars = {"out.npy.json", "whole.npy.json"} if output == "out.npy" else set()
    assert set(listed(".")) == before | {output, whole} | sidecars
    if sidecars:
        assert Path("out.npy.json").read_bytes() == Path("whole.npy.json").read_bytes()


def test_bad_records_are_listed_once_for_the_whole_input(nlpkit, ended):
    """Also those before the place where the first run ended."""
    arguments = ended("embed in.jsonl -m {static}")
    skipping = [*arguments, "--on-error", "skip", "--errors"]
    result = nlpkit(*skipping, "bad.jsonl", "-o", "out.jsonl", "--resume")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1] == "nlpkit: 1 bad record(s) skipped"
    assert [(bad["file"], bad["line"]) for bad in records(Path("bad.jsonl"))] == [("in.jsonl", BAD)]
    assert len(records(Path("out.jsonl"))) == COUNT - 1


def test_bad_records_before_the_place_are_listed_again(nlpkit, models, monkeypatch):
    rows = [{"text": 5 if number in (2, 600, 1290) else "好", "id": number} for number in range(COUNT)]
    write_jsonl(Path("in.jsonl"), rows)
    arguments = ["embed", "in.jsonl", "-m", models["static"], "--on-error", "skip", "--errors", "bad.jsonl"]
    assert nlpkit(*arguments, "-o", "whole.jsonl").exit_code == 3
    bad = Path("bad.jsonl").read_bytes()
    assert [json.loads(line)["line"] for line in bad.splitlines()] == [3, 601, 1291]
    Path("bad.jsonl").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(journal, "sync", full)
        assert nlpkit(*arguments, "-o", "out.jsonl").exit_code == 1
    assert "bad.jsonl" not in listed(".")
    assert nlpkit(*arguments, "-o", "out.jsonl", "--resume").exit_code == 3
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert Path("bad.jsonl").read_bytes() == bad


def full(path):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def refused(nlpkit, ended):
    """Runs a command that is refused in one line and changes nothing; gives the line."""

    def run(code, *arguments):
        before = {name: Path(name).read_bytes() for name in listed(".") if Path(name).is_file()}
        result = nlpkit(*arguments)
        assert result.exit_code == code, result.output
        (line,) = result.stderr.splitlines()
        assert {name: Path(name).read_bytes() for name in listed(".") if Path(name).is_file()} == before
        return line.removeprefix("nlpkit: error: ")

    return run


DIFFERS = "--resume: out.jsonl.partial is of a run that differs in {}; give what it was started with, or remove it"


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        (["--precision", "int8"], "--precision"),
        (["--raw"], "--normalise"),
        (["--dim", "4", "--nest", "x"], "--dim, --nest"),
        (["--encoding", "gb18030"], "--encoding"),
        (["--input-format", "text"], "--input-format"),
        (["--add-file"], "--add-file"),
        (["--runtime", "torch"], "--runtime"),
    ],
)
def test_other_options_are_refused_by_name(ended, refused, changes, names):
    arguments = ended()
    assert refused(2, *arguments, *changes, "-o", "out.jsonl", "--resume").startswith(DIFFERS.format(names))


@pytest.mark.parametrize("changes", [["--quiet"], ["--on-error", "skip"], ["--max-line", "1M"], ["--workers", "2"]])
def test_options_that_do_not_change_what_is_done_may_differ(nlpkit, ended, monkeypatch, changes):
    """As the error may ask for them: a line that is too long, too little memory."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arguments = ended()
    write_input("in.txt", bad=False)
    assert nlpkit(*arguments, *changes, "-o", "out.jsonl", "--resume").exit_code == 0
    assert len(records(Path("out.jsonl"))) == COUNT


def test_another_command_is_refused(ended, refused, models):
    ended()
    message = refused(2, "classify", "in.txt", "-m", models["ngram"], "-o", "out.jsonl", "--resume")
    assert "differs in " in message
    assert "command" in message


def renamed():
    write_input("other.txt", bad=False)
    return "other.txt"


def longer():
    write_input("in.txt", bad=False)
    with Path("in.txt").open("ab") as stream:
        stream.write(b"x\n")
    return "in.txt"


def replaced():
    write_input("in.txt", bad=False, line7=b"x" * len(TEXTS[6]))
    return "in.txt"


@pytest.mark.parametrize("change", [renamed, longer, replaced], ids=lambda change: change.__name__)
def test_another_input_is_refused(ended, refused, change):
    arguments = ended()
    arguments[1] = change()
    assert refused(2, *arguments, "-o", "out.jsonl", "--resume").startswith(DIFFERS.format("input"))


def other_weights():
    shutil.rmtree("model")
    save_static(Path("model"), seed=4)


def another_file():
    Path("model", "whitening.json").write_text("{}")


@pytest.mark.parametrize("change", [other_weights, another_file], ids=lambda change: change.__name__)
def test_a_model_folder_that_has_changed_is_refused(ended, refused, change):
    save_static(Path("model"))
    arguments = ended("embed in.txt -m model")
    change()
    write_input("in.txt", bad=False)
    message = refused(2, *arguments, "-o", "out.jsonl", "--resume")
    assert message.startswith(DIFFERS.format("content of --model"))


def test_an_unfinished_output_is_not_overwritten(ended, refused):
    arguments = ended()
    assert refused(1, *arguments, "-o", "out.jsonl") == (
        "out.jsonl.partial: has 1,024 records of an unfinished run; continue it with --resume, or remove it"
    )


def test_a_finished_output_is_not_continued(nlpkit, refused, models):
    write_input("in.txt", bad=False)
    arguments = ["embed", "in.txt", "-m", models["static"], "-o", "out.jsonl"]
    assert nlpkit(*arguments, "--resume").exit_code == 0
    assert refused(1, *arguments, "--resume").startswith("out.jsonl: is finished, or not an output of nlpkit")


@pytest.mark.parametrize("content", ['{"job": {}, "records": 10', '{"job": {}, "records": "ten"}', "[]", ""])
def test_a_damaged_state_is_one_line(ended, refused, content):
    arguments = ended()
    Path("out.jsonl.partial.json").write_text(content)
    message = refused(1, *arguments, "-o", "out.jsonl", "--resume")
    assert f"{Path('out.jsonl.partial.json').absolute()}: broken" in message
    assert message.endswith("; remove it and the file without .json to start again")


def test_a_text_that_is_no_file_name(nlpkit, tmp_path):
    arguments = ["embed", "-m", save_embedder(tmp_path / "model"), "-o", "out.jsonl", "--prompt", "长" * 200]
    assert nlpkit(*arguments, text="好\n").stderr == ""
    assert len(records(Path("out.jsonl"))) == 1


def test_a_field_may_have_the_name_of_the_folder_of_the_output(nlpkit, models):
    Path("vectors").mkdir()
    arguments = ["embed", "-m", models["static"], "-o", "vectors/out.npy", "--field", "vectors"]
    text = "".join(f'{{"vectors": "{text.decode()}"}}\n' for text in TEXTS)
    assert nlpkit(*arguments, text=text + "no JSON\n").exit_code == 1
    assert nlpkit(*arguments, "--resume", text=text).exit_code == 0
    assert len(np.load("vectors/out.npy")) == COUNT


def test_standard_input_is_compared_by_its_content(nlpkit, models):
    write_input("in.txt", bad=False)
    text = Path("in.txt").read_text(encoding="utf-8")
    arguments = ["embed", "-m", models["static"], "-o", "out.jsonl"]
    assert nlpkit(*arguments, text=text.encode() + b"\xff\n").exit_code == 1
    assert "differs in input" in nlpkit(*arguments, "--resume", text=text[1:]).stderr
    assert nlpkit(*arguments, "--resume", text=text + "又\n").exit_code == 0
    assert len(records(Path("out.jsonl"))) == COUNT + 1
