"""Standardised states against their definition, and checkpoints from before there were any."""

import pytest
import torch

from nlpkit.nn.norm import Standardize


@pytest.fixture
def states():
    return 5 + torch.arange(8) + 0.3 * torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))


def test_each_dimension_has_mean_0_and_all_together_deviation_1(states):
    module = Standardize(8)
    module.measure(states)
    result = module(states)
    assert result.mean(0).abs().max() < 1e-4
    assert result.square().mean().item() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(result * module.deviation + module.mean, states, atol=1e-4)


def test_what_is_not_measured_is_left_as_it_is(states):
    assert torch.equal(Standardize(8)(states), states)


def test_constant_states_give_0(states):
    module = Standardize(8)
    module.measure(states[:1].expand(20, 8))
    assert module(states[:1]).abs().max() < 1e-2


def test_a_checkpoint_without_it_is_read_as_not_measured(states):
    with torch.device("meta"):
        module = torch.nn.Sequential(torch.nn.Linear(8, 8), Standardize(8))
    module.load_state_dict({"0.weight": torch.eye(8), "0.bias": torch.zeros(8)}, assign=True)
    assert torch.equal(module(states), states)
