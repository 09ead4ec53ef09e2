"""The files of a checkpoint folder without torch."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from safetensors.numpy import save_file

from nlpkit.core.model.checkpoint import quantize
from nlpkit.core.model.contents import (
    SCALE,
    WEIGHTS,
    OpenWeights,
    check_files,
    dequantize,
    encoder_of,
    model_shapes,
    open_weights,
    stored_shapes,
    tokenizer_of,
)
from nlpkit.core.model.manifest import EMBEDDED, read_manifest
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
    folder = Path(copytree(tiny, tmp_path / "m"))
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])
    with pytest.raises(ModelError, match=WEIGHTS):
        check_files(folder, manifest)
    with pytest.raises(ModelError, match="no such file; the checkpoint is incomplete"):
        OpenWeights(tmp_path)


@pytest.fixture
def shared(tmp_path):
    """A copy of an embedded model that has a head alone."""
    return Path(copytree(EMBEDDED / "ner-general", tmp_path / "shared"))


def test_a_model_may_share_the_encoder_of_an_embedded_one(shared):
    manifest, encoder = read_manifest(shared), EMBEDDED / "ner-cluener"
    check_files(shared, manifest)
    assert encoder_of(shared, manifest) == (encoder, read_manifest(encoder))
    assert encoder_of(encoder, read_manifest(encoder)) == (encoder, read_manifest(encoder))
    weights, own, other = open_weights(shared, manifest), OpenWeights(shared), OpenWeights(encoder)
    assert {name for name in weights if name.startswith("backbone.")} == weights.keys() - own.keys()
    assert len(weights) == len(list(weights)) == len(other)
    assert np.array_equal(weights["backbone.embeddings.weight"], other["backbone.embeddings.weight"])
    assert np.array_equal(weights["head.dense.weight"], own["head.dense.weight"])
    shapes = model_shapes(shared, manifest)
    assert all(shapes[name] == value.shape for name, value in weights.items())
    assert tokenizer_of(shared, manifest).tokens == tokenizer_of(encoder, read_manifest(encoder)).tokens


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ({"model": "ner-of-another-version"}, "uses the encoder of ner-of-another-version, which is not an embedded"),
        ({"model": "../models/ner-cluener"}, r"uses the encoder of \.\./models/ner-cluener, which is not an embedded"),
        ({"model": str(EMBEDDED / "ner-cluener")}, "which is not an embedded model"),
        ({"model": "owner/model"}, "uses the encoder of owner/model, which is not an embedded model"),
        ({"model": "nlpkit-base"}, "was trained on another encoder than that of the embedded nlpkit-base"),
        ({"sha256": "0" * 64}, "was trained on another encoder than that of the embedded ner-cluener"),
    ],
)
def test_another_encoder_is_refused(shared, encoder, message):
    manifest = read_manifest(shared)
    manifest.encoder, manifest.version = replace(manifest.encoder, **encoder), "7.1"
    for read in (check_files, encoder_of, model_shapes, open_weights, tokenizer_of):
        with pytest.raises(ModelError, match=f"{message}.*; install nlpkit 7.1, or train the model again$"):
            read(shared, manifest)
