"""The components of an encoder: tokenizer, backbone, pooling and what follows the pooling."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from nlpkit.core.model.pretrained import published_weights
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.backbones.auto import AutoBackbone
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.pooling import POOLINGS
from nlpkit.tasks.embed.encoder.linear_map import STORED
from nlpkit.tasks.embed.encoder.tokenize import SequenceTokenizer

SAMPLE = 1 << 20  # bytes at either end of a weights file that are hashed for the fingerprint

Role = Literal["query", "passage"]
ROLE_PROMPTS: dict[Role, tuple[str, ...]] = {"query": ("query",), "passage": ("passage", "document")}


@dataclass(slots=True)
class Components:
    """The components of an encoder.

    Attributes:
        tokenizer: gives token sequences.
        backbone: encodes them.
        pooling: a name of `nn.pooling.FUNCTIONS`, or several, whose vectors are concatenated.
        normalize: whether vectors are scaled to unit length.
        source: folder of the backbone's weights.
        pooler: linear map of the pooling `pooler`, if that is used.
        dense: layers after the pooling.
        width: dimensions of a raw vector.
        truncate_dim: number of leading dimensions to keep by default; None for all.
        prompts: by name.
        default_prompt: name of a prompt, or None.
        include_prompt: whether the tokens of a prompt are pooled, too.
    """

    tokenizer: SequenceTokenizer
    backbone: Backbone
    pooling: tuple[str, ...] = ("mean",)
    normalize: bool = True
    source: Path = Path()
    pooler: nn.Linear | None = None
    dense: nn.Module = field(default_factory=nn.Identity)
    width: int = 0
    truncate_dim: int | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    include_prompt: bool = True

    def prompt_text(self, name_or_text: str | None, role: Role | None = None) -> str:
        """Return the text of a prompt that is given by its name or as text.

        None is the model's prompt for the role of the texts in retrieval, if it has one, or else its default prompt.
        """
        if name_or_text is None:
            for name in ROLE_PROMPTS[role] if role else ():
                if name in self.prompts:
                    return self.prompts[name]
            return self.prompts.get(self.default_prompt or "", "")
        return self.prompts.get(name_or_text, name_or_text)


def as_native(backbone: Backbone) -> Backbone:
    """Return nlpkit's own, faster BERT with the weights of a transformers BERT; any other backbone unchanged."""
    return (Bert.from_transformers(backbone.model) if isinstance(backbone, AutoBackbone) else None) or backbone


def with_pooling(components: Components, pooling: str | None, name: str) -> Components:
    """Return the components with another pooling.

    Args:
        components: of the model.
        pooling: one of `nn.pooling.POOLINGS`; no change when None or `auto`.
        name: of the model, for messages.

    Raises:
        UsageError: there is no such pooling, or the model has no pooler.
    """
    if pooling is None or pooling == "auto":
        return components
    if pooling not in POOLINGS:
        raise UsageError(f"--pooling {pooling}: one of {', '.join(POOLINGS)}, auto")
    if isinstance(components.dense, nn.Identity):
        components = replace(components, width=components.backbone.hidden_size)
    elif len(components.pooling) > 1:
        raise UsageError(f"--pooling {pooling}: the dense layers of {name} need {'+'.join(components.pooling)}")
    if pooling == "pooler" and components.pooler is None:
        components = replace(components, pooler=_pooler(components.source, components.backbone.hidden_size, name))
    return replace(components, pooling=(pooling,))


def weights_fingerprint(folder: Path) -> str:
    """Return a hash that identifies a model's weights: of the size and both ends of each weights file."""
    digest = hashlib.blake2b(digest_size=8)
    paths = [path for pattern in ("*.safetensors", "*.bin") for path in sorted(folder.rglob(pattern))]
    for path in paths:
        if path.name == STORED or "training" in path.relative_to(folder).parts:
            continue
        size = path.stat().st_size
        with path.open("rb") as stream:
            digest.update(size.to_bytes(8, "little") + stream.read(SAMPLE))
            stream.seek(max(0, size - SAMPLE))
            digest.update(stream.read(SAMPLE))
    return digest.hexdigest()


def _pooler(folder: Path, width: int, name: str) -> nn.Linear:
    """Return the dense layer of a published pooler without its tanh; not all classes of transformers load it."""
    weights = published_weights(folder)
    for key, matrix in weights.items():
        if key.endswith(("pooler.dense.weight", "pooler.weight")) and matrix.shape == (width, width):
            layer = nn.Linear(width, width)
            bias = weights.get(key.removesuffix("weight") + "bias", torch.zeros(width))
            layer.load_state_dict({"weight": matrix, "bias": bias})
            return layer.requires_grad_(False)
    raise UsageError(f"--pooling pooler: {name} has no pooler; take cls, mean or first-last")
