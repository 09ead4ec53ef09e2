"""Growing a trained masked language model: in width without loss, or in depth with some loss.

Width (LEMON, arXiv 2310.07999; before it kexue.fm 8444 and bert2BERT, arXiv 2110.07143): the hidden state x becomes f
copies of itself, [x; x; …]. Each matrix gets f copies of its rows, and each weight w of an input is split into f
coefficients for the copies of x:

    w·x = a₁w·x + … + a_f w·x,   a₁ + … + a_f = 1

This is exact here. RMS norm without gain maps a repeated vector to a repeated vector, as the mean of squares is equal.
Heads are copied as a whole, so RoPE's angles and 1/√h do not change (kexue.fm 8444 widens the heads, which RoPE does
not allow). The tied output h·Eᵀ would be f times too large, so token and token type embeddings are divided by f; a norm
follows the embeddings, so the encoder's states do not change. (The norm's ε = 1e-12 gets f² times the weight, which is
negligible.)

Copies with equal coefficients would always get equal gradients, and the larger model could learn no more than the
smaller one. So the coefficients are random, entry by entry, and the gradients of the copies differ from the first step
on; those of the MLM head's `transform`, which is followed by the evenly split E, from the second step on.

Depth (StackBERT, ICML 2019; bert2BERT): the stack of layers is repeated. This changes the function; it is a better
initialization than random weights.
"""

import re
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from nlpkit.nn.configs import GauAlphaConfig, RoFormerV2Config

Config = TypeVar("Config", RoFormerV2Config, GauAlphaConfig)

COEFFICIENTS = (0.3, 0.7)  # with two copies they are in these bounds also after scaling
_EMBEDDINGS = ("backbone.embeddings.", "backbone.segments.")
_LAYER = re.compile(r"(backbone\.layers\.)(\d+)(\..+)")


def grow_width(
    weights: dict[str, Tensor],
    config: Config,
    factor: int,
    *,
    seed: int = 0,
    coefficients: tuple[float, float] = COEFFICIENTS,
) -> tuple[dict[str, Tensor], Config]:
    """Return a model `factor` times as wide with the same logits, and with hidden states [x; x; …] for x.

    It is exact up to rounding, without dropout. The number of heads and the intermediate size grow by the same factor;
    the sizes of a head and of GAU's shared z do not change.

    Args:
        weights: the state of a `MaskedLanguageModel`.
        config: of its backbone.
        factor: 1 or more.
        seed: of the coefficients.
        coefficients: bounds of the random coefficients, before they are scaled to sum 1.

    Raises:
        ValueError: a factor below 1, or a BERT, whose LayerNorm has a gain and a bias.
    """
    _check(factor)
    if not isinstance(config, RoFormerV2Config | GauAlphaConfig):
        raise ValueError("only RoFormerV2 and GAU-α can grow in width; use depth")
    generator = torch.Generator().manual_seed(seed)
    wide = {}
    for name, weight in weights.items():
        if weight.dim() == 1:  # the output's bias and GAU's γ: one entry per token or per dimension of z
            wide[name] = weight
        elif name.startswith(_EMBEDDINGS):
            wide[name] = weight.repeat(1, factor) / factor
        else:
            wide[name] = _split_inputs(_copy_outputs(name, weight, config, factor), factor, generator, coefficients)
    wider = replace(
        config, hidden_size=factor * config.hidden_size, intermediate_size=factor * config.intermediate_size
    )
    if isinstance(wider, RoFormerV2Config):
        wider = replace(wider, num_heads=factor * wider.num_heads)
    return wide, wider


def grow_depth(weights: dict[str, Tensor], config: Config, factor: int) -> tuple[dict[str, Tensor], Config]:
    """Return a model with `factor` times the layers, layer i with the weights of layer i mod L. Not lossless.

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
            for copy in range(factor):  # cloned, as safetensors refuses tensors that share memory
                deep[f"{stem}{copy * config.num_layers + int(layer)}{rest}"] = weight.clone()
        else:
            deep[name] = weight
    return deep, replace(config, num_layers=factor * config.num_layers)


def _check(factor: int) -> None:
    if factor < 1:
        raise ValueError(f"a model grows by a factor of 1 or more, not {factor}")


def _copy_outputs(name: str, weight: Tensor, config: RoFormerV2Config | GauAlphaConfig, factor: int) -> Tensor:
    """Repeat the rows of a matrix; of a concatenation, [q; k; v] or [u; v; z], those of each block, but not of z."""
    sizes, copies = [weight.shape[0]], [factor]
    if isinstance(config, RoFormerV2Config) and name.endswith(".qkv.weight"):
        sizes, copies = [config.hidden_size] * 3, [factor] * 3
    elif isinstance(config, GauAlphaConfig) and name.endswith(".inner.weight"):
        sizes, copies = [config.intermediate_size, config.intermediate_size, config.key_size], [factor, factor, 1]
    return torch.cat([block.repeat(count, 1) for block, count in zip(torch.split(weight, sizes), copies, strict=True)])


def _split_inputs(weight: Tensor, factor: int, generator: torch.Generator, bounds: tuple[float, float]) -> Tensor:
    """Split every entry of [r, d] at random into `factor` columns of [r, factor · d] with the same sum."""
    coefficients = torch.empty(weight.shape[0], factor, weight.shape[1], dtype=torch.float64)
    coefficients = coefficients.uniform_(*bounds, generator=generator).to(weight.device)
    return (weight[:, None] * coefficients / coefficients.sum(1, keepdim=True)).to(weight.dtype).flatten(1)
