"""Adversarial training of embeddings."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def perturbed(weight: Tensor, gradient: Tensor | None, size: float) -> Iterator[None]:
    """Inside, a matrix lies a step of this length along a gradient, where the loss is greater; then back again.

    The Fast Gradient Method (arXiv 1605.07725; kexue.fm 7234): a second backward pass inside adds the gradient there.
    Without a gradient, or along an infinite one, it stays where it is.

    Args:
        weight: that of the embeddings.
        gradient: of the loss by it, for the batch to be read again.
        size: Euclidean length of the step, over the whole matrix.
    """
    kept = weight.detach().clone()
    if gradient is not None and 0 < (norm := gradient.float().norm()) < torch.inf:
        with torch.no_grad():
            weight.add_(gradient * (size / norm))
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(kept)
