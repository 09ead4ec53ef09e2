"""DeepNorm initialization, and folding of [MASK] into the token embeddings."""

import torch
from torch import Tensor, nn

from nlpkit.nn.backbones.encoder import Encoder

# Fractions of the masked tokens that become [MASK], and a random token, as in BERT (arXiv 1810.04805).
AS_MASK, AS_RANDOM = 0.8, 0.1
_OUTPUTS = (".out.weight", ".outer.weight")  # the last matrix of each residual branch


@torch.no_grad()
def deep_norm_(encoder: Encoder) -> None:
    """Initialize an encoder as DeepNet does (DeepNorm; arXiv 2203.00555, kexue.fm 8978).

    With M residual branches, a branch computes norm(αx + f(x)) with α = M^¼. The matrices of f, except those of queries
    and keys, get Xavier's initialization times β = (4M)^-¼. For a norm without gain norm(αx + f) = norm(x + f/α), so
    the last matrix of each branch is divided by α instead. (GAU-α has one branch a layer; its gate and shared z have
    gain 1.)
    """
    matrices = dict(encoder.layers.named_parameters())
    branches = sum(name.endswith(_OUTPUTS) for name in matrices)
    alpha, beta = branches**0.25, (4 * branches) ** -0.25
    width = encoder.config.hidden_size
    for name, weight in matrices.items():
        if weight.dim() == 1:  # GAU's γ stay 1
            continue
        if name.endswith(_OUTPUTS):
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
    """Replace each token embedding by its expectation under the masking of pretraining (kexue.fm 8770).

    A masked language model is trained on inputs with [MASK], which downstream tasks do not have; taking the expectation
    removes the difference, as scaling does for dropout. If a fraction p of the tokens was masked, 0.8 of them as [MASK]
    and 0.1 as a random token: E_i ← (1 − 0.9p)·E_i + 0.8p·E_[MASK] + 0.1p·mean(E). (The post has p = 0.15 and hence
    0.865, 0.12, 0.015.)

    Args:
        embeddings: [v, d], changed in place.
        mask_id: of [MASK].
        ordinary: [n] ids of the tokens that could be masked; the other embeddings do not change.
        masked: p, in [0, 1].
    """
    originals = embeddings[ordinary]
    replacements = AS_MASK * embeddings[mask_id] + AS_RANDOM * originals.mean(0)
    embeddings[ordinary] = (1 - masked * (AS_MASK + AS_RANDOM)) * originals + masked * replacements
