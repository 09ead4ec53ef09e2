"""BERT as transformers has it, for inference: joined q, k and v, packed products, the last layer for [CLS] alone.

Weights come from a loaded `BertModel` by the declared map of names; `{}` is the layer, `[k]` the k-th part of a joined
matrix.
"""

from typing import Any

import torch
from torch import Tensor, nn

from nlpkit.nn.attention import attend
from nlpkit.nn.packed import ACTIVATIONS, ActivatedLinear

NAMES = {
    "embeddings.word_embeddings": "embeddings",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "segments",
    "embeddings.LayerNorm": "norm",
    "encoder.layer.{}.attention.self.query": "layers.{}.qkv[0]",
    "encoder.layer.{}.attention.self.key": "layers.{}.qkv[1]",
    "encoder.layer.{}.attention.self.value": "layers.{}.qkv[2]",
    "encoder.layer.{}.attention.output.dense": "layers.{}.out",
    "encoder.layer.{}.attention.output.LayerNorm": "layers.{}.attention_norm",
    "encoder.layer.{}.intermediate.dense": "layers.{}.inner",
    "encoder.layer.{}.output.dense": "layers.{}.outer",
    "encoder.layer.{}.output.LayerNorm": "layers.{}.norm",
}


class BertLayer(nn.Module):
    """Attention and a feed-forward network, each followed by residual and norm."""

    def __init__(self, width: int, heads: int, inner: int, activation: str, eps: float):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = ActivatedLinear(width, inner, activation), nn.Linear(inner, width)
        self.attention_norm, self.norm = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)

    def forward(self, x: Tensor, mask: Tensor | None, first: bool = False) -> Tensor:
        """X [b, s, d]; mask [b, 1, 1, s]; the result [b, s, d], or [b, 1, d] for the first unit of each row alone."""
        b, s, d = x.shape
        query, key, value = self.qkv(x).view(b, s, 3, self.heads, -1).unbind(2)
        if first:
            query, x = query[:, :1], x[:, :1]
        attended = attend(query, key, value, mask).reshape(b, -1, d)
        x = self.attention_norm(x + self.out(attended))
        result: Tensor = self.norm(x + self.outer(self.inner(x)))
        return result


class Bert(nn.Module):
    """The encoder; it is not trained, and describes itself by no manifest.

    Args:
        config: of the transformers model.
    """

    def __init__(self, config: Any):
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.hidden_size: int = width
        self.max_length: int = config.max_position_embeddings
        self.embeddings = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.max_position_embeddings, width)
        self.segments = nn.Embedding(config.type_vocab_size, width)
        self.norm = nn.LayerNorm(width, eps)
        sizes = (width, config.num_attention_heads, config.intermediate_size, config.hidden_act, eps)
        self.layers = nn.ModuleList([BertLayer(*sizes) for _ in range(config.num_hidden_layers)])

    @classmethod
    def like(cls, model: nn.Module) -> "Bert | None":
        """The same encoder as a transformers model; None where that is no plain BERT."""
        config: Any = model.config
        odd = any(getattr(config, name, False) for name in ("is_decoder", "add_cross_attention"))
        absolute = getattr(config, "position_embedding_type", None) in (None, "absolute")
        if config.model_type != "bert" or odd or not absolute or config.hidden_act not in ACTIVATIONS:
            return None
        with torch.device("meta"):
            made = cls(config)
        given = model.state_dict()
        parts: dict[str, list[Tensor]] = {}
        for theirs, ours in NAMES.items():
            for layer in range(config.num_hidden_layers if "{}" in theirs else 1):
                for kind in ("weight", "bias"):
                    value = given.get(f"{theirs.format(layer)}.{kind}")
                    if value is not None:
                        parts.setdefault(f"{ours.format(layer).partition('[')[0]}.{kind}", []).append(value)
        made.load_state_dict({name: torch.cat(values) for name, values in parts.items()}, assign=True)
        return made

    def hidden_states(self, input_ids: Tensor, mask: Tensor | None) -> list[Tensor]:
        """See `Backbone`."""
        states = [self._embed(input_ids)]
        mask = _for_keys(mask)
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        return states

    def forward(self, input_ids: Tensor, mask: Tensor | None) -> Tensor:
        """See `Backbone`."""
        return self.hidden_states(input_ids, mask)[-1]

    def first(self, input_ids: Tensor, mask: Tensor | None) -> Tensor:
        """The last hidden state [b, d] of each row's first unit: most of the last layer is not computed."""
        x, mask = self._embed(input_ids), _for_keys(mask)
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        result: Tensor = self.layers[-1](x, mask, first=True)
        return result[:, 0]

    def _embed(self, input_ids: Tensor) -> Tensor:
        places = self.positions.weight[: input_ids.shape[1]] + self.segments.weight[0]
        x: Tensor = self.norm(self.embeddings(input_ids) + places)
        return x


def _for_keys(mask: Tensor | None) -> Tensor | None:
    """[b, s] as [b, 1, 1, s]."""
    return None if mask is None else mask[:, None, None, :]
