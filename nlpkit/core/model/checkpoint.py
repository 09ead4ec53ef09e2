"""Reading and writing checkpoint folders (see `core.model.manifest`): safetensors only, nothing left half-written."""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from typing_extensions import TypedDict

from nlpkit.core.io.artefacts import FileEntry, file_entry
from nlpkit.core.io.json_shapes import Size
from nlpkit.core.io.output import replacing, replacing_inside, write_error
from nlpkit.core.model import Store
from nlpkit.core.model.manifest import MANIFEST, Manifest, reader, reason, to_json
from nlpkit.core.text.tokenizer import KINDS, VOCABULARY, CharTokenizer, from_settings, read_vocabulary
from nlpkit.errors import ModelError
from nlpkit.nn.backbones import Backbone, build
from nlpkit.nn.layers.prepack import PrepackedLinear

WEIGHTS, SCALE = "model.safetensors", ".int8_scale"
MOST_LAYERS, LARGEST_SIZE = 1000, 1 << 24
_LAYERS = {"num_layers", "num_hidden_layers", "n_layers", "n_layer", "encoder_layers", "decoder_layers"}
_SIZES = {"vocab_size", "hidden_size", "intermediate_size", "d_model", "n_embd", "num_segments", "key_size"}
_STORED = (torch.float32, torch.float16)


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
        manifest: what to write into nlpkit.json; its `files` are filled in.
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
        replacing_inside(folder / MANIFEST) as written,
        replacing_inside(folder / VOCABULARY) as vocabulary,
        replacing_inside(folder / WEIGHTS) as tensors,
    ):
        _write_tensors(packed(weights, store), tensors)
        tokenizer.write_vocabulary(vocabulary)
        manifest.files = {VOCABULARY: file_entry(vocabulary), WEIGHTS: file_entry(tensors)}
        written.write_text(to_json(asdict(manifest)), encoding="utf-8")
        (folder / MANIFEST).unlink(missing_ok=True)


def entries(folder: Path) -> dict[str, FileEntry]:
    """Return what the manifest of a checkpoint folder says of its files."""
    return {name: file_entry(folder / name) for name in (VOCABULARY, WEIGHTS)}


def save_tensors(
    tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None, *, inside: bool = True
) -> None:
    """Write a safetensors file that replaces the old one only when complete; `inside` as for `output.replacing`.

    Raises:
        OutputError: it cannot be written, or the disk is full.
    """
    with (replacing_inside if inside else replacing)(path) as temporary:
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


class _TokenizerSettings(TypedDict, total=False):
    kind: str
    lowercase: bool
    normalize: bool


def load_tokenizer(folder: Path, description: Mapping[str, Any], vocab_size: int) -> CharTokenizer:
    """Return the tokenizer of a checkpoint folder.

    Args:
        folder: holds vocab.txt.
        description: the manifest's.
        vocab_size: of the backbone.

    Raises:
        ModelError: the vocabulary is missing, or has more tokens than the backbone.
    """
    settings = reader(folder).shaped(MANIFEST, dict(description), _TokenizerSettings)
    if settings.get("kind", "char") not in KINDS:
        raise ModelError(f"{folder}: unknown tokenizer kind {settings['kind'][:40]!r}; a newer nlpkit may know it")
    return fitting(from_settings(read_vocabulary(folder / VOCABULARY), settings), vocab_size, folder)


def tokenizer_of(folder: Path, manifest: Manifest) -> CharTokenizer:
    """Return the tokenizer of a checkpoint folder, whose backbone need not be built.

    A vocabulary whose checksum is in the manifest may be shorter than the backbone says, or have a token twice, as some
    published ones; another one has changed.

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


def fitting(tokenizer: CharTokenizer, vocab_size: int, folder: Path) -> CharTokenizer:
    """The tokenizer, if the backbone can embed all its ids.

    Raises:
        ModelError: the vocabulary has more tokens than the backbone.
    """
    if tokenizer.vocab_size > vocab_size:
        raise ModelError(f"{folder}/{VOCABULARY}: {tokenizer.vocab_size} tokens, but the model has {vocab_size}")
    return tokenizer


def build_backbone(folder: Path, manifest: Manifest) -> Backbone:
    """Return the backbone of a checkpoint folder, without weights; inside `unallocated` also without memory.

    The files are compared with the manifest, and the sizes with those of the weights, before anything is built.

    Args:
        folder: the checkpoint.
        manifest: of the folder.

    Raises:
        ModelError: this version cannot build it, or a file is damaged; names the folder.
    """
    reader(folder).check(manifest.files)
    shapes = stored_shapes(folder)
    check_sizes(manifest.backbone, shapes, folder / MANIFEST)
    try:
        if manifest.backbone.get("type") == "auto":  # is built in memory, so what it takes is worked out first
            with torch.device("meta"):
                needed = count_parameters(build(manifest.backbone))
            if needed > sum(math.prod(shape) for shape in shapes.values()):
                raise ModelError(f"{MANIFEST} describes {needed:,} weights, more than {WEIGHTS} has")
        return build(manifest.backbone)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor in the safetensors files of a folder, from their headers; none where it has none.

    Raises:
        ModelError: a file is broken.
    """
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        reader(folder).open(path.name).close()
        with _tensor_errors(path), safe_open(path, "pt") as stream:
            found |= {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118
    return found


def check_sizes(description: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], source: Path) -> None:
    """Compare the sizes that a config gives with those of the stored tensors.

    A network of a billion layers takes hours and all memory to build, also without weights. Where no shapes are known,
    the number of layers alone is limited.

    Args:
        description: of a backbone, ours or as transformers has it; other fields are not looked at.
        shapes: of the stored tensors.
        source: of the description, for the message.

    Raises:
        ModelError: there are more layers than tensors, or a size is larger than any of theirs.
    """
    nested = [value for value in description.values() if isinstance(value, dict)]
    most = min(len(shapes), MOST_LAYERS) if shapes else MOST_LAYERS
    largest = max((size for shape in shapes.values() for size in shape), default=LARGEST_SIZE)
    for config in (description, *nested):
        for names, limit in ((_LAYERS, most), (_SIZES, largest)):
            for name in names & config.keys():
                if isinstance(config[name], (int, float)) and not config[name] <= limit:
                    raise ModelError(f"{source}: {name} is {config[name]:,}, more than the weights have ({limit:,})")


def verify(folder: Path, manifest: Manifest) -> None:
    """Read the vocabulary and the weights of a checkpoint folder and compare their checksums with the manifest.

    Raises:
        ModelError: a file is missing, damaged or not listed; names it.
    """
    for name in (VOCABULARY, WEIGHTS):
        if name not in manifest.files:
            raise ModelError(f"{folder}: {MANIFEST} has no checksum of {name}; train or save the model again")
    reader(folder).verify(manifest.files)
    read_weights(folder)


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
        ModelError: they are missing, truncated, of a type that no checkpoint of ours has, or hold NaN or infinity.
    """
    path = folder / WEIGHTS
    stored = read_tensors(path)
    for name, value in stored.items():
        is_matrix = value.dtype == torch.int8 and name + SCALE in stored
        if value.dtype not in _STORED and not is_matrix:
            kind = str(value.dtype).removeprefix("torch.")
            raise ModelError(f"{path}: {name} is of type {kind}, which no checkpoint has; copy or download it again")
    try:
        weights = unpacked(stored)
    except RuntimeError as error:
        raise ModelError(f"{path}: broken ({reason(error)}); copy or download it again") from None
    check_finite(weights, path)
    return weights


def check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise ModelError where a weight is NaN or infinite; a network of such weights finds nothing, without a word."""
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value.sum()) and not torch.isfinite(value).all():
            raise ModelError(f"{path}: {name} holds NaN or infinity; copy or download it again")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelError: it is missing, truncated or not a safetensors file.
    """
    with _tensor_errors(path):
        reader(path.parent).open(path.name).close()  # a FIFO would be waited for
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
    """The number of weights, those included that were packed for prediction and are no parameters any more."""
    packed = sum(module.size for module in network.modules() if isinstance(module, PrepackedLinear))
    return packed + sum(parameter.numel() for parameter in network.parameters())


def unallocated(backbone: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Inside it networks on this kind of backbone are made without memory or initialisation; `load_weights` fills them.

    Those of transformers are made as usual: they hold buffers that no checkpoint has.
    """
    return nullcontext() if backbone.get("type") == "auto" else torch.device("meta")
