"""Errors become one line on stderr and an exit code; signals and closed pipes end a command silently."""

import os
import signal

import pytest
import typer
from support import write_jsonl
from typer.testing import CliRunner

from nlpkit.cli.app import app
from nlpkit.cli.error_handling import Edge, Terminated, message
from nlpkit.cli.lazy import LazyApp
from nlpkit.errors import DataError, ModelError, NlpkitError, OutputError, UsageError

GOOD = {"text": "王伟在北京大学工作。", "entities": [{"start": 0, "end": 2, "label": "name"}]}


def run(function, *arguments, **environment):
    """Run a function as the command `do` of a command line."""
    root = LazyApp(cls=Edge, name="nlpkit", pretty_exceptions_enable=False, no_args_is_help=True)
    root.add("do", "Do something.", lambda: function)
    root.add("train", "Train something.", lambda: function)
    return CliRunner().invoke(root, arguments or ["do"], prog_name="nlpkit", env={"NLPKIT_LANG": "en"} | environment)


def raising(error):
    def do():
        typer.echo("begun")
        raise error

    return do


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (NlpkitError("wrong"), 1, "wrong"),
        (UsageError("--x: no"), 2, "--x: no"),
        (DataError("no text", "a.txt", 3), 1, "a.txt:3: no text"),
        (ModelError("m: broken"), 1, "m: broken"),
        (OutputError("v.npy: full"), 1, "v.npy: full"),
        (OSError(28, "No space left on device", "out"), 1, "out: No space left on device"),
        (OSError(5, "Input/output error"), 1, "<stdout>: Input/output error"),
        (OSError("odd"), 1, "<stdout>: odd"),
        (MemoryError(), 1, "out of memory; try --device cpu"),
        (RuntimeError("MPS backend out of memory (9 GB)"), 1, "out of memory; try --device cpu"),
        (NlpkitError("a\nb\x1b[2J"), 1, "a␊b␛[2J"),
    ],
)
def test_each_error_is_one_line(error, code, line):
    result = run(raising(error))
    assert (result.exit_code, result.stdout) == (code, "begun\n")
    assert result.stderr == f"nlpkit: error: {line}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (Terminated(signal.SIGTERM), 143),
        (Terminated(signal.SIGHUP), 129),
        (typer.Exit(3), 3),
        (typer.Abort(), 1),
    ],
)
def test_what_ends_a_command_silently(error, code):
    result = run(raising(error))
    assert (result.exit_code, result.stderr) == (code, "")


def test_what_a_command_returns_is_no_exit_code():
    assert run(lambda: None).exit_code == 0
    assert run(lambda: "text").exit_code == 0


def test_memory_that_a_training_lacks_has_a_cure_of_its_own():
    result = run(raising(MemoryError()), "train")
    assert result.stderr.startswith("nlpkit: error: out of memory; take a smaller --batch-size")


@pytest.mark.parametrize(
    ("arguments", "problem", "command"),
    [
        (["do", "--x"], "No such option: --x", "nlpkit do"),
        (["do", "surplus"], "Got unexpected extra argument", "nlpkit do"),
        (["nothing"], "No such command 'nothing'", "nlpkit"),
        (["--nothing", "do"], "No such option: --nothing", "nlpkit"),
    ],
)
def test_a_wrong_option_says_where_the_right_ones_are(arguments, problem, command):
    result = run(lambda: None, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"nlpkit: error: {problem}")
    assert line.endswith(f"; see: {command} --help")


def test_signals_are_as_before_when_a_command_has_ended():
    before = signal.getsignal(signal.SIGTERM)
    seen = []
    run(lambda: seen.append(signal.getsignal(signal.SIGTERM)))
    assert signal.getsignal(signal.SIGTERM) is before
    assert seen[0] is not before


def test_a_signal_ends_a_command_once():
    """`timeout` sends it twice; the second must not disturb the clearing up."""
    steps = []

    def do():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("not reached")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("cleared up")

    result = run(do)
    assert (result.exit_code, result.stderr, steps) == (143, "", ["cleared up"])


def test_a_long_message_loses_its_middle(capsys):
    message("begin " + "x" * 5000 + " end")
    line = capsys.readouterr().err
    assert line.startswith("nlpkit: begin xx")
    assert line.endswith("xx end\n")
    assert len(line) < 2100


class OutOfMemoryError(RuntimeError):
    """As torch's."""


@pytest.mark.parametrize(
    "error",
    [OutOfMemoryError(), MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")],
)
def test_too_little_memory_is_one_line_with_a_cure(fails, tmp_path, monkeypatch, error):
    def fail(*args, **more):
        raise error

    monkeypatch.setattr("nlpkit.core.training.job.fit", fail)
    monkeypatch.setattr("nlpkit.tasks.ner.task.load", fail)
    monkeypatch.setattr("nlpkit.tasks.pretrain.train.pretrain", fail)
    write_jsonl(tmp_path / "gold", [GOOD])
    told = {
        "train ner gold --dev gold -o out -q": "--max-length",
        "pretrain gold -o out -q": "--length",
        "ner gold": "--device cpu",
        "evaluate ner gold": "--device cpu",
    }
    for command, cure in told.items():
        message = fails(1, *command.split())
        assert message.startswith("out of memory; ")
        assert cure in message


def test_an_unforeseen_error_is_one_line_with_the_way_to_report_it(monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError("odd\nthing")

    monkeypatch.setattr("nlpkit.core.model.manifest.embedded_names", broken)
    result = CliRunner().invoke(app, ["models"], prog_name="nlpkit")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("nlpkit: error: internal error: ZeroDivisionError at test_error_handling.py:")
    assert "odd␊thing" in line
    assert "please report it" in line
    assert "NLPKIT_DEBUG=1" in line


@pytest.mark.parametrize("error", [RuntimeError("a bug"), UsageError("--x: no")])
def test_the_traceback_is_shown_on_request(error):
    result = run(raising(error), NLPKIT_DEBUG="1")
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("nlpkit: error: ")
