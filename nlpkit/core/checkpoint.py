"""Reading and writing checkpoint folders (see `core.manifest`): safetensors only, nothing left half-written."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nlpkit.core.files import replacing, write_error
from nlpkit.core.manifest import MANIFEST, Manifest, reason, to_json
from nlpkit.core.tokenizer import KINDS, VOCABULARY, CharTokenizer, from_settings, read_vocabulary
from nlpkit.errors import ModelError
from nlpkit.nn.backbones import Backbone, build
from nlpkit.nn.packed import PackedLinear

WEIGHTS, SCALE = "model.safetensors", ".int8_scale"
Store = Literal["fp32", "fp16", "int8"]


def save(
    folder: Path,
    manifest: Manifest,
    tokenizer: CharTokenizer,
    weights: Mapping[str, Tensor],
    store: Store = "fp32",
) -> None:
    """Writes a checkpoint folder.

    Everything is written beside the old files first and takes their place at the end, the manifest last, so a full disk
    or a kill leaves the old checkpoint. Only in the instant of the exchange a kill leaves a folder without a manifest,
    which is refused by name; it never leaves a mixture.

    Args:
        folder: made if missing.
        manifest: what to write into nlpkit.json.
        tokenizer: its vocabulary is written.
        weights: the state dict.
        store: precision of the weights on disk; see `packed`.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, str(folder)) from error
    with (  # left from the last to the first, so the manifest comes last
        replacing(folder / MANIFEST) as described,
        replacing(folder / VOCABULARY) as vocabulary,
        replacing(folder / WEIGHTS) as tensors,
    ):
        _write_tensors(packed(weights, store), tensors)
        tokenizer.write_vocabulary(vocabulary)
        described.write_text(to_json(asdict(manifest)), encoding="utf-8")
        (folder / MANIFEST).unlink(missing_ok=True)


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """A safetensors file that replaces the old one only when complete.

    Raises:
        OutputError: it cannot be written, or the disk is full.
    """
    with replacing(path) as temporary:
        _write_tensors(tensors, temporary, metadata)


def _write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"} | (metadata or {}))
    except SafetensorError as error:  # so it calls a full disk
        raise OSError(reason(error)) from error


def packed(weights: Mapping[str, Tensor], store: Store) -> dict[str, Tensor]:
    """Weights as they go to disk: as they are, in half precision, or matrices in int8 with an fp16 scale per row."""
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


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in fp32 from what `packed` made."""
    result: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            continue
        scale = stored.get(name + SCALE)
        result[name] = value.float() * scale.float() if scale is not None else value
        if value.is_floating_point():
            result[name] = value.float()
    return result


def load_tokenizer(folder: Path, description: Mapping[str, Any], vocab_size: int) -> CharTokenizer:
    """The tokenizer of a checkpoint folder.

    Args:
        folder: holds vocab.txt.
        description: the manifest's.
        vocab_size: of the backbone.

    Raises:
        ModelError: the vocabulary is missing, or has more tokens than the backbone.
    """
    if str(description.get("kind", "char")) not in KINDS:
        raise ModelError(f"{folder}: unknown tokenizer kind {description['kind']!r}; a newer nlpkit may know it")
    return fitting(from_settings(read_vocabulary(folder / VOCABULARY), description), vocab_size, folder)


def fitting(tokenizer: CharTokenizer, vocab_size: int, folder: Path) -> CharTokenizer:
    """The tokenizer, if the backbone can embed all its ids.

    Raises:
        ModelError: the vocabulary has more tokens than the backbone.
    """
    if tokenizer.vocab_size > vocab_size:
        raise ModelError(f"{folder}/{VOCABULARY}: {tokenizer.vocab_size} tokens, but the model has {vocab_size}")
    return tokenizer


def build_backbone(folder: Path, description: dict[str, Any]) -> Backbone:
    """Return the backbone of a checkpoint folder, without weights; inside `unallocated` also without memory.

    Args:
        folder: the checkpoint.
        description: of its manifest.

    Raises:
        ModelError: this version cannot build it; names the folder.
    """
    try:
        return build(description)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


def load_weights(network: nn.Module, folder: Path, prefix: str = "") -> dict[str, Tensor]:
    """Fills a network (also one on the meta device) from a checkpoint folder, as fp32.

    Args:
        network: what to fill.
        folder: the checkpoint.
        prefix: take only the weights under this name, e.g. `backbone.`.

    Returns:
        The weights that stand outside the prefix.

    Raises:
        ModelError: the file is missing or truncated, or its names or shapes are not the network's.
    """
    path = folder / WEIGHTS
    stored = read_tensors(path)
    try:
        weights = unpacked(stored)
        inside = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
        network.load_state_dict(inside, assign=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: the weights do not fit the manifest ({reason(error)})") from None
    return {name: value for name, value in weights.items() if not name.startswith(prefix)}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelError: it is missing, truncated or not a safetensors file.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; the checkpoint is incomplete") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: truncated or not safetensors ({reason(error)}); copy or download it again") from None
    return tensors


def count_parameters(network: nn.Module) -> int:
    """The number of weights, those included that were packed for prediction and are no parameters any more."""
    packed = sum(module.size for module in network.modules() if isinstance(module, PackedLinear))
    return packed + sum(parameter.numel() for parameter in network.parameters())


def unallocated(backbone: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Inside it networks on this kind of backbone are made without memory or initialisation; `load_weights` fills them.

    Those of transformers are made as usual: they hold buffers that no checkpoint has.
    """
    return nullcontext() if backbone.get("type") == "auto" else torch.device("meta")
