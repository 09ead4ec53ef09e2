"""Progress on stderr, in both languages."""

import sys
from types import SimpleNamespace

import pytest

from nlpkit.cli.progress import stages, training


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
        ("en", "\rsorting names 1/2, ETA 0 s \rsorting names 2/2, ETA 0 s \n\rreading, triples: 7 \n"),
        ("zh", "\r排序名称 1/2, 剩余 0 秒 \r排序名称 2/2, 剩余 0 秒 \n\r读取，三元组： 7 \n"),
    ],
)
def test_a_line_for_each_stage(monkeypatch, capsys, language, expected):
    monkeypatch.setenv("NLPKIT_LANG", language)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with stages(quiet=False) as progress:
        progress("sorting names", 1, 2)
        progress("sorting names", 2, 2)
        progress("reading, triples:", 7, 0)
    assert capsys.readouterr().err == expected
    with stages(quiet=True) as progress:
        progress("sorting names", 1, 2)
    assert capsys.readouterr().err == ""
