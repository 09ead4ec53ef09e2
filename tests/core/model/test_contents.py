"""The files of a checkpoint folder without torch."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from nlpkit.core.model.checkpoint import quantize
from nlpkit.core.model.contents import SCALE, WEIGHTS, OpenWeights, check_files, dequantize, stored_shapes
from nlpkit.core.model.manifest import read_manifest
from nlpkit.errors import ModelError


@pytest.fixture
def folder(tmp_path):
    half, bytes_ = np.full((2, 3), 0.5, np.float16), np.array([[127, -64, 0]], np.int8)
    scale = np.array([[0.5]], np.float16)
    save_file({"a.half": half, "b.bytes": bytes_, "b.bytes" + SCALE: scale, "b.none": np.ones(2, np.float32)},
              tmp_path / WEIGHTS)  # fmt: skip
    return tmp_path


def test_weights_are_read_in_single_precision(folder):
    weights = dict(OpenWeights(folder))
    assert {name: (value.dtype, value.tolist()) for name, value in weights.items()} == {
        "a.half": (np.float32, [[0.5] * 3] * 2),
        "b.bytes": (np.float32, [[63.5, -32, 0]]),
        "b.none": (np.float32, [1, 1]),
    }
    assert len(OpenWeights(folder)) == 3
    assert stored_shapes(folder)["b.bytes"] == (1, 3)


@pytest.mark.parametrize("store", ["fp32", "fp16", "int8"])
def test_quantized_weights_come_back(model, store):
    weights = model.network.state_dict()
    stored = {name: value.numpy() for name, value in quantize(weights, store).items()}
    found = dequantize(stored)
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        tolerance = {"fp32": 0, "fp16": 1e-3, "int8": 0.01}[store] * value.abs().max().item()
        assert np.abs(found[name] - value.numpy()).max() <= tolerance


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"w": np.ones(2)}, "w is of type float64, which no checkpoint has"),
        ({"w": np.ones((2, 2), np.int8)}, "w is of type int8, which no checkpoint has"),
        ({"w": np.array([1, np.nan], np.float32)}, "w holds NaN or infinity"),
        ({"w": np.ones((2, 3), np.int8), "w" + SCALE: np.ones((5, 1), np.float16)}, "broken"),
    ],
)
def test_weights_that_are_refused(tmp_path, values, message):
    save_file(values, tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match=f"{WEIGHTS}: .*{message}"):
        dict(OpenWeights(tmp_path))


def test_damage_of_files_is_found(tiny, tmp_path):
    from pathlib import Path
    from shutil import copytree

    folder = Path(copytree(tiny, tmp_path / "m"))
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])
    with pytest.raises(ModelError, match=WEIGHTS):
        check_files(folder, manifest)
    with pytest.raises(ModelError, match="no such file; the checkpoint is incomplete"):
        OpenWeights(tmp_path)
