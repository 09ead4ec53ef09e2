"""Loading an embedder from a model folder of any kind."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from nlpkit.core.model import contents
from nlpkit.core.model.loading import check, int8_loss, load_encoder, open_weights
from nlpkit.core.model.manifest import MANIFEST, Manifest, find, read_manifest, reader
from nlpkit.core.onnx.choice import OnnxDtype, onnx_dtype
from nlpkit.core.onnx.published import native
from nlpkit.errors import UsageError
from nlpkit.nn.configs import read_config
from nlpkit.tasks import default_model
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.fingerprint import weights_fingerprint
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, read_map
from nlpkit.tasks.embed.encoder.prompts import Role, prompt_text
from nlpkit.tasks.embed.encoder.tokenize import WindowTokenizer
from nlpkit.tasks.embed.settings import POOLINGS, Pooling

if TYPE_CHECKING:  # it imports torch
    from nlpkit.tasks.embed.encoder.components import Components


class _Config(TypedDict, total=False):
    """What is read here of the settings of an embedding model."""

    pooling: Pooling
    prompts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Request:
    """The arguments of `load` that every kind of embedder has."""

    name: str
    folder: Path
    pooling: str | None
    normalize: bool | None
    prompt: str | None
    role: Role | None


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    pooling: str | None = None,
    whiten: str | None = None,
    dim: int | None = None,
    *,
    normalize: bool | None = None,
    prompt: str | None = None,
    role: Role | None = None,
    fixed: bool = True,
    runtime: str = "auto",
) -> Embedder:
    """Load an embedder by the name of an embedded model, by folder or by hub name.

    Args:
        name: of the model; the default model when None. The folder may be of nlpkit, of sentence-transformers, or of a
            backbone.
        device: as for `core.model.device.pick_device`.
        dtype: as for `core.model.device.pick_dtype`.
        pooling: one of `settings.POOLINGS`; the model's own when None or `auto`, `mean` if it has none.
        whiten: file of a whitening or projection, `stored` for that in the model's folder, or none.
        dim: number of dimensions to keep: the first ones of the vector, or of the whitening.
        normalize: whether vectors are scaled to unit length; the model's own setting when None, which is no only in
            some sentence-transformers folders.
        prompt: text put before every input: the name of one of the model's prompts, or any text; when None the model's
            prompt for the role, or else its default prompt.
        role: of the texts in retrieval.
        fixed: whether device and precision stay as they are; if not, the encoder is a module of torch whose weights are
            not repacked.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.

    Raises:
        ModelError: there is no such model, it has no embeddings, or the whitening was fitted for another one.
        UsageError: the model has no such pooling, or fewer dimensions.
    """
    name = name or default_model("embed")
    folder = find(name)
    if pooling not in (None, "auto", *POOLINGS):
        raise UsageError(f"--pooling {pooling}: one of {', '.join(POOLINGS)}, auto")
    request = _Request(name, folder, pooling, normalize, prompt, role)
    manifest = read_manifest(folder) if (folder / MANIFEST).exists() else None
    if runtime != "onnx" and manifest is not None and manifest.backbone.get("type") == "static":
        embedder: Embedder = _static(request)
    elif manifest is not None and fixed and (found := _onnx_dtype(request, manifest, device, dtype, runtime)):
        embedder = _onnx(request, manifest, int8=found == "int8")
    elif runtime == "onnx":
        raise UsageError(f"--runtime onnx: {name} has no ONNX graph; leave it out")
    else:
        embedder = _torch(request, device, dtype, fixed)
    return embedder.with_postprocessing(read_map(whiten, folder), dim)


def _static(request: _Request) -> Embedder:
    from nlpkit.tasks.embed.static.static import StaticEmbedder

    if request.pooling not in (None, "auto", StaticEmbedder.pooling):
        raise UsageError(f"--pooling {request.pooling}: {request.name} is a table of vectors, whose mean it gives")
    if request.prompt is not None:
        raise UsageError(f"--prompt: {request.name} is a table of vectors, to which a prompt means nothing")
    return StaticEmbedder.load(request.folder, request.name, normalize=request.normalize)


def _onnx_dtype(request: _Request, manifest: Manifest, device: str, dtype: str, runtime: str) -> OnnxDtype | None:
    """Return the precision in which a model of nlpkit computes in ONNX Runtime, or None if it does in torch."""
    pooling = request.pooling or _config(request.folder, manifest).get("pooling")
    if pooling == "pooler" and runtime == "auto":  # its matrix is not in the checkpoint
        return None
    return onnx_dtype(runtime, device, dtype, native(manifest.backbone), int8_loss(request.folder, manifest))


def _onnx(request: _Request, manifest: Manifest, *, int8: bool) -> Embedder:
    from nlpkit.tasks.embed.encoder.onnx_embedder import LAYERS, OnnxEmbedder

    folder, config = request.folder, _config(request.folder, manifest)
    own = config.get("pooling", "mean")
    pooling = own if request.pooling in (None, "auto") else request.pooling
    if pooling not in LAYERS:
        raise UsageError(f"--pooling {pooling}: with ONNX Runtime one of {', '.join(LAYERS)}; pass --runtime torch")
    check(folder, manifest)
    tokenizer = contents.tokenizer_of(folder, manifest)
    encoder = load_encoder(folder, manifest, open_weights(folder, manifest), LAYERS[pooling], int8=int8)
    sizes = read_config(native(manifest.backbone))
    windows = WindowTokenizer(tokenizer, _max_length(manifest, sizes.max_length))
    postprocessor = Postprocessor(normalize=request.normalize is not False)
    width, fingerprint = sizes.hidden_size, weights_fingerprint(folder)
    prompt = prompt_text(config.get("prompts", {}), request.prompt, request.role)
    return OnnxEmbedder(windows, encoder, pooling, width, request.name, fingerprint, postprocessor, prompt)


def _torch(request: _Request, device: str, dtype: str, fixed: bool) -> Embedder:
    from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
    from nlpkit.nn.layers.prepack import prepack
    from nlpkit.tasks.embed.encoder.components import with_pooling
    from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder

    keep_memory()
    torch_device = pick_device(device)
    components = with_pooling(read_components(request.folder), request.pooling, request.name)
    components.backbone.to(torch_device, pick_dtype(dtype, torch_device)).eval()
    components.dense.to(torch_device).eval()
    if fixed:
        prepack(components.backbone)
    if components.pooler is not None:
        components.pooler.to(torch_device)
    normalize = components.normalize if request.normalize is None else request.normalize
    postprocessor = Postprocessor(truncate_dim=components.truncate_dim, normalize=normalize)
    prompt = components.prompt_text(request.prompt, request.role)
    fingerprint = weights_fingerprint(request.folder)
    return BackboneEmbedder(components, request.name, fingerprint, torch_device, postprocessor, prompt)


def read_components(folder: Path) -> "Components":
    """Read the components of an encoder from a folder of nlpkit, of sentence-transformers, or of a backbone.

    Raises:
        ModelError: the folder is none of these, or broken.
    """
    from nlpkit.core.model import checkpoint
    from nlpkit.core.model.pretrained import load_backbone
    from nlpkit.tasks.embed.encoder.components import Components, as_native
    from nlpkit.tasks.embed.sentence_transformers.reader import MODULES, read_published

    if not (folder / MANIFEST).exists():
        if (folder / MODULES).exists():
            return read_published(folder)
        backbone, tokenizer = load_backbone(str(folder), lambda: ())
        windows = WindowTokenizer(tokenizer, backbone.max_length)
        return Components(windows, as_native(backbone), source=folder, width=backbone.hidden_size)
    manifest = read_manifest(folder)
    with checkpoint.unallocated(manifest.backbone):
        backbone = checkpoint.build_backbone(folder, manifest)
    checkpoint.load_weights(backbone, folder, manifest, prefix="backbone.")
    tokenizer = contents.tokenizer_of(folder, manifest)
    windows = WindowTokenizer(tokenizer, _max_length(manifest, backbone.max_length))
    config, width = _config(folder, manifest), backbone.hidden_size
    pooling, prompts = config.get("pooling", "mean"), config.get("prompts", {})
    return Components(windows, backbone, (pooling,), source=folder, width=width, prompts=prompts)


def _config(folder: Path, manifest: Manifest) -> _Config:
    config: dict[str, Any] = manifest.config if manifest.task == "embed" else {}
    return reader(folder).shaped(MANIFEST, config, _Config)


def _max_length(manifest: Manifest, longest: int) -> int:
    """Return the longest sequence of a model of nlpkit, whose backbone reads `longest` tokens."""
    return manifest.max_length if manifest.task == "embed" else longest
