"""Reading and writing of checkpoint folders (see `core.model.manifest`), with safetensors and atomic replacement."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import file_entry, to_json
from nlpkit.core.io.json_shapes import Size
from nlpkit.core.io.output import replacing, replacing_inside, reported
from nlpkit.core.model import Store
from nlpkit.core.model.manifest import MANIFEST, Manifest, reader, reason
from nlpkit.core.text.tokenizer import (
    KINDS,
    VOCABULARY,
    CharTokenizer,
    from_settings,
    read_vocabulary,
    write_vocabulary,
)
from nlpkit.errors import ModelError
from nlpkit.nn.backbones import Backbone, build
from nlpkit.nn.layers.prepack import PrepackedLinear

WEIGHTS, SCALE = "model.safetensors", ".int8_scale"
MAX_LAYERS, MAX_SIZE = 1000, 1 << 24
_LAYERS = {"num_layers", "num_hidden_layers", "n_layers", "n_layer", "encoder_layers", "decoder_layers"}
_SIZES = {"vocab_size", "hidden_size", "intermediate_size", "d_model", "n_embd", "num_segments", "key_size"}
_STORED = (torch.float32, torch.float16)


def save(
    folder: Path,
    manifest: Manifest,
    tokens: Sequence[str],
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
        tokens: the vocabulary.
        weights: the state dict.
        store: precision of the weights on disk; see `quantize`.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with (  # contexts end in reverse order, so the manifest is replaced last
        replacing_inside(folder / MANIFEST) as written,
        replacing_inside(folder / VOCABULARY) as vocabulary,
        replacing_inside(folder / WEIGHTS) as tensors,
    ):
        _write_tensors(quantize(weights, store), tensors)
        write_vocabulary(vocabulary, tokens)
        manifest.files = {VOCABULARY: file_entry(vocabulary), WEIGHTS: file_entry(tensors)}
        written.write_text(to_json(asdict(manifest)), encoding="utf-8")
        (folder / MANIFEST).unlink(missing_ok=True)


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


def dequantize(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights in fp32; inverse of `quantize` up to rounding."""
    result: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            continue
        scale = stored.get(name + SCALE)
        result[name] = value.float() * scale.float() if scale is not None else value
        if value.is_floating_point():
            result[name] = value.float()
    return result


class _TokenizerSettings(TypedDict, total=False):
    kind: str
    lowercase: bool
    normalize: bool


def load_tokenizer(folder: Path, description: Mapping[str, Any], vocab_size: int) -> CharTokenizer:
    """Return the tokenizer of a checkpoint folder.

    Args:
        folder: the checkpoint.
        description: `tokenizer` of the manifest.
        vocab_size: of the backbone.

    Raises:
        ModelError: the vocabulary is missing, or has more tokens than the backbone.
    """
    settings = reader(folder).shaped(MANIFEST, dict(description), _TokenizerSettings)
    if settings.get("kind", "char") not in KINDS:
        raise ModelError(f"{folder}: unknown tokenizer kind {settings['kind'][:40]!r}; a newer nlpkit may know it")
    return check_vocabulary(from_settings(read_vocabulary(folder / VOCABULARY), settings), vocab_size, folder)


def tokenizer_of(folder: Path, manifest: Manifest) -> CharTokenizer:
    """Return the tokenizer of a checkpoint folder without building its backbone.

    A vocabulary whose checksum is in the manifest may be smaller than that of the backbone or have duplicate tokens, as
    some published ones do. Without a checksum these are signs of damage.

    Raises:
        ModelError: as for `load_tokenizer`; or it has fewer tokens than the backbone, or one of them twice.
    """
    config = manifest.backbone.get("config", {}) if manifest.backbone.get("type") == "auto" else manifest.backbone
    size = reader(folder).shaped(MANIFEST, config, _Sized)["vocab_size"]
    tokenizer = load_tokenizer(folder, manifest.tokenizer, size)
    if VOCABULARY in manifest.files:
        return tokenizer
    if tokenizer.vocab_size < size:
        raise ModelError(f"{folder}/{VOCABULARY}: {tokenizer.vocab_size} tokens, but the model has {size}")
    if len(tokenizer.ids) < size:
        twice = next(token for index, token in enumerate(tokenizer.tokens) if tokenizer.ids[token] != index)
        raise ModelError(f"{folder}/{VOCABULARY}: {twice[:40]!r} comes twice; copy or download it again")
    return tokenizer


class _Sized(TypedDict):
    vocab_size: Size


def check_vocabulary(tokenizer: CharTokenizer, vocab_size: int, folder: Path) -> CharTokenizer:
    """Return the tokenizer after checking that the backbone has an embedding for all its ids.

    Raises:
        ModelError: the vocabulary has more tokens than the backbone.
    """
    if tokenizer.vocab_size > vocab_size:
        raise ModelError(f"{folder}/{VOCABULARY}: {tokenizer.vocab_size} tokens, but the model has {vocab_size}")
    return tokenizer


def build_backbone(folder: Path, manifest: Manifest) -> Backbone:
    """Return the backbone of a checkpoint folder with random weights, or inside `unallocated` without any.

    Before that, files are compared with the manifest, and sizes with the shapes of the stored weights.

    Args:
        folder: the checkpoint.
        manifest: of the folder.

    Raises:
        ModelError: this version cannot build it, or a file is damaged.
    """
    reader(folder).check(manifest.files)
    shapes = stored_shapes(folder)
    check_sizes(manifest.backbone, shapes, folder / MANIFEST)
    try:
        if manifest.backbone.get("type") == "auto":  # it will be allocated, so its size is checked first
            with torch.device("meta"):
                needed = count_parameters(build(manifest.backbone))
            if needed > sum(math.prod(shape) for shape in shapes.values()):
                raise ModelError(f"{MANIFEST} describes {needed:,} weights, more than {WEIGHTS} has")
        return build(manifest.backbone)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors in the safetensors files of a folder, by name, from the headers.

    Raises:
        ModelError: a file is broken.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        reader(folder).open(path.name).close()
        with _tensor_errors(path), safe_open(path, "pt") as stream:
            shapes |= {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118
    return shapes


def check_sizes(description: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], source: Path) -> None:
    """Compare the sizes in a configuration with the shapes of the stored tensors.

    A damaged configuration with a billion layers would take hours and all memory to build, even without weights.

    Args:
        description: of a backbone, of nlpkit or transformers; other fields are ignored.
        shapes: of the stored tensors; if empty, sizes are compared with fixed limits.
        source: of the description, for messages.

    Raises:
        ModelError: more layers than tensors, or a size larger than any dimension of a tensor.
    """
    nested = [value for value in description.values() if isinstance(value, dict)]
    max_layers = min(len(shapes), MAX_LAYERS) if shapes else MAX_LAYERS
    max_size = max((size for shape in shapes.values() for size in shape), default=MAX_SIZE)
    for config in (description, *nested):
        for names, limit in ((_LAYERS, max_layers), (_SIZES, max_size)):
            for name in names & config.keys():
                if isinstance(config[name], (int, float)) and not config[name] <= limit:
                    raise ModelError(f"{source}: {name} is {config[name]:,}, more than the weights have ({limit:,})")


def verify(folder: Path, manifest: Manifest) -> None:
    """Read the vocabulary and the weights of a checkpoint folder and compare their checksums with the manifest.

    Raises:
        ModelError: a file is missing, damaged or not listed.
    """
    for name in (VOCABULARY, WEIGHTS):
        if name not in manifest.files:
            raise ModelError(f"{folder}: {MANIFEST} has no checksum of {name}; train or save the model again")
    reader(folder).verify(manifest.files)
    read_weights(folder)


def load_weights(network: nn.Module, folder: Path, prefix: str = "") -> dict[str, Tensor]:
    """Load the weights of a checkpoint folder into a network, which may be on the meta device, in fp32.

    Args:
        network: the network.
        folder: the checkpoint.
        prefix: load only the weights whose names have this prefix, e.g. `backbone.`.

    Returns:
        The weights without the prefix.

    Raises:
        ModelError: the file is missing or truncated, or its names or shapes are not those of the network.
    """
    weights = read_weights(folder)
    try:
        inside = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
        network.load_state_dict(inside, assign=True)
    except RuntimeError as error:
        path = folder / WEIGHTS
        raise ModelError(f"{path}: the weights do not fit the manifest ({reason(error)})") from None
    return {name: value for name, value in weights.items() if not name.startswith(prefix)}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint folder in fp32.

    Raises:
        ModelError: they are missing, truncated, of an unsupported type, or have NaN or infinity.
    """
    path = folder / WEIGHTS
    stored = read_tensors(path)
    for name, value in stored.items():
        is_matrix = value.dtype == torch.int8 and name + SCALE in stored
        if value.dtype not in _STORED and not is_matrix:
            kind = str(value.dtype).removeprefix("torch.")
            raise ModelError(f"{path}: {name} is of type {kind}, which no checkpoint has; copy or download it again")
    try:
        weights = dequantize(stored)
    except RuntimeError as error:
        raise ModelError(f"{path}: broken ({reason(error)}); copy or download it again") from None
    check_finite(weights, path)
    return weights


def check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise ModelError if a weight is NaN or infinite, as the network would silently predict nothing."""
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value.sum()) and not torch.isfinite(value).all():
            raise ModelError(f"{path}: {name} holds NaN or infinity; copy or download it again")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        ModelError: it is missing, truncated or not a safetensors file.
    """
    with _tensor_errors(path):
        reader(path.parent).open(path.name).close()  # fails for a FIFO, which would block
        tensors: dict[str, Tensor] = load_file(path)
    return tensors


@contextmanager
def _tensor_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; the checkpoint is incomplete") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: truncated or not safetensors ({reason(error)}); copy or download it again") from None


def count_parameters(network: nn.Module) -> int:
    """Return the number of weights, including those of prepacked layers, which are not parameters."""
    prepacked = sum(module.size for module in network.modules() if isinstance(module, PrepackedLinear))
    return prepacked + sum(parameter.numel() for parameter in network.parameters())


def unallocated(backbone: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Return a context in which networks with this backbone are built on the meta device, for `load_weights`.

    Those of transformers are built as usual, as they have buffers that are not in checkpoints.
    """
    return nullcontext() if backbone.get("type") == "auto" else torch.device("meta")
