"""The benchmarks are not run here, but they must not fall behind the code: what they import is there."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "bench"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_benchmark_can_be_loaded(monkeypatch, name):
    monkeypatch.syspath_prepend(str(FOLDER))
    assert importlib.import_module(name).__doc__
