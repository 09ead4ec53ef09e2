"""The base of nlpkit's own encoders: embeddings, a stack of post-norm layers, and initial weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones.base import Backbone
from nlpkit.nn.configs import EncoderConfig
from nlpkit.nn.layers.attention import AttentionFn, BatchAttention, FirstTokenAttention
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.kv_cache import CachedAttention, KeyValueCache, pad_to_multiple
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.layers.rope import rotary_angles
from nlpkit.nn.tokens import TokenBatch


class Encoder(Backbone):
    """Token and token type embeddings, norm, and layers that map (x, cos, sin, attend) to x.

    Args:
        config: sizes.
        layer: returns a new layer.
    """

    def __init__(self, config: EncoderConfig, layer: Callable[[], nn.Module]):
        super().__init__()
        self.config = config
        self.hidden_size, self.max_length, self.vocab_size = config.hidden_size, config.max_length, config.vocab_size
        self.embeddings = _embedding(config.vocab_size, config.hidden_size)
        self.segments = _embedding(config.num_segments, config.hidden_size)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList([layer() for _ in range(config.num_layers)])
        self._initialize()

    def _initialize(self) -> None:
        """Initialize as published: matrices truncated normal with deviation about 1/√(d·layers), vectors 1."""
        deviation = 1.13684723 / (self.config.hidden_size * self.config.num_layers) ** 0.5
        for parameter in self.parameters():
            if parameter.is_meta:  # to be loaded, not trained
                return
            if parameter.dim() == 1:
                nn.init.ones_(parameter)
            else:
                nn.init.trunc_normal_(parameter, std=deviation, a=-2 * deviation, b=2 * deviation)

    @property
    @override
    def token_embeddings(self) -> Tensor:
        return self.embeddings.weight

    @override
    def hidden_states(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> list[Tensor]:
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)
        attend = BatchAttention(attention_mask, input_ids.shape[1])
        return self.layer_states(input_ids, token_type_ids, position_ids, [attend] * len(self.layers))

    @override
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        return self.hidden_states(input_ids, attention_mask, token_type_ids, position_ids)[-1]

    def first_token_states(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Return the last hidden state [b, d] of the first token of every sequence.

        The last layer computes only these, without the feed-forward network of the other tokens.
        """
        size = input_ids.shape[1]
        attends: list[AttentionFn] = [BatchAttention(attention_mask, size)] * len(self.layers)
        attends[-1] = FirstTokenAttention(attention_mask, size)
        position_ids = torch.arange(size, device=input_ids.device)
        return self.layer_states(input_ids, None, position_ids, attends)[-1][:, 0]

    @override
    def forward_with_cache(self, tokens: TokenBatch[Tensor], query_indices: Tensor, cache: KeyValueCache) -> Tensor:
        last = len(self.layers) - 1
        attends = [
            CachedAttention(cache, layer, tokens, query_indices if layer == last else None) for layer in range(last + 1)
        ]
        ids, types, positions = map(pad_to_multiple, (tokens.input_ids, tokens.token_type_ids, tokens.position_ids))
        return self.layer_states(ids, types, positions, attends)[-1][: len(query_indices)]

    def layer_states(
        self, input_ids: Tensor, token_type_ids: Tensor | None, position_ids: Tensor, attends: Sequence[AttentionFn]
    ) -> list[Tensor]:
        """Return the embedding output and the output of every layer.

        Args:
            input_ids: [...].
            token_type_ids: as `input_ids`; zeros when None.
            position_ids: as `input_ids`, or [s] for all sequences.
            attends: the attention of each layer.
        """
        segments = self.segments.weight[0] if token_type_ids is None else self.segments(token_type_ids)
        x = self.dropout(rms_norm(self.embeddings(input_ids) + segments, self.config.norm_eps))
        cos, sin = rotary_angles(position_ids[..., None], self.config.rotary_size, x.dtype)
        states = [x]
        for layer, attend in zip(self.layers, attends, strict=True):
            states.append(layer(states[-1], cos, sin, attend))
        return states


def _embedding(size: int, width: int) -> nn.Embedding:
    """Return an embedding without initial weights; on the meta device torch would load its compiler for them."""
    return nn.Embedding(size, width, _weight=torch.empty(size, width))
