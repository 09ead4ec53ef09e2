"""Norms against their definitions, and checkpoints from before there were standardised states."""

import pytest
import torch
import torch.nn.functional as F

from nlpkit.nn.layers.norm import Standardize, rms_norm


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_rms_norm_in_training_is_torchs(dtype, tolerance):
    random = torch.Generator().manual_seed(0)
    x, weights = (torch.randn(3, 5, 16, generator=random).to(dtype) for _ in range(2))
    ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
    (result := rms_norm(ours, 1e-6)).backward(weights)
    (expected := F.rms_norm(theirs, (16,), eps=1e-6)).backward(weights.double())
    assert result.dtype == ours.grad.dtype == dtype
    assert (result - expected).norm() < tolerance * expected.norm()
    assert (ours.grad - theirs.grad).norm() < tolerance * theirs.grad.norm()


def test_rms_norm_of_zeros_is_zero_and_has_a_gradient():
    x = torch.zeros(2, 4, requires_grad=True)
    (result := rms_norm(x, 1e-6)).sum().backward()
    assert not result.any()
    assert torch.isfinite(x.grad).all()


@pytest.fixture
def states():
    return 5 + torch.arange(8) + 0.3 * torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))


def test_each_dimension_has_mean_0_and_all_together_deviation_1(states):
    module = Standardize(8)
    module.calibrate(states)
    result = module(states)
    assert result.mean(0).abs().max() < 1e-4
    assert result.square().mean().item() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(result * module.deviation + module.mean, states, atol=1e-4)


def test_what_is_not_measured_is_left_as_it_is(states):
    assert torch.equal(Standardize(8)(states), states)


def test_constant_states_give_0(states):
    module = Standardize(8)
    module.calibrate(states[:1].expand(20, 8))
    assert module(states[:1]).abs().max() < 1e-2


def test_a_checkpoint_without_it_is_read_as_not_measured(states):
    with torch.device("meta"):
        module = torch.nn.Sequential(torch.nn.Linear(8, 8), Standardize(8))
    module.load_state_dict({"0.weight": torch.eye(8), "0.bias": torch.zeros(8)}, assign=True)
    assert torch.equal(module(states), states)
