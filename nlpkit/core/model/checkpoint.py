"""Reading and writing of checkpoint folders (see `core.model.manifest`), with safetensors and atomic replacement."""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nlpkit.core.io.artefacts import file_entry, to_json
from nlpkit.core.io.output import replacing, replacing_inside, reported
from nlpkit.core.model import Store, contents
from nlpkit.core.model.contents import SCALE, WEIGHTS, check_files, encoder_of, model_shapes, tensor_errors
from nlpkit.core.model.manifest import MANIFEST, Manifest, reader, reason
from nlpkit.core.text.tokenizer import (
    VOCABULARY,
    write_vocabulary,
)
from nlpkit.errors import ModelError
from nlpkit.nn.backbones import Backbone, build
from nlpkit.nn.layers.prepack import count_parameters


def save(
    folder: Path,
    manifest: Manifest,
    tokens: Sequence[str] | None,
    weights: Mapping[str, Tensor],
    store: Store = "fp32",
) -> None:
    """Write a checkpoint folder.

    All files are written to temporary files, which replace the old files at the end, the manifest last. So a full disk
    or a kill leaves the old checkpoint intact. A kill during the replacement leaves a folder without a manifest, which
    is an error on loading, and never a mixture of two checkpoints.

    Args:
        folder: created if missing.
        manifest: content of nlpkit.json; its `files` are set.
        tokens: the vocabulary; None for a model without one.
        weights: the state dict.
        store: precision of the weights on disk; see `quantize`.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:  # contexts end in reverse order, so the manifest is replaced last
        written = stack.enter_context(replacing_inside(folder / MANIFEST))
        tensors = stack.enter_context(replacing_inside(folder / WEIGHTS))
        _write_tensors(quantize(weights, store), tensors)
        manifest.files = {WEIGHTS: file_entry(tensors)}
        if tokens is not None:
            vocabulary = stack.enter_context(replacing_inside(folder / VOCABULARY))
            write_vocabulary(vocabulary, tokens)
            manifest.files = {VOCABULARY: file_entry(vocabulary), **manifest.files}
        written.write_text(to_json(asdict(manifest)), encoding="utf-8")
        (folder / MANIFEST).unlink(missing_ok=True)
        if tokens is None:  # of another model in the same folder
            (folder / VOCABULARY).unlink(missing_ok=True)


def save_tensors(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None, *, inside: bool = True
) -> None:
    """Write a safetensors file, which replaces the old one when complete.

    Args:
        tensors: by name.
        path: of the file.
        metadata: of the file.
        inside: whether the file is in an artefact folder; see `output.replacing_inside`.

    Raises:
        OutputError: it cannot be written, or the disk is full.
    """
    with (replacing_inside if inside else replacing)(path) as temporary:
        _write_tensors(tensors, temporary, metadata)


def _write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"} | (metadata or {}))
    except SafetensorError as error:  # also raised for a full disk
        raise OSError(reason(error)) from error


def quantize(weights: Mapping[str, Tensor], store: Store) -> dict[str, Tensor]:
    """Return weights in the precision of the file: fp32, fp16, or matrices in int8 with an fp16 scale per row."""
    result: dict[str, Tensor] = {}
    for name, value in weights.items():
        value = value.detach().cpu().contiguous()
        if store == "int8" and value.is_floating_point() and value.dim() == 2:
            scale = (value.abs().amax(1, keepdim=True) / 127).clamp(min=1e-7).half()
            result[name] = (value / scale.float()).round().clamp(-127, 127).to(torch.int8)
            result[name + SCALE] = scale
        else:
            result[name] = value.half() if store != "fp32" and value.is_floating_point() else value
    return result


def build_backbone(folder: Path, manifest: Manifest) -> Backbone:
    """Return the backbone of a checkpoint folder with random weights, or inside `unallocated` without any.

    Before that, files are compared with the manifest, and sizes with the shapes of the stored weights.

    Args:
        folder: the checkpoint.
        manifest: of the folder.

    Raises:
        ModelError: this version cannot build it, or a file is damaged.
    """
    check_files(folder, manifest)
    try:
        if manifest.backbone.get("type") == "auto":  # it will be allocated, so its size is checked first
            with torch.device("meta"):
                needed = count_parameters(build(manifest.backbone))
            if needed > sum(math.prod(shape) for shape in model_shapes(folder, manifest).values()):
                raise ModelError(f"{MANIFEST} describes {needed:,} weights, more than {WEIGHTS} has")
        return build(manifest.backbone)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


def verify(folder: Path, manifest: Manifest) -> None:
    """Read the vocabulary and the weights of a checkpoint folder and compare their checksums with the manifest.

    Those of a shared encoder are read as well.

    Raises:
        ModelError: a file is missing, damaged or not listed; or as for `core.model.contents.encoder_of`.
    """
    source, encoder = encoder_of(folder, manifest)
    if source != folder:
        verify(source, encoder)
    for name in (VOCABULARY, WEIGHTS) if (folder / VOCABULARY).exists() else (WEIGHTS,):
        if name not in manifest.files:
            raise ModelError(f"{folder}: {MANIFEST} has no checksum of {name}; train or save the model again")
    reader(folder).verify(manifest.files)
    read_weights(folder)


def load_weights(
    network: nn.Module, folder: Path, manifest: Manifest | None = None, prefix: str = ""
) -> dict[str, Tensor]:
    """Load the weights of a checkpoint folder into a network, which may be on the meta device, in fp32.

    Args:
        network: the network.
        folder: the checkpoint.
        manifest: of the folder; without it the weights are those of the folder, whatever encoder the model shares.
        prefix: load only the weights whose names have this prefix, e.g. `backbone.`.

    Returns:
        The weights without the prefix.

    Raises:
        ModelError: the file is missing or truncated, or its names or shapes are not those of the network; or as for
            `core.model.contents.encoder_of`.
    """
    weights = read_weights(folder, manifest)
    try:
        inside = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
        network.load_state_dict(inside, assign=True)
    except RuntimeError as error:
        path = folder / WEIGHTS
        raise ModelError(f"{path}: the weights do not fit the manifest ({reason(error)})") from None
    return {name: value for name, value in weights.items() if not name.startswith(prefix)}


def read_weights(folder: Path, manifest: Manifest | None = None) -> dict[str, Tensor]:
    """Return the weights of a checkpoint folder in fp32; with its manifest those of a shared encoder, too."""
    stored = contents.OpenWeights(folder) if manifest is None else contents.open_weights(folder, manifest)
    return {name: torch.from_numpy(value) for name, value in stored.items()}


def dequantize(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights in fp32; inverse of `quantize` up to rounding."""
    weights = contents.dequantize({name: value.numpy() for name, value in stored.items()})
    return {name: torch.from_numpy(value) for name, value in weights.items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        ModelError: it is missing, truncated or not a safetensors file.
    """
    with tensor_errors(path):
        reader(path.parent).open(path.name).close()  # fails for a FIFO, which would block
        tensors: dict[str, Tensor] = load_file(path)
    return tensors


def unallocated(backbone: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Return a context in which networks with this backbone are built on the meta device, for `load_weights`.

    Those of transformers are built as usual, as they have buffers that are not in checkpoints.
    """
    return nullcontext() if backbone.get("type") == "auto" else torch.device("meta")
