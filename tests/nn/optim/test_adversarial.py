"""The step to the harm of the loss, and back."""

import pytest
import torch

from nlpkit.nn.optim.adversarial import perturbed


@pytest.fixture
def weight():
    return torch.nn.Parameter(torch.randn(7, 3, generator=torch.Generator().manual_seed(0)))


def loss(weight):
    return (weight.sin() * torch.arange(3)).square().sum()


def test_inside_the_loss_is_greater_and_its_gradient_is_added(weight):
    start = weight.detach().clone()
    loss(weight).backward()
    first = weight.grad.clone()
    with perturbed(weight, first, 0.05):
        assert (weight - start).norm().item() == pytest.approx(0.05, rel=1e-4)
        assert loss(weight) > loss(start)
        loss(weight).backward()
    assert torch.equal(weight.detach(), start)
    there = (start + 0.05 * first / first.norm()).requires_grad_()
    loss(there).backward()
    assert torch.allclose(weight.grad, first + there.grad, atol=1e-6)


@pytest.mark.parametrize("gradient", [None, 0.0, torch.inf, torch.nan])
def test_without_a_direction_it_stays(weight, gradient):
    start = weight.detach().clone()
    with perturbed(weight, None if gradient is None else torch.full_like(weight, gradient), 1.0):
        assert torch.equal(weight.detach(), start)


def test_an_error_inside_leaves_the_weights_as_they_were(weight):
    start = weight.detach().clone()
    with pytest.raises(KeyError), perturbed(weight, torch.ones_like(weight), 1.0):
        raise KeyError
    assert torch.equal(weight.detach(), start)
