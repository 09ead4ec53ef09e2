"""What a model folder holds, whoever wrote it: tokenizer, backbone, pooling and what follows it."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import MANIFEST, read_manifest
from nlpkit.core.model.pretrained import load_backbone, published_weights
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.backbones.auto import AutoBackbone
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.pooling import POOLINGS
from nlpkit.tasks.embed.encoder.tokenize import CharUnits, Units
from nlpkit.tasks.embed.whitening.whitening import STORED

SAMPLE = 1 << 20  # bytes at either end of a weights file that its fingerprint takes in
MODULES = "modules.json"  # what makes a folder one of sentence-transformers


@dataclass(slots=True)
class Parts:
    """What a model folder holds.

    Attributes:
        units: tokenizes.
        backbone: encodes.
        pooling: a name of `nn.pooling.FUNCTIONS`, or several of them whose vectors are joined.
        normalise: whether the vectors get unit length.
        source: where the backbone's weights lie.
        pooler: the linear map of `pooler`, read from there when that is asked for.
        dense: further layers behind the pooling.
        width: dimensions of the raw vectors.
        keep: the first dimensions to keep by default; all when None.
        prompts: by name.
        default_prompt: the name of one, or None.
        counts_prompt: whether the units of a prompt count in the pooling.
    """

    units: Units
    backbone: Backbone
    pooling: tuple[str, ...] = ("mean",)
    normalise: bool = True
    source: Path = Path()
    pooler: nn.Linear | None = None
    dense: nn.Module = field(default_factory=nn.Identity)
    width: int = 0
    keep: int | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    counts_prompt: bool = True

    def prompt(self, given: str | None) -> str:
        """The text of a prompt given by its name or as itself; of the default one when None."""
        return self.prompts.get(self.default_prompt or "", "") if given is None else self.prompts.get(given, given)


def read_parts(folder: Path) -> Parts:
    """What a folder holds: one of ours, of sentence-transformers, or a backbone alone.

    Raises:
        ModelError: none of these, or a broken one.
    """
    if not (folder / MANIFEST).exists() and (folder / MODULES).exists():
        from nlpkit.tasks.embed.sentence_transformers.reader import read_published

        return read_published(folder)
    if not (folder / MANIFEST).exists():
        backbone, tokenizer = load_backbone(str(folder), lambda: ())
        units = CharUnits(tokenizer, backbone.max_length)
        return Parts(units, faster(backbone), source=folder, width=backbone.hidden_size)
    manifest = read_manifest(folder)
    with checkpoint.unallocated(manifest.backbone):
        backbone = checkpoint.build_backbone(folder, manifest)
    checkpoint.load_weights(backbone, folder, prefix="backbone.")
    tokenizer = checkpoint.tokenizer_of(folder, manifest)
    longest = manifest.max_length if manifest.task == "embed" else backbone.max_length
    pooling = manifest.config.get("pooling", "mean") if manifest.task == "embed" else "mean"
    return Parts(CharUnits(tokenizer, longest), backbone, (pooling,), source=folder, width=backbone.hidden_size)


def faster(backbone: Backbone) -> Backbone:
    """The same encoder as our own BERT where it is one."""
    return (Bert.from_transformers(backbone.model) if isinstance(backbone, AutoBackbone) else None) or backbone


def with_pooling(parts: Parts, pooling: str | None, name: str) -> Parts:
    """The parts with another pooling.

    Raises:
        UsageError: there is no such pooling, or the model has no pooler.
    """
    if pooling is None or pooling == "auto":
        return parts
    if pooling not in POOLINGS:
        raise UsageError(f"--pooling {pooling}: one of {', '.join(POOLINGS)}, auto")
    if isinstance(parts.dense, nn.Identity):
        parts = replace(parts, width=parts.backbone.hidden_size)
    elif len(parts.pooling) > 1:
        raise UsageError(f"--pooling {pooling}: the dense layers of {name} need {'+'.join(parts.pooling)}")
    if pooling == "pooler" and parts.pooler is None:
        parts = replace(parts, pooler=_pooler(parts.source, parts.backbone.hidden_size, name))
    return replace(parts, pooling=(pooling,))


def fingerprint(folder: Path) -> str:
    """What tells a model from another one, wherever it lies: of each weights file the size and both ends, hashed."""
    found = hashlib.blake2b(digest_size=8)
    paths = [path for pattern in ("*.safetensors", "*.bin") for path in sorted(folder.rglob(pattern))]
    for path in paths:
        if path.name == STORED or "training" in path.relative_to(folder).parts:
            continue
        size = path.stat().st_size
        with path.open("rb") as stream:
            found.update(size.to_bytes(8, "little") + stream.read(SAMPLE))
            stream.seek(max(0, size - SAMPLE))
            found.update(stream.read(SAMPLE))
    return found.hexdigest()


def _pooler(folder: Path, width: int, name: str) -> nn.Linear:
    """The dense layer of a published pooler without its tanh, which transformers puts in, or does not load at all."""
    weights = published_weights(folder)
    for key, matrix in weights.items():
        if key.endswith(("pooler.dense.weight", "pooler.weight")) and matrix.shape == (width, width):
            layer = nn.Linear(width, width)
            bias = weights.get(key.removesuffix("weight") + "bias", torch.zeros(width))
            layer.load_state_dict({"weight": matrix, "bias": bias})
            return layer.requires_grad_(False)
    raise UsageError(f"--pooling pooler: {name} has no pooler; take cls, mean or first-last")
