"""Linear layers whose rows share parts: what they compute, what they learn, and the plain layers that they become."""

import pytest
import torch
from torch import nn

from nlpkit.nn.layers.shared_rows import SharedRows, make_plain, plain_weights

PARTS = [["buy", "date"], ["buy", "price"], ["sell", "date"], ["meet"]]


@pytest.fixture
def network():
    """Two rows for each of four labels, then another layer."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 1)))


@pytest.fixture
def shared(network):
    network[0] = SharedRows(network[0], PARTS)
    return network


def train(network, steps=5):
    """Steps at random inputs that only use the rows of the first label."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        network[0](torch.ones(1, 6))[:, :2].sum().backward()
        optimizer.step()


def test_it_computes_the_same_until_it_is_trained(network):
    x = torch.randn(3, 6)
    expected = network(x)
    network[0] = SharedRows(network[0], PARTS)
    assert torch.equal(network(x), expected)


def test_labels_learn_with_those_that_share_a_part(network, shared):
    before = shared[0].sums().detach()
    train(shared)
    moved = (shared[0].sums().detach() - before)[:, 0]
    own, part = moved[0].item(), moved[2].item()
    assert part < 0
    assert own == pytest.approx(3 * part)  # its own row and those of both parts
    assert moved.tolist() == pytest.approx([own, own, part, part, part, part, 0, 0], abs=1e-6)


def test_the_rows_of_a_label_do_not_share(shared):
    """They mean different things, such as the start and the end of a span."""
    before = shared[0].sums().detach()
    shared[0](torch.ones(1, 6))[:, 0].sum().backward()
    with torch.no_grad():
        for parameter in shared[0].parameters():
            parameter -= parameter.grad
    moved = (shared[0].sums().detach() - before)[:, 0]
    assert moved.nonzero()[:, 0].tolist() == [0, 2, 4]


def test_plain_weights_are_those_of_the_network_before_with_what_it_learned(network, shared):
    train(shared)
    x = torch.randn(3, 6)
    plain = nn.Sequential(nn.Linear(6, 8), nn.Sequential(nn.ReLU(), nn.Linear(8, 1)))
    plain.load_state_dict(plain_weights(shared))
    assert torch.allclose(plain(x), shared(x), atol=1e-6)
    assert isinstance(shared[0], SharedRows)


def test_a_network_made_plain_computes_the_same(shared):
    train(shared)
    x = torch.randn(3, 6)
    expected = shared(x)
    make_plain(shared)
    assert type(shared[0]) is nn.Linear
    assert torch.allclose(shared(x), expected, atol=1e-6)
    assert shared.state_dict().keys() == {"0.weight", "0.bias", "1.1.weight", "1.1.bias"}


def test_a_network_without_shared_rows_stays_as_it_is():
    network = nn.Linear(2, 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    make_plain(network)
    assert plain_weights(network).keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in plain_weights(network).items())
