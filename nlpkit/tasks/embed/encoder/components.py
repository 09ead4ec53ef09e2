"""The components of an encoder: tokenizer, backbone, pooling and what follows the pooling."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from nlpkit.core.model.pretrained import published_weights
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.backbones.auto import AutoBackbone
from nlpkit.nn.backbones.bert import Bert
from nlpkit.tasks.embed.encoder.prompts import Role, prompt_text
from nlpkit.tasks.embed.encoder.tokenize import SequenceTokenizer
from nlpkit.tasks.embed.settings import POOLINGS


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
        """Return the text of a prompt; see `encoder.prompts.prompt_text`."""
        return prompt_text(self.prompts, name_or_text, role, self.default_prompt)


def as_native(backbone: Backbone) -> Backbone:
    """Return nlpkit's own, faster BERT with the weights of a transformers BERT; any other backbone unchanged."""
    return (Bert.from_transformers(backbone.model) if isinstance(backbone, AutoBackbone) else None) or backbone


def with_pooling(components: Components, pooling: str | None, name: str) -> Components:
    """Return the components with another pooling.

    Args:
        components: of the model.
        pooling: one of `settings.POOLINGS`; no change when None or `auto`.
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
