"""Export of a trained model: a model folder whose encoder is an ONNX file as well, for programs other than nlpkit.

The folder has the weights in fp32, under the names of nlpkit's own modules. `model.onnx` refers to them in
model.safetensors, so they are stored once. It maps input_ids int64 [b, s] and lengths int32 [b] to states [b, s, d].
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nlpkit.core.io.artefacts import file_entry
from nlpkit.core.io.folders import new_folder
from nlpkit.core.io.output import reported
from nlpkit.core.model import checkpoint
from nlpkit.core.model.contents import WEIGHTS, encoder_of, tokenizer_of
from nlpkit.core.model.loading import check, native_weights
from nlpkit.core.model.manifest import KIND, MANIFEST, Manifest, copy_inner_models, find, read_manifest
from nlpkit.core.onnx.encoders import add_encoder, supports, type_of
from nlpkit.core.onnx.graph import EXTERNAL_SIZE, Graph
from nlpkit.core.onnx.published import native
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.text.padding import pad_batch
from nlpkit.core.text.tokenizer import VOCABULARY
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.configs import read_config

ENCODER = "model.onnx"
TEXTS = ("王小明昨天去了北京大学。", "长江的长度是多少？", "BERT 3.0", "中")  # on which both encoders are compared
MAX_DIFFERENCE = 1e-3  # of two states, whose elements are about 1


def export(name: str, output: Path, folder: Path | None = None) -> dict[str, Any]:
    """Write a trained model to a new folder, and compare its encoder in ONNX Runtime with that of the model in torch.

    Args:
        name: an embedded model, a folder or a hub name; see `core.model.manifest.find`.
        output: the folder to write.
        folder: of the model, if it is not the one of that name.

    Returns:
        A record with the folder, the task, and the largest difference of two states.

    Raises:
        ModelError: there is no such model, or the results differ.
        OutputError: the output folder has content, or cannot be written.
        UsageError: there is no graph for its encoder.
    """
    folder = folder or find(name)
    manifest = read_manifest(folder)
    backbone = native(manifest.backbone)
    if not supports(backbone):
        raise UsageError(
            f"{name}: there is no ONNX graph for an encoder of type {type_of(backbone)}; export a model on BERT"
        )
    check(folder, manifest)
    weights = {key: np.asarray(value, order="C") for key, value in native_weights(folder, manifest).items()}
    with new_folder(output) as made, reported(output):
        for path in folder.iterdir():
            if path.is_file() and path.name not in (MANIFEST, WEIGHTS):
                shutil.copyfile(path, made / path.name)
        source, encoder = encoder_of(folder, manifest)
        if source != folder:
            shutil.copyfile(source / VOCABULARY, made / VOCABULARY)
        copy_inner_models(folder, made)
        checkpoint.save_tensors({key: torch.from_numpy(value) for key, value in weights.items()}, made / WEIGHTS)
        _write_encoder(backbone, weights, made)
        difference = _compare(folder, manifest, made)
        if difference > MAX_DIFFERENCE:
            raise ModelError(f"{name}: the exported encoder differs from torch by {difference:.2g}; report it")
        names = {*manifest.files, *encoder.files, WEIGHTS, ENCODER}
        files = {key: file_entry(made / key) for key in sorted(names) if (made / key).exists()}
        KIND.write(made, replace(manifest, backbone=dict(backbone), files=files, encoder=None))
    return {"folder": str(output), "task": manifest.task, "max_difference": difference}


def _write_encoder(backbone: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], folder: Path) -> None:
    """Write the ONNX file of an encoder, which refers to the weights in the safetensors file beside it."""
    graph = Graph(as_stored=True)
    add_encoder(graph, read_config(backbone), StoredWeights(weights).under("backbone."))
    places = _places(folder / WEIGHTS)
    stored = {id(array): places[key] for key, array in weights.items()}

    def locate(_: str, array: NDArray[Any]) -> Mapping[str, str] | None:
        return stored.get(id(array)) if array.nbytes >= EXTERNAL_SIZE else None

    (folder / ENCODER).write_bytes(graph.to_bytes(locate))


def _places(path: Path) -> dict[str, dict[str, str]]:
    """Return where the values of each tensor of a safetensors file are, as ONNX's external data."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
    spans = {key: entry["data_offsets"] for key, entry in header.items() if key != "__metadata__"}
    return {
        key: {"location": path.name, "offset": str(8 + size + start), "length": str(end - start)}
        for key, (start, end) in spans.items()
    }


def _compare(folder: Path, manifest: Manifest, made: Path) -> float:
    """Return the largest difference between the states of a model's encoder in torch and those of an ONNX file."""
    import onnxruntime

    with checkpoint.unallocated(manifest.backbone):
        backbone = checkpoint.build_backbone(folder, manifest)
    checkpoint.load_weights(backbone, folder, manifest, prefix="backbone.")
    tokenizer = tokenizer_of(folder, manifest)
    sequences = [[tokenizer.cls_id, *tokenizer.encode(text).ids, tokenizer.sep_id] for text in TEXTS]
    input_ids, mask = pad_batch(sequences, tokenizer.pad_id)
    with torch.inference_mode():
        expected = backbone.eval()(torch.from_numpy(input_ids), torch.from_numpy(mask)).numpy()
    session = onnxruntime.InferenceSession(made / ENCODER, providers=["CPUExecutionProvider"])
    (found,) = session.run(["states"], {"input_ids": input_ids, "lengths": mask.sum(1, dtype=np.int32)})
    return float(np.abs(found - expected)[mask].max())
