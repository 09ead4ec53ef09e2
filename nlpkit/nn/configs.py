"""Sizes of the encoders in `nn.backbones`, and the description of an encoder in a manifest; without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from typing_extensions import override

from nlpkit.errors import ModelError

MAX_LENGTH = 1 << 17  # tokens; the tables of RoPE have an entry for each position
ACTIVATIONS = ("relu", "gelu", "gelu_new", "silu", "swish")  # names as in a Hugging Face config.json


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Sizes of an encoder; the defaults are those of the published RoFormerV2 small.

    Raises:
        TypeError: a value of the wrong type (configurations are read from files).
        ValueError: a size out of range, or sizes that do not fit together.
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
        if self.max_length > MAX_LENGTH:
            raise ValueError(f"max_length cannot be {self.max_length!r}")

    @property
    def rotary_size(self) -> int:
        """Return the number of dimensions that RoPE rotates: the size of a head."""
        raise NotImplementedError


def check_heads(hidden_size: int, num_heads: int, activation: str, multiple: int = 1) -> None:
    """Check the sizes of multi-head attention and the activation of a feed-forward network.

    Args:
        hidden_size: d.
        num_heads: n.
        activation: one of `ACTIVATIONS`.
        multiple: the size of a head, d / n, must be a multiple of it; 2 for RoPE.

    Raises:
        ValueError: the sizes do not fit together, or the activation is unknown.
    """
    if num_heads < 1 or hidden_size % (multiple * num_heads):
        kind = "heads of an even size" if multiple == 2 else "heads"
        raise ValueError(f"{hidden_size} dimensions cannot be divided into {num_heads} {kind}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}; supported: {', '.join(ACTIVATIONS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoFormerV2Config(EncoderConfig):
    """Sizes and switches; `activation` is one of `ACTIVATIONS`."""

    num_heads: int = 6
    intermediate_size: int = 1536
    activation: str = "relu"

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)  # super() does not know a class with slots
        check_heads(self.hidden_size, self.num_heads, self.activation, multiple=2)

    @property
    @override
    def rotary_size(self) -> int:
        return self.hidden_size // self.num_heads


@dataclass(frozen=True, slots=True, kw_only=True)
class BertConfig(EncoderConfig):
    """Sizes and switches; `activation` is one of `ACTIVATIONS`."""

    num_heads: int = 12
    intermediate_size: int = 1536
    activation: str = "gelu"

    def __post_init__(self) -> None:
        EncoderConfig.__post_init__(self)  # super() does not know a class with slots
        check_heads(self.hidden_size, self.num_heads, self.activation)


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
    @override
    def rotary_size(self) -> int:
        return self.key_size


CONFIGS: dict[str, type[EncoderConfig]] = {
    "roformer_v2": RoFormerV2Config,
    "gau_alpha": GauAlphaConfig,
    "bert": BertConfig,
}
_BERT_NAMES = {  # of transformers → ours; `{}` is the layer, `[k]` the k-th block of a concatenated matrix
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
BERT_SIZES = {
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


def read_config(description: Mapping[str, Any]) -> EncoderConfig:
    """Return the configuration of one of nlpkit's own encoders.

    Args:
        description: as returned by `Backbone.describe`; its type must be a key of `CONFIGS`.

    Raises:
        ModelError: a type, a field or a value that this version does not support.
    """
    sizes = dict(description)
    kind = sizes.pop("type", None)
    if not isinstance(kind, str) or kind not in CONFIGS:
        raise ModelError(f"unknown backbone type {kind!r}; a newer nlpkit may know it")
    try:
        return CONFIGS[kind](**sizes)
    except (TypeError, ValueError) as error:
        raise unsupported(error) from None


def unsupported(error: Exception) -> ModelError:
    """Return the error for a description that this version does not support."""
    problem = " ".join(str(error).split()) or type(error).__name__
    return ModelError(f"the backbone's description does not fit this version of nlpkit ({problem})")


def bert_weight_names(num_layers: int) -> dict[str, list[str]]:
    """Return the names of BERT's weights: those of transformers by the name of ours, which concatenates them."""
    names: dict[str, list[str]] = {}
    for theirs, ours in _BERT_NAMES.items():
        for layer in range(num_layers if "{}" in theirs else 1):
            for kind in ("weight",) if theirs.endswith("_embeddings") else ("weight", "bias"):
                name = f"{ours.format(layer).partition('[')[0]}.{kind}"
                names.setdefault(name, []).append(f"{theirs.format(layer)}.{kind}")
    return names


def is_plain_bert(config: Mapping[str, Any]) -> bool:
    """Return whether a configuration of transformers describes a BERT encoder that `BertConfig` can describe, too."""
    decoder = any(config.get(name) for name in ("is_decoder", "add_cross_attention"))
    absolute = config.get("position_embedding_type") in (None, "absolute")
    return config.get("model_type") == "bert" and not decoder and absolute and config.get("hidden_act") in ACTIVATIONS
