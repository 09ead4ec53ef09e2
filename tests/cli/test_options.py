"""Options that several commands share: how each value is read, and what is refused."""

import os
import sys
from types import SimpleNamespace
from typing import Annotated

import pytest
import typer
from hypothesis import given
from support import texts
from typer.testing import CliRunner

from nlpkit.cli import options as opt
from nlpkit.cli.error_handling import Edge
from nlpkit.cli.lazy import LazyApp
from nlpkit.core.formats.annotation import Tally
from nlpkit.core.io.records import MAX_LINE, Line
from nlpkit.core.training.option import Option
from nlpkit.errors import DataError, UsageError

LINE = Line("", "a.txt", 3)


def run(function, *arguments, **environment):
    """Run a function as a command; gives the result."""
    root = LazyApp(cls=Edge, name="nlpkit")
    for name in ("do", "other"):  # an app of one command has no groups
        root.add(name, "Do something.", lambda: function)
    return CliRunner().invoke(root, ["do", *arguments], prog_name="nlpkit", env={"NLPKIT_LANG": "en"} | environment)


@given(texts)
def test_text_is_left_as_it_is(value):
    assert opt.text(value) == value


def test_text_that_is_not_utf_8():
    assert opt.text(None) is None
    with pytest.raises(UsageError, match=r"the argument \\xb2\\xe2 is not valid UTF-8; set the terminal or script"):
        opt.text(os.fsdecode(b"\xb2\xe2"))


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_page_is_a_file(name):
    assert opt.page_file(None) is None
    assert opt.page_file("page.html") == "page.html"
    with pytest.raises(typer.BadParameter, match="name a file; stdout is for the JSON"):
        opt.page_file(name)


def line_length(max_line: opt.MaxLine = MAX_LINE) -> None:
    typer.echo(max_line)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1", 1), ("500", 500), ("3K", 3 << 10), ("64M", 64 << 20), ("64m", 64 << 20), ("64MB", 64 << 20),
        ("64MiB", 64 << 20), ("1G", 1 << 30), ("7B", 7),
    ],
)  # fmt: skip
def test_a_size(given, expected):
    assert run(line_length, "--max-line", given).stdout == f"{expected}\n"


@pytest.mark.parametrize("given", ["0", "0M", "-1", "1.5M", "M", "1T", "64 M", "", "９M", "1" * 16])
def test_what_is_no_size(given):
    result = run(line_length, "--max-line", given)
    assert result.exit_code == 2
    assert f"--max-line {given}: a number of bytes, such as 64M or 1G" in result.stderr


def test_the_usual_size():
    assert run(line_length).stdout == f"{MAX_LINE}\n"
    assert "16M" in run(line_length, "--help").stdout


OPTION = Option("Number of things.", names=("--things", "-t"), metavar="N", min=1, max=9, environment="THINGS")


def things(number: Annotated[int, opt.typer_option(OPTION)] = 3) -> None:
    typer.echo(number)


def test_a_declaration_of_the_core_is_an_option():
    assert run(things).stdout == "3\n"
    assert run(things, "--things", "7").stdout == run(things, "-t7").stdout == "7\n"
    assert run(things, THINGS="5").stdout == "5\n"
    for value in ("0", "10", "x"):
        result = run(things, "--things", value)
        assert result.exit_code == 2
        assert "--things" in result.stderr
    shown = " ".join(run(things, "--help").stdout.split())
    assert "Number of things." in shown
    assert "N" in shown
    assert "THINGS" in shown


def test_the_values_that_a_shell_completes():
    option = opt.typer_option(Option("Which one.", values=("a", "b")))
    assert option.autocompletion() == ["a", "b"]
    assert opt.typer_option(OPTION).autocompletion is None
    named = opt.format_option({"cluener": 1, "conll": 2})
    assert named.autocompletion() == ["cluener", "conll"]
    assert named.help == "Format of the data: cluener, conll."


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, None), ("", None), (" , ", None), ("a", ["a"]), ("a, b ,c,", ["a", "b", "c"]), ("人 名", ["人 名"])],
)
def test_a_list_of_labels(given, expected):
    assert opt.label_list(given) == expected


def test_files_or_stdin(monkeypatch, capsys):
    context = SimpleNamespace(get_help=lambda: "the help")
    assert opt.input_files(context, ["a", "-"]) == ["a", "-"]
    for terminal, expected in ((False, ["-"]), (True, None)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda answer=terminal: answer))
        if expected:
            assert opt.input_files(context, None) == opt.input_files(context, []) == expected
        else:
            with pytest.raises(typer.Exit) as caught:
                opt.input_files(context, None)
            assert caught.value.exit_code == 2
    assert capsys.readouterr() == ("", "the help\n")
    monkeypatch.setattr(sys, "stdin", None)  # closed
    assert opt.input_files(context, None) == ["-"]


def test_a_bad_record_ends_the_command_or_is_reported(capsys):
    error = DataError("no text", "a.txt", 3)
    with pytest.raises(DataError):
        opt.error_policy("fail")(error)
    skipping = opt.error_policy("skip", 100)
    skipping(error)
    assert (skipping.count, skipping.max_line) == (1, 100)
    skipping.hint("try --field")
    assert capsys.readouterr().err == "nlpkit: skipped: a.txt:3: no text\nnlpkit: hint: try --field\n"


def test_the_exit_code_says_that_records_were_skipped(capsys):
    policy = opt.error_policy("skip")
    opt.finish(policy)
    for line in (3, 4):
        policy(DataError("no text", "a.txt", line))
    with pytest.raises(typer.Exit) as caught:
        opt.finish(policy)
    assert caught.value.exit_code == 3
    assert capsys.readouterr().err.splitlines()[-1] == "nlpkit: 2 bad record(s) skipped"


def test_what_was_counted_is_reported_at_the_end(capsys):
    with opt.reported() as tally:
        assert isinstance(tally, Tally)
        tally.drop("relation", "it has no text", LINE)
    assert capsys.readouterr().err == "nlpkit: dropped: 1 relation (it has no text), first in a.txt:3\n"


def test_nothing_is_reported_after_an_error(capsys):
    """Which is one line by itself."""

    def fail():
        with opt.reported() as tally:
            tally.drop("relation", "it has no text", LINE)
            raise DataError("broken", "a.txt")

    with pytest.raises(DataError):
        fail()
    assert capsys.readouterr().err == ""
