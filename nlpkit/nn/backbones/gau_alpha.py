"""GAU-α (kexue.fm 9052): each layer is one gated attention unit (arXiv 2202.10447); two replace a Transformer layer."""

import math
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.configs import GauAlphaConfig
from nlpkit.nn.layers.attention import AttentionFn
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.layers.rope import rotate

BASE_LENGTH, MIN_LENGTH = 512, 16  # context lengths at which the attention logits are scaled by 1, and by the least


class GatedAttentionUnit(nn.Module):
    """[u, v, z] = swish(xW); q = z·γ_q, k = z·γ_k; A = softmax(q·kᵀ/√s · log l / log 512); norm(x + W(u ⊙ Av))."""

    def __init__(self, config: GauAlphaConfig):
        super().__init__()
        self.sizes = [config.intermediate_size, config.intermediate_size, config.key_size]
        self.inner = nn.Linear(config.hidden_size, sum(self.sizes), bias=False)
        self.outer = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.query_scale = nn.Parameter(torch.empty(config.key_size))
        self.key_scale = nn.Parameter(torch.empty(config.key_size))
        self.dropout = Dropout(config.dropout)
        self.eps = config.norm_eps

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: AttentionFn) -> Tensor:
        """Return the output [..., d]; see `roformer_v2.Attention.forward`, with one head of `key_size` dimensions."""
        gate, value, shared = torch.split(F.silu(self.inner(x)), self.sizes, dim=-1)
        query, key = (
            rotate((shared * scale.to(shared.dtype))[..., None, :], cos, sin)
            for scale in (self.query_scale, self.key_scale)
        )
        scale = _length_scale(attend.context_lengths, query.dtype)
        attended = attend(query * scale, key, value[..., None, :])[..., 0, :]
        update = self.outer(attend.select_queries(gate) * attended)
        return rms_norm(attend.select_queries(x) + self.dropout(update), self.eps)


class GauAlpha(Encoder):
    """The GAU-α encoder."""

    config: GauAlphaConfig

    def __init__(self, config: GauAlphaConfig):
        super().__init__(config, lambda: GatedAttentionUnit(config))

    @override
    def describe(self) -> dict[str, Any]:
        return {"type": "gau_alpha", **asdict(self.config)}


def _length_scale(lengths: Tensor | int, dtype: torch.dtype) -> Tensor | float:
    """Return log l / log 512 for context lengths l."""
    if isinstance(lengths, int):
        return math.log(max(lengths, MIN_LENGTH)) / math.log(BASE_LENGTH)
    return (lengths.clamp(min=MIN_LENGTH).float().log() / math.log(BASE_LENGTH)).to(dtype)
