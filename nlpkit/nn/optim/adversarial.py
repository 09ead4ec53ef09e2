"""Adversarial training of embeddings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel


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


@contextmanager
def recorded_embeddings(network: nn.Module, weight: Tensor) -> Iterator[list[Tensor]]:
    """Yield a list that receives the output of an embedding whenever the network computes it inside the context.

    Attention is computed by kernels that have a second derivative.

    Args:
        network: has the embedding.
        weight: of the embedding.
    """
    outputs: list[Tensor] = []
    module = next(m for m in network.modules() if isinstance(m, nn.Embedding) and m.weight is weight)
    hook = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield outputs
    finally:
        hook.remove()


def gradient_penalty(loss: Tensor, outputs: list[Tensor]) -> Tensor:
    """Return ½‖∂loss/∂E‖² with E the embeddings of all tokens of the batch (kexue.fm 7234), a scalar.

    Args:
        loss: a scalar.
        outputs: of `recorded_embeddings`.

    Raises:
        RuntimeError: a part of the network has no second derivative.
    """
    gradients: Any = torch.autograd.grad(loss, outputs, create_graph=True)
    return sum((gradient.float().square().sum() for gradient in gradients), loss.new_zeros(())) / 2
