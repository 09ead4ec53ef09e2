"""RoFormerV2 (kexue.fm 8998): post-norm, no bias anywhere, RMS norm without gain, RoPE on interleaved pairs."""

import re
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlpkit.nn.backbones.base import Backbone
from nlpkit.nn.rope import rotary_angles, rotate, split_order


@dataclass(frozen=True, slots=True)
class RoFormerV2Config:
    """Sizes and switches; the defaults are those of the published small model except for its vocabulary."""

    vocab_size: int
    hidden_size: int = 384
    num_layers: int = 6
    num_heads: int = 6
    intermediate_size: int = 1536
    activation: str = "relu"
    dropout: float = 0.1
    max_length: int = 512
    num_segments: int = 2
    norm_eps: float = 1e-12


def rms_norm(x: Tensor, eps: float) -> Tensor:
    """X / √(mean x² + ε) over the last dimension, without a gain."""
    return F.rms_norm(x, (x.shape[-1],), eps=eps)


class Attention(nn.Module):
    """Multi-head self-attention with RoPE; q, k and v come from one product, q and k in split order."""

    def __init__(self, config: RoFormerV2Config):
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.out = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        """X [b, s, d]; mask [b, 1, 1 or s, s], True where attention is allowed, or None; angles [s, h/2]."""
        b, s, d = x.shape
        query, key, value = self.qkv(x).view(b, s, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(attended.transpose(1, 2).reshape(b, s, d))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention and a feed-forward network, each followed by residual and norm."""

    def __init__(self, config: RoFormerV2Config):
        super().__init__()
        self.attention = Attention(config)
        self.inner = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.outer = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.activation = getattr(F, config.activation)
        self.dropout = nn.Dropout(config.dropout)
        self.eps = config.norm_eps

    def forward(self, x: Tensor, mask: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        """As `Attention.forward`."""
        x = rms_norm(x + self.dropout(self.attention(x, mask, cos, sin)), self.eps)
        return rms_norm(x + self.dropout(self.outer(self.activation(self.inner(x)))), self.eps)


class RoFormerV2(Backbone):
    """The encoder. `forward` gives the last hidden states, `hidden_states` those of every layer."""

    def __init__(self, config: RoFormerV2Config):
        super().__init__()
        self.config = config
        self.hidden_size, self.max_length = config.hidden_size, config.max_length
        self.embeddings = _embedding(config.vocab_size, config.hidden_size)
        self.segments = _embedding(config.num_segments, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.num_layers)])
        self._initialise()

    def _initialise(self) -> None:
        """Published initialisation: truncated normal of (1/√d), shrunk by 1/√layers (DeepNorm in spirit)."""
        deviation = 1.13684723 / (self.config.hidden_size * self.config.num_layers) ** 0.5
        for parameter in self.parameters():
            if parameter.is_meta:  # to be loaded, not trained
                return
            nn.init.trunc_normal_(parameter, std=deviation, a=-2 * deviation, b=2 * deviation)

    def describe(self) -> dict[str, Any]:
        """See `Backbone`."""
        return {"type": "roformer_v2", **asdict(self.config)}

    def hidden_states(self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None = None) -> list[Tensor]:
        """The embedding output and the output of every layer, each [b, s, d]; arguments as in `Backbone.forward`."""
        segments = self.segments.weight[0] if segment_ids is None else self.segments(segment_ids)
        x = self.dropout(rms_norm(self.embeddings(input_ids) + segments, self.config.norm_eps))
        if mask is not None:
            mask = mask[:, None, None, :] if mask.dim() == 2 else mask[:, None]
        head_size = self.hidden_size // self.config.num_heads
        cos, sin = rotary_angles(input_ids.shape[1], head_size, x.device, x.dtype)
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1], mask, cos, sin))
        return states

    def forward(self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None = None) -> Tensor:
        """See `Backbone`."""
        return self.hidden_states(input_ids, mask, segment_ids)[-1]


def _embedding(size: int, width: int) -> nn.Embedding:
    """An embedding that is not initialised twice (on the meta device torch would load its compiler for that)."""
    return nn.Embedding(size, width, _weight=torch.empty(size, width))


# Published name -> ours. `{}` is the layer number; q, k and v are joined, q and k brought into split order.
NAME_MAP = {
    "embeddings.word_embeddings.weight": "embeddings.weight",
    "embeddings.token_type_embeddings.weight": "segments.weight",
    "encoder.layer.{}.attention.self.query.weight": "layers.{}.attention.qkv.weight[0]",
    "encoder.layer.{}.attention.self.key.weight": "layers.{}.attention.qkv.weight[1]",
    "encoder.layer.{}.attention.self.value.weight": "layers.{}.attention.qkv.weight[2]",
    "encoder.layer.{}.attention.output.dense.weight": "layers.{}.attention.out.weight",
    "encoder.layer.{}.intermediate.dense.weight": "layers.{}.inner.weight",
    "encoder.layer.{}.output.dense.weight": "layers.{}.outer.weight",
}


def is_published(config: dict[str, object]) -> bool:
    """Whether a Hugging Face config.json is a RoFormerV2, which says `roformer` but is not one for transformers."""
    return config.get("model_type") == "roformer" and (
        config.get("norm_type") == "rms_norm" or config.get("use_bias") is False
    )


def config_from_published(config: dict[str, object]) -> RoFormerV2Config:
    """Our config from a Hugging Face config.json (`junnyu/roformer_v2_chinese_char_*`)."""
    renamed = {
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "intermediate_size": "intermediate_size",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "max_position_embeddings": "max_length",
        "type_vocab_size": "num_segments",
        "layer_norm_eps": "norm_eps",
    }
    return RoFormerV2Config(**{ours: config[theirs] for theirs, ours in renamed.items() if theirs in config})  # type: ignore[arg-type]


def weights_from_published(weights: dict[str, Tensor], config: RoFormerV2Config) -> dict[str, Tensor]:
    """Our state dict from published weights.

    Raises:
        KeyError: a weight of the map is missing.
    """
    weights = {re.sub(r"^roformer\.", "", name): value for name, value in weights.items()}
    order = split_order(config.hidden_size // config.num_heads)
    result: dict[str, Tensor] = {}
    joined: dict[str, list[Tensor]] = {}
    for theirs, ours in NAME_MAP.items():
        for layer in range(config.num_layers if "{}" in theirs else 1):
            value = weights[theirs.format(layer)]
            name, _, slot = ours.format(layer).partition("[")
            if not slot:
                result[name] = value
                continue
            if slot in ("0]", "1]"):
                value = value.view(config.num_heads, -1, config.hidden_size)[:, order].flatten(0, 1)
            joined.setdefault(name, []).append(value)
    return result | {name: torch.cat(parts) for name, parts in joined.items()}
