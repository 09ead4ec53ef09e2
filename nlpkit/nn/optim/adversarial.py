"""Adversarial training of embeddings."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def perturbed(weight: Tensor, gradient: Tensor | None, size: float) -> Iterator[None]:
    """Add size · g/‖g‖ to a weight inside the context, and restore the weight afterwards.

    This is the Fast Gradient Method (FGM; arXiv 1605.07725, kexue.fm 7234): a second backward pass inside the context
    adds the gradient at the perturbed weight. Without a gradient, or with an infinite one, the weight is not changed.

    Args:
        weight: the embedding matrix.
        gradient: g, the gradient of the loss of the current batch with respect to the weight.
        size: L2 norm of the perturbation, over the whole matrix.
    """
    original = weight.detach().clone()
    if gradient is not None and 0 < (norm := gradient.float().norm()) < torch.inf:
        with torch.no_grad():
            weight.add_(gradient * (size / norm))
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(original)
