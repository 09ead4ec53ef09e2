"""The step to the harm of the loss, and back; the penalty of the gradient against finite differences."""

import pytest
import torch

from nlpkit.nn.optim.adversarial import gradient_penalty, perturbed, recorded_embeddings


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


class Tiny(torch.nn.Module):
    """An embedding, attention and a nonlinear loss, in double precision for finite differences."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.other = torch.nn.Embedding(7, 4)
        self.embeddings = torch.nn.Embedding(7, 4)
        self.linear = torch.nn.Linear(4, 2)
        self.double()

    def of_embeddings(self, embedded):
        states = torch.nn.functional.scaled_dot_product_attention(embedded, embedded, embedded)
        return self.linear(states.tanh()).logsumexp(-1).square().mean()

    def forward(self, ids):
        return self.of_embeddings(self.embeddings(ids) + self.other(ids))


IDS = torch.tensor([[1, 2, 2, 0], [3, 1, 6, 6]])


def penalty_by_differences(network, step=1e-5):
    """½ Σ (∂loss/∂e)² over the embedding of every place, each by a central difference."""
    with torch.no_grad():
        embedded, total = network.embeddings(IDS) + network.other(IDS), 0.0
        for place in torch.cartesian_prod(*map(torch.arange, embedded.shape)):
            values = []
            for sign in (1, -1):
                moved = embedded.clone()
                moved[tuple(place)] += sign * step
                values.append(network.of_embeddings(moved))
            total += ((values[0] - values[1]).item() / (2 * step)) ** 2 / 2
    return total


def penalty_of(network):
    with recorded_embeddings(network, network.embeddings.weight) as outputs:
        loss = network(IDS)
        return gradient_penalty(loss, outputs)


def test_the_penalty_is_half_the_squared_norm_of_the_gradient():
    network = Tiny()
    assert penalty_of(network).item() == pytest.approx(penalty_by_differences(network), rel=1e-4)


def test_the_gradient_of_the_penalty_by_differences():
    """The step is wide, as the penalty is computed in single precision."""
    network, step = Tiny(), 3e-3
    penalty_of(network).backward()
    for weight in (network.embeddings.weight, network.linear.weight, network.other.weight):
        gradient = weight.grad
        for place in ((1, 2), (0, 1)):
            values = []
            for sign in (1, -2, 1):
                with torch.no_grad():
                    weight[place] += sign * step
                values.append(penalty_of(network).item())
            assert gradient[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=0.02, abs=1e-5)
        assert gradient.abs().max() > 1e-4


def test_every_use_of_the_embedding_is_recorded_and_no_other():
    network = Tiny()
    with recorded_embeddings(network, network.embeddings.weight) as outputs:
        assert outputs == []
        network(IDS)
        network(IDS[:1])
    assert [output.shape for output in outputs] == [(2, 4, 4), (1, 4, 4)]
    assert torch.equal(outputs[0], network.embeddings(IDS))
    network(IDS)
    assert len(outputs) == 2  # not outside of the context
    with pytest.raises(KeyError), recorded_embeddings(network, network.embeddings.weight) as outputs:
        raise KeyError
    network(IDS)
    assert outputs == []


def test_two_passes_are_penalized_together():
    network = Tiny()
    with recorded_embeddings(network, network.embeddings.weight) as outputs:
        loss = network(IDS) + 3 * network(IDS[:1])
        both = gradient_penalty(loss, outputs).item()
    parts = []
    for ids, factor in ((IDS, 1), (IDS[:1], 3)):
        with recorded_embeddings(network, network.embeddings.weight) as outputs:
            parts.append(gradient_penalty(factor * network(ids), outputs).item())
    assert both == pytest.approx(sum(parts))
