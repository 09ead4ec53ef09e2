"""Optimizers and parameter groups: which weights learn at which rate, and Muon's steps."""

import pytest
import torch
from torch import nn

from nlpkit.nn.backbones import build
from nlpkit.nn.optim.optimizers import freeze_layers, make_optimizers, parameter_groups


class Network(nn.Module):
    """A backbone with a head."""

    def __init__(self, layers):
        super().__init__()
        sizes = {"vocab_size": 30, "hidden_size": 32, "num_heads": 2, "intermediate_size": 32}
        self.backbone = build({"type": "roformer_v2", **sizes, "num_layers": layers})
        self.head = nn.Linear(32, 3)


def fresh_network(layers=2):
    torch.manual_seed(1)
    return Network(layers)


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_layers_learn_at_their_own_rates():
    network = fresh_network(layers=3)
    groups = parameter_groups(network, lr=1.0, head_lr=5.0, layer_decay=0.5, weight_decay=0.1)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert len(rates) == sum(1 for _ in network.parameters())
    for name, parameter in network.named_parameters():
        layer = next((int(part) for part in name.split(".") if part.isdigit()), -1)
        expected = 5.0 if name.startswith("head.") else 0.5 ** (2 - layer)
        assert rates[id(parameter)] == (expected, 0.1 if parameter.dim() > 1 else 0.0), name
    assert groups[0]["lr"] == 1.0


def test_muon_steps_along_orthogonal_matrices_and_leaves_the_rest_to_adamw():
    network = fresh_network(layers=2)
    groups = parameter_groups(network, lr=0.01, head_lr=0.01, layer_decay=1.0, weight_decay=0.0)
    adamw, muon = make_optimizers(network, groups, "muon")
    theirs = {id(p) for group in muon.param_groups for p in group["params"]}
    names = {name for name, p in network.named_parameters() if id(p) in theirs}
    matrices = {name for name, p in network.named_parameters() if ".layers." in name and p.dim() == 2}
    assert names == matrices
    assert len(matrices) == 8
    rest = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert not rest & theirs
    assert len(rest | theirs) == len(list(network.parameters()))
    before = weights(network)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    for optimizer in (adamw, muon):
        optimizer.step()
    for name in matrices:
        step = before[name] - network.get_parameter(name).detach()
        values = torch.linalg.svdvals(step) / (0.01 * 0.2 * max(step.shape) ** 0.5)
        assert values.quantile(0.1) > 0.5, name
        assert values.max() < 1.5, name  # as near to 1 as five iterations bring them


def test_frozen_weights_are_in_no_group():
    network = fresh_network()
    network.backbone.embeddings.weight.requires_grad_(False)
    groups = parameter_groups(network, lr=1.0, head_lr=2.0, layer_decay=1.0, weight_decay=0.1)
    members = {id(parameter) for group in groups for parameter in group["params"]}
    assert id(network.backbone.embeddings.weight) not in members
    assert len(members) == len(list(network.parameters())) - 1


@pytest.mark.parametrize("head_lr", [0.5, 1.0, 2.0])
def test_the_rate_of_the_last_layer_is_that_of_the_first_group(head_lr):
    groups = parameter_groups(fresh_network(), lr=1.0, head_lr=head_lr, layer_decay=0.5, weight_decay=0.1)
    assert groups[0]["lr"] == 1.0
    assert {group["lr"] for group in groups} == {0.25, 0.5, 1.0, head_lr}


def test_adamw_has_all_weights_and_steps_as_published():
    network = fresh_network()
    groups = parameter_groups(network, lr=0.1, head_lr=0.2, layer_decay=1.0, weight_decay=0.5)
    (adamw,) = make_optimizers(network, groups, "adamw")
    before, gradient = weights(network), {}
    for name, parameter in network.named_parameters():
        parameter.grad = gradient[name] = torch.randn_like(parameter)
    adamw.step()
    for name, after in network.state_dict().items():
        rate = 0.2 if name.startswith("head") else 0.1
        decay = 0.5 if after.dim() > 1 else 0.0
        # the moments of the first step, without their bias, are the gradient and its square
        expected = before[name] * (1 - rate * decay) - rate * gradient[name] / (gradient[name].abs() + 1e-6)
        torch.testing.assert_close(after, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_frozen_layers_and_the_embeddings_below_them(count):
    network = fresh_network()
    freeze_layers(network.backbone, count)
    frozen = {name for name, parameter in network.backbone.named_parameters() if not parameter.requires_grad}
    embeddings = {"embeddings.weight", "segments.weight"} if count else set()
    below = {name for name, _ in network.backbone.named_parameters() for i in range(count) if f"layers.{i}." in name}
    assert frozen == embeddings | below
    trained = [p for group in parameter_groups(network, 1.0, 2.0, 1.0, 0.1) for p in group["params"]]
    assert {id(p) for p in trained} == {id(p) for p in network.parameters() if p.requires_grad}


def test_more_frozen_layers_than_there_are():
    with pytest.raises(ValueError, match=r"^the backbone has 2 layers$"):
        freeze_layers(fresh_network().backbone, 3)
