"""Loading an embedder from a model folder of any kind."""

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from nlpkit.core.model import checkpoint
from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.model.manifest import MANIFEST, find, read_manifest, reader
from nlpkit.core.model.pretrained import load_backbone
from nlpkit.errors import UsageError
from nlpkit.nn.layers.prepack import prepack
from nlpkit.tasks import default_model
from nlpkit.tasks.embed.encoder.components import Components, Role, as_native, weights_fingerprint, with_pooling
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, read_map
from nlpkit.tasks.embed.encoder.tokenize import WindowTokenizer
from nlpkit.tasks.embed.sentence_transformers.reader import MODULES, read_published
from nlpkit.tasks.embed.settings import Pooling
from nlpkit.tasks.embed.static.static import StaticEmbedder


class _Config(TypedDict, total=False):
    """What is read here of the settings of an embedding model."""

    pooling: Pooling
    prompts: dict[str, str]


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
) -> Embedder:
    """Load an embedder by the name of an embedded model, by folder or by hub name.

    Args:
        name: of the model; the default model when None. The folder may be of nlpkit, of sentence-transformers, or of a
            backbone.
        device: as for `core.model.device.pick_device`.
        dtype: as for `core.model.device.pick_dtype`.
        pooling: one of `nn.pooling.POOLINGS`; the model's own when None or `auto`, `mean` if it has none.
        whiten: file of a whitening or projection, `stored` for that in the model's folder, or none.
        dim: number of dimensions to keep: the first ones of the vector, or of the whitening.
        normalize: whether vectors are scaled to unit length; the model's own setting when None, which is no only in
            some sentence-transformers folders.
        prompt: text put before every input: the name of one of the model's prompts, or any text; when None the model's
            prompt for the role, or else its default prompt.
        role: of the texts in retrieval.
        fixed: whether device and precision stay as they are, so that weights may be repacked for them.

    Raises:
        ModelError: there is no such model, it has no embeddings, or the whitening was fitted for another one.
        UsageError: the model has no such pooling, or fewer dimensions.
    """
    name = name or default_model("embed")
    folder = find(name)
    if (folder / MANIFEST).exists() and read_manifest(folder).backbone.get("type") == "static":
        if pooling not in (None, "auto", StaticEmbedder.pooling):
            raise UsageError(f"--pooling {pooling}: {name} is a table of vectors, whose mean it gives")
        if prompt is not None:
            raise UsageError(f"--prompt: {name} is a table of vectors, to which a prompt means nothing")
        static = StaticEmbedder.load(folder, name, normalize=normalize)
        return static.with_postprocessing(read_map(whiten, folder), dim)
    keep_memory()
    torch_device = pick_device(device)
    components = with_pooling(read_components(folder), pooling, name)
    components.backbone.to(torch_device, pick_dtype(dtype, torch_device)).eval()
    components.dense.to(torch_device).eval()
    if fixed:
        prepack(components.backbone)
    if components.pooler is not None:
        components.pooler.to(torch_device)
    postprocessor = Postprocessor(
        truncate_dim=components.truncate_dim, normalize=components.normalize if normalize is None else normalize
    )
    prompt = components.prompt_text(prompt, role)
    embedder = BackboneEmbedder(components, name, weights_fingerprint(folder), torch_device, postprocessor, prompt)
    return embedder.with_postprocessing(read_map(whiten, folder), dim)


def read_components(folder: Path) -> Components:
    """Read the components of an encoder from a folder of nlpkit, of sentence-transformers, or of a backbone.

    Raises:
        ModelError: the folder is none of these, or broken.
    """
    if not (folder / MANIFEST).exists():
        if (folder / MODULES).exists():
            return read_published(folder)
        backbone, tokenizer = load_backbone(str(folder), lambda: ())
        windows = WindowTokenizer(tokenizer, backbone.max_length)
        return Components(windows, as_native(backbone), source=folder, width=backbone.hidden_size)
    manifest = read_manifest(folder)
    with checkpoint.unallocated(manifest.backbone):
        backbone = checkpoint.build_backbone(folder, manifest)
    checkpoint.load_weights(backbone, folder, prefix="backbone.")
    tokenizer = checkpoint.tokenizer_of(folder, manifest)
    max_length = manifest.max_length if manifest.task == "embed" else backbone.max_length
    config: dict[str, Any] = manifest.config if manifest.task == "embed" else {}
    stored = reader(folder).shaped(MANIFEST, config, _Config)
    windows = WindowTokenizer(tokenizer, max_length)
    return Components(
        windows, backbone, (stored.get("pooling", "mean"),), source=folder, width=backbone.hidden_size,
        prompts=stored.get("prompts", {}),
    )  # fmt: skip
