"""The initial weights of nlpkit-base: which layers of the teacher are kept."""

import importlib
from pathlib import Path

import pytest
import torch


@pytest.fixture
def student(monkeypatch):
    """The recipe's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "nlpkit-base"))
    return importlib.import_module("student")


@pytest.mark.parametrize("layers", [range(2), [1, 3], [3, 0]])
def test_the_layers_that_are_kept_are_counted_anew(student, layers):
    weights = {f"encoder.layer.{layer}.output.dense.weight": torch.tensor(float(layer)) for layer in range(4)}
    kept = student.keep_layers({**weights, "pooler.dense.bias": torch.tensor(9.0)}, layers)
    assert kept.pop("pooler.dense.bias") == 9
    assert {name: int(value) for name, value in kept.items()} == {
        f"encoder.layer.{number}.output.dense.weight": layer for number, layer in enumerate(layers)
    }
