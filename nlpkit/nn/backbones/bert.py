"""BERT (arXiv 1810.04805): absolute positions, post-norm layers with biases, LayerNorm.

The weights of a transformers `BertModel` are converted by a map of names; `{}` is the layer, `[k]` the k-th block of a
concatenated matrix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.configs import BERT_SIZES, BertConfig, bert_weight_names, is_plain_bert
from nlpkit.nn.layers.attention import AttentionFn
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.prepack import ActivatedLinear

INITIAL_DEVIATION = 0.02


class BertLayer(nn.Module):
    """Self-attention and a feed-forward network, each with a residual and norm; one matrix for q, k and v."""

    def __init__(self, config: BertConfig):
        super().__init__()
        d, inner = config.hidden_size, config.intermediate_size
        self.num_heads = config.num_heads
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.inner, self.outer = ActivatedLinear(d, inner, config.activation), nn.Linear(inner, d)
        self.attention_norm, self.norm = nn.LayerNorm(d, config.norm_eps), nn.LayerNorm(d, config.norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, attend: AttentionFn) -> Tensor:
        """Return the layer's output [..., d] for x [..., d]."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        attended = attend(query, key, value).flatten(-2)
        x = self.attention_norm(attend.select_queries(x) + self.dropout(self.out(attended)))
        result: Tensor = self.norm(x + self.dropout(self.outer(self.inner(x))))
        return result


class Bert(Encoder):
    """The BERT encoder."""

    config: BertConfig

    def __init__(self, config: BertConfig):
        super().__init__(config, lambda: BertLayer(config))
        self.positions = nn.Embedding(config.max_length, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, config.norm_eps)
        for name, parameter in self.named_parameters():
            if parameter.is_meta:  # to be loaded, not trained
                break
            if parameter.dim() > 1:
                nn.init.trunc_normal_(parameter, std=INITIAL_DEVIATION)
            else:
                nn.init.constant_(parameter, float(name.endswith("norm.weight")))

    @classmethod
    def from_transformers(cls, model: nn.Module) -> "Bert | None":
        """Return the encoder of a transformers model with its weights; None if it is not a plain BERT."""
        config: Any = model.config
        if not is_plain_bert(config.to_dict()):
            return None
        return cls.from_pretrained({theirs: getattr(config, theirs) for theirs in BERT_SIZES}, model.state_dict())

    @classmethod
    def from_pretrained(cls, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> "Bert":
        """Return the encoder of a Hugging Face configuration with its weights.

        Args:
            config: the fields of config.json.
            weights: by their names in transformers' `BertModel`; other weights are ignored.

        Raises:
            KeyError: a size or a weight is missing.
            RuntimeError: a weight has another shape than the configuration says.
        """
        with torch.device("meta"):
            encoder = cls(
                BertConfig(**{ours: config[theirs] for theirs, ours in BERT_SIZES.items() if theirs in config})
            )
        names = bert_weight_names(encoder.config.num_layers)
        state = {ours: torch.cat([weights[name] for name in theirs]) for ours, theirs in names.items()}
        encoder.load_state_dict(state, assign=True)
        return encoder

    @override
    def describe(self) -> dict[str, Any]:
        return {"type": "bert", **asdict(self.config)}

    @override
    def layer_states(
        self, input_ids: Tensor, token_type_ids: Tensor | None, position_ids: Tensor, attends: Sequence[AttentionFn]
    ) -> list[Tensor]:
        segments = self.segments.weight[0] if token_type_ids is None else self.segments(token_type_ids)
        positions = self.positions(position_ids.clamp(max=self.max_length - 1))  # long keys of a graph have more
        states = [self.dropout(self.norm(self.embeddings(input_ids) + segments + positions))]
        for layer, attend in zip(self.layers, attends, strict=True):
            states.append(layer(states[-1], attend))
        return states
