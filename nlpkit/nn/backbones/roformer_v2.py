"""RoFormerV2 (kexue.fm 8998): post-norm, no bias anywhere, RMS norm without gain, RoPE on interleaved pairs."""

from dataclasses import asdict
from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.configs import RoFormerV2Config
from nlpkit.nn.layers.attention import AttentionFn
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.layers.prepack import ActivatedLinear
from nlpkit.nn.layers.rope import rotate


class Attention(nn.Module):
    """Multi-head self-attention with RoPE; one matrix for q, k and v, with q and k in split order."""

    def __init__(self, config: RoFormerV2Config):
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.out = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: AttentionFn) -> Tensor:
        """Return the output [..., d].

        Args:
            x: [..., d].
            cos: cosines from `rotary_angles`, broadcastable to [..., n, h].
            sin: sines, likewise.
            attend: the attention of the layer.
        """
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        attended = attend(rotate(query, cos, sin), rotate(key, cos, sin), value)
        return self.out(attended.flatten(-2))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each with a residual and norm."""

    def __init__(self, config: RoFormerV2Config):
        super().__init__()
        self.attention = Attention(config)
        self.inner = ActivatedLinear(config.hidden_size, config.intermediate_size, config.activation, bias=False)
        self.outer = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.dropout = Dropout(config.dropout)
        self.eps = config.norm_eps

    @override
    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: AttentionFn) -> Tensor:
        x = rms_norm(attend.select_queries(x) + self.dropout(self.attention(x, cos, sin, attend)), self.eps)
        return rms_norm(x + self.dropout(self.outer(self.inner(x))), self.eps)


class RoFormerV2(Encoder):
    """The RoFormerV2 encoder."""

    config: RoFormerV2Config

    def __init__(self, config: RoFormerV2Config):
        super().__init__(config, lambda: Layer(config))

    @override
    def describe(self) -> dict[str, Any]:
        return {"type": "roformer_v2", **asdict(self.config)}
