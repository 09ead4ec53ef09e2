"""What all encoders of ours share: embeddings, a stack of post-norm layers, and initial weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from nlpkit.nn.backbones.base import Backbone
from nlpkit.nn.layers.attention import Attend, FirstAttention, RowAttention
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.kv_cache import Cache, CachedAttention, Units, filled
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.layers.prepack import ACTIVATIONS
from nlpkit.nn.layers.rope import rotary_angles


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Sizes that every encoder of ours has; defaults as in the published RoFormerV2 small.

    Raises:
        TypeError: a value is of another type, as one from a file may be.
        ValueError: the sizes do not go together.
    """

    vocab_size: int
    hidden_size: int = 384
    num_layers: int = 6
    dropout: float = 0.1
    max_length: int = 512
    num_segments: int = 2
    norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if type(value) not in ((int, float) if field.type is float else (field.type,)):
                raise TypeError(f"{field.name} cannot be {value!r}")
            if not isinstance(value, str) and not (0 if field.type is float else 1) <= value < 1 << 31:
                raise ValueError(f"{field.name} cannot be {value!r}")
        if self.dropout >= 1:
            raise ValueError(f"dropout cannot be {self.dropout!r}")

    @property
    def rotary_size(self) -> int:
        """Dimensions that RoPE turns: of one head."""
        raise NotImplementedError


def check_heads(hidden_size: int, num_heads: int, activation: str, multiple: int = 1) -> None:
    """Check the sizes of multi-head attention and the activation of a feed-forward network.

    Args:
        hidden_size: d.
        num_heads: n.
        activation: one of `ACTIVATIONS`.
        multiple: what the size of a head, d / n, must be a multiple of; 2 for RoPE.

    Raises:
        ValueError: they do not fit.
    """
    if num_heads < 1 or hidden_size % (multiple * num_heads):
        even = " of an even size" if multiple == 2 else ""
        raise ValueError(f"{num_heads} heads{even} cannot have {hidden_size} dimensions")
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}; known are {', '.join(ACTIVATIONS)}")


class Encoder(Backbone):
    """Token plus segment embedding, norm, and layers that map (x, cos, sin, attend) to x.

    Args:
        config: sizes.
        layer: makes a layer.
    """

    def __init__(self, config: EncoderConfig, layer: Callable[[], nn.Module]):
        super().__init__()
        self.config = config
        self.hidden_size, self.max_length, self.vocab_size = config.hidden_size, config.max_length, config.vocab_size
        self.embeddings = _embedding(config.vocab_size, config.hidden_size)
        self.segments = _embedding(config.num_segments, config.hidden_size)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList([layer() for _ in range(config.num_layers)])
        self._initialise()

    def _initialise(self) -> None:
        """As published: matrices truncated normal with deviation about 1/√(d·layers); vectors 1."""
        deviation = 1.13684723 / (self.config.hidden_size * self.config.num_layers) ** 0.5
        for parameter in self.parameters():
            if parameter.is_meta:  # to be loaded, not trained
                return
            if parameter.dim() == 1:
                nn.init.ones_(parameter)
            else:
                nn.init.trunc_normal_(parameter, std=deviation, a=-2 * deviation, b=2 * deviation)

    @property
    def unit_embeddings(self) -> Tensor:
        """See `Backbone`."""
        return self.embeddings.weight

    def hidden_states(
        self,
        input_ids: Tensor,
        mask: Tensor | None,
        segment_ids: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> list[Tensor]:
        """See `Backbone`."""
        if positions is None:
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        attend = RowAttention(mask, input_ids.shape[1])
        return self.layer_states(input_ids, segment_ids, positions, [attend] * len(self.layers))

    def forward(
        self,
        input_ids: Tensor,
        mask: Tensor | None,
        segment_ids: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """See `Backbone`."""
        return self.hidden_states(input_ids, mask, segment_ids, positions)[-1]

    def first(self, input_ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return the last hidden state [b, d] of the first token of every sequence.

        The last layer computes it alone, without the feed-forward network of the other tokens.
        """
        size = input_ids.shape[1]
        others: list[Attend] = [RowAttention(mask, size)] * (len(self.layers) - 1)
        positions = torch.arange(size, device=input_ids.device)
        return self.layer_states(input_ids, None, positions, [*others, FirstAttention(mask, size)])[-1][:, 0]

    def read(self, units: Units, asked: Tensor, cache: Cache) -> Tensor:
        """See `Backbone`."""
        last = len(self.layers) - 1
        attends = [CachedAttention(cache, layer, units, asked if layer == last else None) for layer in range(last + 1)]
        ids, segments, positions = map(filled, (units.input_ids, units.segment_ids, units.positions))
        return self.layer_states(ids, segments, positions, attends)[-1][: len(asked)]

    def layer_states(
        self, input_ids: Tensor, segment_ids: Tensor | None, positions: Tensor, attends: Sequence[Attend]
    ) -> list[Tensor]:
        """The embedding output and that of every layer, whose attention is given."""
        segments = self.segments.weight[0] if segment_ids is None else self.segments(segment_ids)
        x = self.dropout(rms_norm(self.embeddings(input_ids) + segments, self.config.norm_eps))
        cos, sin = rotary_angles(positions[..., None], self.config.rotary_size, x.dtype)
        states = [x]
        for layer, attend in zip(self.layers, attends, strict=True):
            states.append(layer(states[-1], cos, sin, attend))
        return states


def _embedding(size: int, width: int) -> nn.Embedding:
    """An embedding that is not initialised twice (on the meta device torch would load its compiler for that)."""
    return nn.Embedding(size, width, _weight=torch.empty(size, width))
