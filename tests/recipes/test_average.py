"""The mean of the weights of models that started from the same ones."""

import importlib
from pathlib import Path

import pytest
import torch
from linker_support import save_linker

from nlpkit.core.model.checkpoint import dequantize, read_tensors
from nlpkit.core.model.contents import WEIGHTS
from nlpkit.core.model.manifest import read_manifest
from nlpkit.tasks.relation.task import RelationSettings, RelationTask, load


@pytest.fixture
def average(monkeypatch):
    """The recipe's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "relation-duie"))
    return importlib.import_module("average")


def test_the_mean_is_a_model_of_its_own(average, tmp_path):
    task = RelationTask(RelationSettings(("作者", "导演"), threshold=0.25))
    models = [Path(save_linker(tmp_path / f"{seed}", task, seed=seed)) for seed in (1, 2, 3)]
    average.main(tmp_path / "mean", *models)
    weights = [dequantize(read_tensors(folder / WEIGHTS)) for folder in (*models, tmp_path / "mean")]
    for name, found in weights[3].items():
        expected = sum(one[name] for one in weights[:3]) / 3
        step = expected.abs().max().item() / 127  # of int8
        torch.testing.assert_close(found, expected, rtol=0, atol=step)
    manifest = read_manifest(tmp_path / "mean", "relation")
    assert manifest.training["averaged"] == [str(folder) for folder in models]
    assert load(str(tmp_path / "mean"), "cpu", "fp32").task.settings == task.settings
