"""Progress on stderr, in both languages."""

import gzip
import re
import sys
from types import SimpleNamespace

import pytest
import zstandard

from nlpkit.cli.progress import reading, stages, training


def run(step, best_step):
    """The state of a run after an evaluation."""
    return SimpleNamespace(
        step=step, total_steps=20, loss=0.5, tokens=100, elapsed=3.0, metrics={"f1": 0.25}, best_step=best_step
    )


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("en", ["step 10/20: dev f1 0.2500 (best), 3 s", "step 20/20: dev f1 0.2500, 3 s"]),
        ("zh", ["第 10/20 步：验证集 f1 0.2500（最佳），3 秒", "第 20/20 步：验证集 f1 0.2500，3 秒"]),
    ],
)
def test_a_line_for_each_evaluation(monkeypatch, capsys, language, lines):
    monkeypatch.setenv("NLPKIT_LANG", language)
    with training("f1", quiet=False) as report:
        report(run(10, 10))
        report(run(20, 10))
    assert [line for line in capsys.readouterr().err.splitlines() if "f1" in line] == lines
    with training("f1", quiet=True) as report:
        report(run(10, 10))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "\rsorting names 1/2, ETA 0 s \rsorting names 2/2, ETA 0 s \n\rsorting triples 7/7, ETA 0 s \n"),
        ("zh", "\r排序名称 1/2, 剩余 0 秒 \r排序名称 2/2, 剩余 0 秒 \n\r排序三元组 7/7, 剩余 0 秒 \n"),
    ],
)
def test_a_line_for_each_stage(monkeypatch, capsys, language, expected):
    monkeypatch.setenv("NLPKIT_LANG", language)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with stages(quiet=False) as progress:
        progress("sorting names", 1, 2)
        progress("sorting names", 2, 2)
        progress("sorting triples", 7, 7)
    assert capsys.readouterr().err == expected
    with stages(quiet=True) as progress:
        progress("sorting names", 1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize(("language", "line"), [("en", "1,000 lines, "), ("zh", "1,000 行，")])
def test_a_bar_over_the_files(monkeypatch, capsys, tmp_path, pack, language, line):
    """Half of the bytes are half of the bar, also of a compressed file."""
    path = tmp_path / "a.txt"
    path.write_bytes(pack("叶老桂\n".encode() * 2000))
    monkeypatch.setenv("NLPKIT_LANG", language)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with reading([str(path)], quiet=False) as advance:
        advance(1000, 10_000)
    written = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert line in written
    done, rest = re.findall("(━+)[╸╺](━+)", written)[-1]
    assert abs(len(done) - len(rest)) <= 1
    with reading([str(path)], quiet=True) as advance:
        advance(1, 10)
    assert capsys.readouterr().err == ""


def test_a_bar_without_sizes(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with reading(["-"], quiet=False) as advance:
        advance(1234, 10)
    assert "1,234 lines, " in capsys.readouterr().err
