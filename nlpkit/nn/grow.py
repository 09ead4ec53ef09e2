"""Growing a trained masked language model: in width without loss, in depth with some.

Wider (LEMON, arXiv 2310.07999; before it kexue.fm 8444 and bert2BERT, arXiv 2110.07143): the hidden state x becomes f
copies of itself, [x; x; …], and everything that is as wide follows. An output is copied with its row of the matrix; the
product with an input, w·x, is shared out among the copies of x:

    w·x = a₁w·x + … + a_f w·x,   a₁ + … + a_f = 1

What makes that exact here: RMS norm without gain keeps a repeated vector repeated, as the mean of squares is the same.
Heads are copied whole, so RoPE's angles and 1/√h stay (kexue.fm 8444 widens the heads, which RoPE does not survive).
Only the tied output h·Eᵀ would come out f times too large, and E must stay even, since it also makes the copies of x;
but the embeddings feed a norm, so token and segment embeddings divided by f give the encoder the same states, and the
output the same logits. (The norm's ε = 1e-12 then counts f² as much against the embeddings: still nothing.)

Copies with equal shares would get equal gradients for ever, and the larger model could learn no more than the smaller.
So the shares are drawn at random, entry by entry, and the gradients of the copies differ from the first step on; those
of the MLM head's `transform`, which has the even E behind it, from the second.

Deeper (StackBERT, ICML 2019; bert2BERT): the stack is repeated. That changes the function; it is a better beginning
than random weights, no more.
"""

import re
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from nlpkit.nn.backbones.gau_alpha import GauAlphaConfig
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2Config

Config = TypeVar("Config", RoFormerV2Config, GauAlphaConfig)

SHARES = (0.3, 0.7)  # bounds of the shares before they are scaled to sum 1; with two copies also after
_EMBEDDINGS = ("backbone.embeddings.", "backbone.segments.")
_LAYER = re.compile(r"(backbone\.layers\.)(\d+)(\..+)")


def grow_width(
    weights: dict[str, Tensor], config: Config, factor: int, *, seed: int = 0
) -> tuple[dict[str, Tensor], Config]:
    """A model `factor` times as wide that computes the same logits, and hidden states [x; x; …] for x.

    Exact up to rounding, and without dropout. The number of heads and the inner width grow along; the sizes of a head
    and of GAU's shared z do not.

    Args:
        weights: the state of a `MaskedLanguageModel`.
        config: of its backbone.
        factor: 1 or more.
        seed: of the shares.

    Raises:
        ValueError: a factor below 1, or a BERT, whose LayerNorm has a gain and a bias.
    """
    _check(factor)
    if not isinstance(config, RoFormerV2Config | GauAlphaConfig):
        raise ValueError("only RoFormerV2 and GAU-α can grow in width; use depth")
    generator = torch.Generator().manual_seed(seed)
    wide = {}
    for name, weight in weights.items():
        if weight.dim() == 1:  # the output's bias and GAU's γ: one entry per unit or per dimension of z
            wide[name] = weight
        elif name.startswith(_EMBEDDINGS):
            wide[name] = weight.repeat(1, factor) / factor
        else:
            wide[name] = _share_inputs(_copy_outputs(name, weight, config, factor), factor, generator)
    wider = replace(
        config, hidden_size=factor * config.hidden_size, intermediate_size=factor * config.intermediate_size
    )
    if isinstance(wider, RoFormerV2Config):
        wider = replace(wider, num_heads=factor * wider.num_heads)
    return wide, wider


def grow_depth(weights: dict[str, Tensor], config: Config, factor: int) -> tuple[dict[str, Tensor], Config]:
    """A model of `factor` times the layers, layer i with the weights of layer i mod L. Not lossless.

    Args:
        weights: the state of a `MaskedLanguageModel`.
        config: of its backbone.
        factor: 1 or more.

    Raises:
        ValueError: a factor below 1.
    """
    _check(factor)
    deep = {}
    for name, weight in weights.items():
        if match := _LAYER.fullmatch(name):
            stem, layer, rest = match.groups()
            for copy in range(factor):  # cloned: safetensors refuses tensors that share memory
                deep[f"{stem}{copy * config.num_layers + int(layer)}{rest}"] = weight.clone()
        else:
            deep[name] = weight
    return deep, replace(config, num_layers=factor * config.num_layers)


def _check(factor: int) -> None:
    if factor < 1:
        raise ValueError(f"a model grows by a factor of 1 or more, not {factor}")


def _copy_outputs(name: str, weight: Tensor, config: RoFormerV2Config | GauAlphaConfig, factor: int) -> Tensor:
    """Repeats the rows of a matrix; of one that joins several, [q; k; v] or [u; v; z], each for itself, and z not."""
    sizes, copies = [weight.shape[0]], [factor]
    if isinstance(config, RoFormerV2Config) and name.endswith(".qkv.weight"):
        sizes, copies = [config.hidden_size] * 3, [factor] * 3
    elif isinstance(config, GauAlphaConfig) and name.endswith(".inner.weight"):
        sizes, copies = [config.intermediate_size, config.intermediate_size, config.key_size], [factor, factor, 1]
    return torch.cat([part.repeat(count, 1) for part, count in zip(torch.split(weight, sizes), copies, strict=True)])


def _share_inputs(weight: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """Shares every entry of [r, d] out among `factor` columns of [r, factor · d], at random."""
    shares = torch.empty(weight.shape[0], factor, weight.shape[1], dtype=torch.float64)
    shares = shares.uniform_(*SHARES, generator=generator).to(weight.device)
    return (weight[:, None] * shares / shares.sum(1, keepdim=True)).to(weight.dtype).flatten(1)
