"""The masked language model against its definition, position by position."""

import pytest
import torch
import torch.nn.functional as F

from nlpkit.nn.backbones import build
from nlpkit.nn.network import Inputs
from nlpkit.tasks.pretrain.model import MaskedLanguageModel

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 16}
IDS = torch.randint(5, 30, (2, 6), generator=torch.Generator().manual_seed(0))
POSITIONS, TARGETS = torch.tensor([1, 5, 8]), torch.tensor([7, 9, 29])  # row 0: 1 and 5, row 1: 2


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = MaskedLanguageModel(build({"type": "roformer_v2", **SIZES})).eval()
    with torch.no_grad():
        made.bias.normal_()
    return made


def test_logits_are_those_of_the_masked_positions(network):
    states = network.backbone(IDS, None)
    expected = []
    for row, column in ((0, 1), (0, 5), (1, 2)):
        x = F.gelu(network.transform.weight @ states[row, column])
        x = x / x.square().mean().sqrt()
        expected.append(network.backbone.embeddings.weight @ x + network.bias)
    logits = network(Inputs(IDS, IDS > 0), POSITIONS)
    torch.testing.assert_close(logits, torch.stack(expected), atol=1e-5, rtol=1e-4)


def test_the_loss_is_the_mean_cross_entropy_of_the_masked_tokens(network):
    inputs = Inputs(IDS, IDS > 0)
    expected = F.cross_entropy(network(inputs, POSITIONS), TARGETS)
    loss = network.loss(inputs, {"positions": POSITIONS, "ids": TARGETS})
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(loss, [network.backbone.embeddings.weight, network.bias, network.transform.weight])
    wanted = torch.autograd.grad(expected, [network.backbone.embeddings.weight, network.bias, network.transform.weight])
    for gradient, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-4)


def test_the_output_matrix_is_tied_to_the_embeddings(network):
    assert set(network.state_dict()) - {f"backbone.{name}" for name in network.backbone.state_dict()} == {
        "transform.weight",
        "bias",
    }
