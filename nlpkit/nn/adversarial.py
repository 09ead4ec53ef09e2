"""Adversarial training of embeddings."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def perturbed(weight: Tensor, size: float) -> Iterator[None]:
    """Inside, a matrix lies a step of this length along its gradient, where the loss is greater; then back again.

    The Fast Gradient Method (arXiv 1605.07725; kexue.fm 7234): a second backward pass inside adds the gradient there.
    A matrix without a gradient, or with an infinite one, stays where it is.

    Args:
        weight: that of the embeddings, with its gradient.
        size: Euclidean length of the step, over the whole matrix.
    """
    kept, gradient = weight.detach().clone(), weight.grad
    if gradient is not None and 0 < (norm := gradient.float().norm()) < torch.inf:
        with torch.no_grad():
            weight.add_(gradient * (size / norm))
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(kept)
