"""Errors become one line on stderr and an exit code."""

import pytest
from support import write_jsonl

GOOD = {"text": "王伟在北京大学工作。", "entities": [{"start": 0, "end": 2, "label": "name"}]}


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


def test_other_runtime_errors_are_not_hidden(nlpkit, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("a bug")

    monkeypatch.setattr("nlpkit.core.training.job.fit", fail)
    write_jsonl(tmp_path / "gold", [GOOD])
    with pytest.raises(AssertionError, match=r"internal error: RuntimeError at .*: a bug; .* please report it"):
        nlpkit("train", "ner", "gold", "--dev", "gold", "-o", "out", "-q")


def test_an_unforeseen_error_is_one_line_with_the_way_to_report_it(monkeypatch):
    from typer.testing import CliRunner

    from nlpkit.cli.app import app

    def broken(*args, **options):
        raise ZeroDivisionError("odd\nthing")

    monkeypatch.setattr("nlpkit.core.model.manifest.embedded_names", broken)
    result = CliRunner().invoke(app, ["models"], prog_name="nlpkit")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("nlpkit: error: internal error: ZeroDivisionError at test_error_handling.py:")
    assert "odd␊thing" in line
    assert "NLPKIT_DEBUG=1" in line
    result = CliRunner().invoke(app, ["models"], prog_name="nlpkit", env={"NLPKIT_DEBUG": "1"})
    assert "Traceback (most recent call last)" in result.stderr
