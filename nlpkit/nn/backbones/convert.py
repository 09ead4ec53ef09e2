"""Conversion of published RoFormerV2 and GAU-α weights by name maps.

A map goes from the published name to nlpkit's; `{}` is the layer number, and `[k]` the k-th block of a concatenated
matrix. Dimensions that RoPE rotates are permuted from interleaved to split order (see `nn.layers.rope`).
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.backbones.gau_alpha import GauAlpha
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2
from nlpkit.nn.configs import GauAlphaConfig, RoFormerV2Config
from nlpkit.nn.layers.rope import split_order

EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "embeddings.weight",
    "embeddings.token_type_embeddings.weight": "segments.weight",
}
ROFORMER_V2 = EMBEDDINGS | {
    "encoder.layer.{}.attention.self.query.weight": "layers.{}.attention.qkv.weight[0]",
    "encoder.layer.{}.attention.self.key.weight": "layers.{}.attention.qkv.weight[1]",
    "encoder.layer.{}.attention.self.value.weight": "layers.{}.attention.qkv.weight[2]",
    "encoder.layer.{}.attention.output.dense.weight": "layers.{}.attention.out.weight",
    "encoder.layer.{}.intermediate.dense.weight": "layers.{}.inner.weight",
    "encoder.layer.{}.output.dense.weight": "layers.{}.outer.weight",
}
GAU_ALPHA = EMBEDDINGS | {
    "encoder.layer.{}.gau.i_dense.weight": "layers.{}.inner.weight",
    "encoder.layer.{}.gau.o_dense.weight": "layers.{}.outer.weight",
    "encoder.layer.{}.gau.q_scaleoffset.weight": "layers.{}.query_scale",
    "encoder.layer.{}.gau.k_scaleoffset.weight": "layers.{}.key_scale",
}
SIZES = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_layers",
    "intermediate_size": "intermediate_size",
    "hidden_dropout_prob": "dropout",
    "max_position_embeddings": "max_length",
    "type_vocab_size": "num_segments",
    "layer_norm_eps": "norm_eps",
}


def published_encoder(config: Mapping[str, Any]) -> Encoder | None:
    """Return nlpkit's encoder, without weights, for a Hugging Face configuration; None if transformers must load it.

    A published RoFormerV2 has the model type `roformer`, but transformers' class of that name does not implement it.

    Raises:
        KeyError, TypeError, ValueError or RuntimeError: a size is missing, of the wrong type or out of range.
    """
    sizes = {ours: config[theirs] for theirs, ours in SIZES.items() if theirs in config}
    kind = str(config.get("model_type", ""))
    with torch.device("meta"):
        if "gau" in kind.lower():
            return GauAlpha(GauAlphaConfig(**sizes, key_size=config.get("attention_key_size", 128)))
        if kind == "roformer" and (config.get("norm_type") == "rms_norm" or config.get("use_bias") is False):
            activation = config.get("hidden_act", "relu")
            return RoFormerV2(RoFormerV2Config(**sizes, num_heads=config["num_attention_heads"], activation=activation))
    return None


def load_published(encoder: Encoder, published: Mapping[str, Tensor]) -> None:
    """Load published weights into an encoder, converted to fp32.

    Raises:
        KeyError: a weight of the map is missing.
        RuntimeError: a weight has another shape than the configuration says.
    """
    names = ROFORMER_V2 if isinstance(encoder, RoFormerV2) else GAU_ALPHA
    prefix = re.compile(r"^.*?(?=embeddings\.|encoder\.)")
    published = {prefix.sub("", name, count=1): value for name, value in published.items()}
    blocks: dict[str, list[Tensor]] = {}
    for theirs, ours in names.items():
        for layer in range(encoder.config.num_layers if "{}" in theirs else 1):
            name = ours.format(layer)
            value = _in_split_order(name, published[theirs.format(layer)].float(), encoder)
            blocks.setdefault(name.partition("[")[0], []).append(value)
    encoder.load_state_dict({name: torch.cat(values) for name, values in blocks.items()}, assign=True)


def _in_split_order(name: str, value: Tensor, encoder: Encoder) -> Tensor:
    size = encoder.config.rotary_size
    order = split_order(size)
    if name.endswith(("qkv.weight[0]", "qkv.weight[1]")):
        return value.view(-1, size, value.shape[1])[:, order].flatten(0, 1)
    if name.endswith(("query_scale", "key_scale")):
        return value[order]
    if isinstance(encoder, GauAlpha) and name.endswith("inner.weight"):
        return torch.cat([value[:-size], value[-size:][order]])
    return value
