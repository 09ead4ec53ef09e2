"""The moving average of weights against its definition."""

import pytest
import torch
from torch import nn

from nlpkit.nn.optim.ema import EMA


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def values(network):
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def move(network):
    """A step of training: the weights become others."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))


@pytest.mark.parametrize("decay", [0.3, 0.99])
def test_the_average_is_that_of_a_loop_over_the_steps(network, decay):
    average, expected = EMA(network, decay), values(network)
    for step in range(20):
        move(network)
        average.update(step)
        used = min(decay, (1 + step) / (10 + step))
        expected = {name: used * expected[name] + (1 - used) * value for name, value in values(network).items()}
    for name, value in expected.items():
        torch.testing.assert_close(average.averages[name], value)


def test_the_average_is_in_the_network_inside_the_context_only(network):
    average, before = EMA(network, 0.5), values(network)
    move(network)
    after = values(network)

    def use():
        with average.swapped_in():
            assert all(torch.equal(value, before[name]) for name, value in values(network).items())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert all(torch.equal(value, after[name]) for name, value in values(network).items())


def test_a_decay_of_zero_averages_nothing(network):
    average, before = EMA(network, 0.0), values(network)
    average.update(5)
    assert average.averages == {}
    with average.swapped_in():
        assert all(torch.equal(value, before[name]) for name, value in values(network).items())
    average.load({})
    assert average.averages == {}


def test_a_saved_average_goes_on_where_it_was(network):
    average = EMA(network, 0.9)
    move(network)
    average.update(3)
    saved = {name: value.clone() for name, value in average.averages.items()}
    again = EMA(network, 0.9)
    again.load(saved)
    move(network)
    for one in (average, again):
        one.update(4)
    assert all(torch.equal(value, again.averages[name]) for name, value in average.averages.items())
