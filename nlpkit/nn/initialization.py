"""Beginnings other than the published one, and the end of [MASK]."""

import torch
from torch import Tensor, nn

from nlpkit.nn.backbones.encoder import Encoder

AS_MASK, AS_RANDOM = 0.8, 0.1  # of the masked units, as BERT (arXiv 1810.04805); the others stay as they are
_ENDS = (".out.weight", ".outer.weight")  # the matrix that a residual branch ends with


@torch.no_grad()
def deep_norm_(encoder: Encoder) -> None:
    """Initialises an encoder as DeepNet does (arXiv 2203.00555; kexue.fm 8978).

    With M residual branches, x becomes norm(αx + f(x)), α = M^¼, and the matrices of f but for queries and keys begin
    as Xavier's times β = (4M)^-¼. A norm without gain has norm(αx + f) = norm(x + f/α), so α is no constant here: it is
    divided out of the last matrix of each branch. (GAU-α has one branch a layer; its gate and shared z keep gain 1.)
    """
    matrices = dict(encoder.layers.named_parameters())
    branches = sum(name.endswith(_ENDS) for name in matrices)
    alpha, beta = branches**0.25, (4 * branches) ** -0.25
    width = encoder.config.hidden_size
    for name, weight in matrices.items():
        if weight.dim() == 1:  # GAU's γ stay 1
            continue
        if name.endswith(_ENDS):
            nn.init.xavier_normal_(weight, gain=beta / alpha)
        elif name.endswith(".qkv.weight"):
            for part, gain in zip(torch.split(weight, width), (1.0, 1.0, beta), strict=True):
                nn.init.xavier_normal_(part, gain=gain)
        elif hasattr(encoder.config, "key_size"):  # [u; v; z]
            inner, key = encoder.config.intermediate_size, encoder.config.key_size  # type: ignore[attr-defined]
            for part, gain in zip(torch.split(weight, [inner, inner, key]), (1.0, beta, 1.0), strict=True):
                nn.init.xavier_normal_(part, gain=gain)
        else:
            nn.init.xavier_normal_(weight, gain=beta)


@torch.no_grad()
def fold_mask_(embeddings: Tensor, mask_id: int, ordinary: Tensor, masked: float) -> None:
    """Gives every unit the embedding that pretraining expected in its place (kexue.fm 8770).

    A masked language model reads [MASK] where downstream tasks have units, as dropout zeroes what prediction keeps. The
    remedy is the same, the expectation. Where a share p of the units was masked, of these 0.8 as [MASK] and 0.1 as
    another unit: E_i ← (1 − 0.9p)·E_i + 0.8p·E_[MASK] + 0.1p·mean(E). (In the post p is 0.15, so 0.865, 0.12, 0.015.)

    Args:
        embeddings: [v, d], changed in place.
        mask_id: of [MASK].
        ordinary: [n] ids that could be masked; the others stay as they are.
        masked: p, in [0, 1].
    """
    units = embeddings[ordinary]
    others = AS_MASK * embeddings[mask_id] + AS_RANDOM * units.mean(0)
    embeddings[ordinary] = (1 - masked * (AS_MASK + AS_RANDOM)) * units + masked * others
