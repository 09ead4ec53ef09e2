"""GAU-α (kexue.fm 9052): layers of one gated attention unit each (arXiv 2202.10447), two for one of a Transformer's."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlpkit.nn.backbones.encoder import Encoder, EncoderConfig
from nlpkit.nn.layers.attention import Attend
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.layers.rope import rotate

BASE_LENGTH, LEAST_LENGTH = 512, 16  # of the softmax whose sharpness grows with the logarithm of the length


@dataclass(frozen=True, slots=True, kw_only=True)
class GauAlphaConfig(EncoderConfig):
    """Sizes; e = 2·d and s = 128 in the publication."""

    intermediate_size: int = 768
    key_size: int = 128

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)  # super() does not know a class with slots
        if self.key_size < 2 or self.key_size % 2:
            raise ValueError(f"the key size must be even, not {self.key_size}")

    @property
    def rotary_size(self) -> int:
        """See `EncoderConfig`."""
        return self.key_size


class GatedAttentionUnit(nn.Module):
    """[u, v, z] = swish(xW); q = z·γ_q, k = z·γ_k; A = softmax(q·kᵀ/√s · log l / log 512); x + W(u ⊙ Av), normed."""

    def __init__(self, config: GauAlphaConfig):
        super().__init__()
        self.sizes = [config.intermediate_size, config.intermediate_size, config.key_size]
        self.inner = nn.Linear(config.hidden_size, sum(self.sizes), bias=False)
        self.outer = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.query_scale = nn.Parameter(torch.empty(config.key_size))
        self.key_scale = nn.Parameter(torch.empty(config.key_size))
        self.dropout = Dropout(config.dropout)
        self.eps = config.norm_eps

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        """As `roformer_v2.Attention.forward`; h is the key size, and there is one head."""
        gate, value, shared = torch.split(F.silu(self.inner(x)), self.sizes, dim=-1)
        query, key = (
            rotate((shared * scale.to(shared.dtype))[..., None, :], cos, sin)
            for scale in (self.query_scale, self.key_scale)
        )
        attended = attend(query * _sharpness(attend.lengths, query.dtype), key, value[..., None, :])[..., 0, :]
        return rms_norm(attend.asked(x) + self.dropout(self.outer(attend.asked(gate) * attended)), self.eps)


class GauAlpha(Encoder):
    """The encoder."""

    config: GauAlphaConfig

    def __init__(self, config: GauAlphaConfig):
        super().__init__(config, lambda: GatedAttentionUnit(config))

    def describe(self) -> dict[str, Any]:
        """See `Backbone`."""
        return {"type": "gau_alpha", **asdict(self.config)}


def _sharpness(lengths: Tensor | int, dtype: torch.dtype) -> Tensor | float:
    """Log l / log 512 for the number l of units that may be attended to."""
    if isinstance(lengths, int):
        return math.log(max(lengths, LEAST_LENGTH)) / math.log(BASE_LENGTH)
    return (lengths.clamp(min=LEAST_LENGTH).float().log() / math.log(BASE_LENGTH)).to(dtype)
