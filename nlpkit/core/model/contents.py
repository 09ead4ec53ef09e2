"""The files of a checkpoint folder (see `core.model.manifest`) without torch: the tokenizer, and weights in numpy."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from typing_extensions import TypedDict

from nlpkit.core.io.json_shapes import Size
from nlpkit.core.model.manifest import EMBEDDED, MANIFEST, Manifest, embedded_names, read_manifest, reader, reason
from nlpkit.core.text.tokenizer import KINDS, VOCABULARY, CharTokenizer, from_settings, read_vocabulary
from nlpkit.errors import ModelError

WEIGHTS, SCALE, BACKBONE = "model.safetensors", ".int8_scale", "backbone."
MAX_LAYERS, MAX_SIZE = 1000, 1 << 24
_LAYERS = {"num_layers", "num_hidden_layers", "n_layers", "n_layer", "encoder_layers", "decoder_layers"}
_SIZES = {"vocab_size", "hidden_size", "intermediate_size", "d_model", "n_embd", "num_segments", "key_size"}


class _TokenizerSettings(TypedDict, total=False):
    kind: str
    lowercase: bool
    normalize: bool


def encoder_of(folder: Path, manifest: Manifest) -> tuple[Path, Manifest]:
    """Return the folder and the manifest of the model whose encoder and vocabulary a model uses, by default itself.

    Raises:
        ModelError: it uses those of a model that is not embedded, or has other weights than those it was trained on.
    """
    if manifest.encoder is None:
        return folder, manifest
    name = " ".join(manifest.encoder.model[:40].split())
    cure = f"install nlpkit {manifest.version}, or train the model again"
    if manifest.encoder.model not in embedded_names():
        raise ModelError(f"{folder}: uses the encoder of {name}, which is not an embedded model; {cure}")
    other = read_manifest(EMBEDDED / name)
    weights = other.files.get(WEIGHTS)
    if weights is None or weights.sha256 != manifest.encoder.sha256:
        raise ModelError(f"{folder}: was trained on another encoder than that of the embedded {name}; {cure}")
    return EMBEDDED / name, other


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
        ModelError: as for `load_tokenizer` and `encoder_of`; or it has fewer tokens than the backbone, or one of them
            twice.
    """
    folder, manifest = encoder_of(folder, manifest)
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


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare the files of a checkpoint folder with its manifest, and its sizes with the shapes of the stored weights.

    Raises:
        ModelError: a file is damaged, or does not fit; or as for `encoder_of`.
    """
    reader(folder).check(manifest.files)
    source, encoder = encoder_of(folder, manifest)
    if source != folder:
        reader(source).check(encoder.files)
    check_sizes(manifest.backbone, model_shapes(folder, manifest), folder / MANIFEST)


def model_shapes(folder: Path, manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors of a model by name, those of a shared encoder included.

    Raises:
        ModelError: a file is broken; or as for `encoder_of`.
    """
    source, _ = encoder_of(folder, manifest)
    if source == folder:
        return stored_shapes(folder)
    shared = {name: shape for name, shape in stored_shapes(source).items() if name.startswith(BACKBONE)}
    return stored_shapes(folder) | shared


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors in the safetensors files of a folder, by name, from the headers.

    Raises:
        ModelError: a file is broken.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        reader(folder).open(path.name).close()
        with tensor_errors(path), safe_open(path, "np") as stream:
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


class OpenWeights(Mapping[str, NDArray[Any]]):
    """The weights of a checkpoint folder in fp32, by name; a weight is read from the file on access.

    Args:
        folder: the checkpoint.

    Raises:
        ModelError: the file is missing, truncated, or has a type that no checkpoint has.
    """

    def __init__(self, folder: Path):
        self.path = folder / WEIGHTS
        with tensor_errors(self.path):
            reader(folder).open(WEIGHTS).close()  # fails for a FIFO, which would block
            file: Any = safe_open(self.path, "np")
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        for name, kind in kinds.items():
            if kind not in ("F32", "F16") and not (kind == "I8" and name + SCALE in kinds):
                raise ModelError(
                    f"{self.path}: {name} is of type {_dtype(kind)}, which no checkpoint has; copy or download it again"
                )
        self._file, self._stored = file, kinds.keys()
        self._names = [name for name in kinds if not name.endswith(SCALE)]

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a weight.

        Raises:
            KeyError: there is none of this name.
            ModelError: it is damaged, or holds NaN or infinity.
        """
        if name not in self._stored:
            raise KeyError(name)
        stored = {n: self._file.get_tensor(n) for n in (name, name + SCALE) if n in self._stored}
        try:
            weights = dequantize(stored)
        except ValueError as error:
            raise ModelError(f"{self.path}: broken ({reason(error)}); copy or download it again") from None
        check_finite(weights, self.path)
        return weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def open_weights(folder: Path, manifest: Manifest) -> Mapping[str, NDArray[Any]]:
    """Return the weights of a model in fp32, by name, those of a shared encoder included.

    Raises:
        ModelError: as for `OpenWeights` and `encoder_of`.
    """
    source, _ = encoder_of(folder, manifest)
    return OpenWeights(folder) if source == folder else _SharedWeights(OpenWeights(folder), OpenWeights(source))


class _SharedWeights(Mapping[str, NDArray[Any]]):
    """The weights of a model whose backbone is that of another."""

    def __init__(self, own: OpenWeights, other: OpenWeights):
        shared = {name: other for name in other if name.startswith(BACKBONE)}
        self._places = {**dict.fromkeys(own, own), **shared}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._places[name][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _dtype(kind: str) -> str:
    """Return the name in numpy of a type of safetensors, such as F64 or BF16."""
    letters = kind.rstrip("0123456789")
    names = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint", "C": "complex"}
    return names.get(letters, letters) + kind[len(letters) :]


def dequantize(stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the weights in fp32; inverse of `core.model.checkpoint.quantize` up to rounding."""
    result: dict[str, NDArray[Any]] = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            continue
        scale = stored.get(name + SCALE)
        if scale is not None:
            result[name] = value.astype(np.float32) * scale.astype(np.float32)
        else:
            result[name] = value.astype(np.float32) if np.issubdtype(value.dtype, np.floating) else value
    return result


def check_finite(weights: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Raise ModelError if a weight is NaN or infinite, as the network would silently predict nothing."""
    for name, value in weights.items():
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = np.issubdtype(value.dtype, np.floating) and not np.isfinite(value.sum())
        if suspicious and not np.isfinite(value).all():
            raise ModelError(f"{path}: {name} holds NaN or infinity; copy or download it again")


@contextmanager
def tensor_errors(path: Path) -> Iterator[None]:
    """Turn the errors of reading a safetensors file into ModelErrors."""
    try:
        yield
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; the checkpoint is incomplete") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: truncated or not safetensors ({reason(error)}); copy or download it again") from None
