"""The network of NER against a dense loss over its logits."""

import pytest
import torch

from nlpkit.nn.backbones import build
from nlpkit.nn.factors import Factors
from nlpkit.nn.network import Inputs
from nlpkit.tasks.ner.model import NerNetwork

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 16}
MASK = torch.arange(6) < torch.tensor([[6], [4]])
INPUTS = Inputs(torch.randint(5, 30, (2, 6), generator=torch.Generator().manual_seed(0)), MASK)


@pytest.fixture(params=["efficient", "global"])
def network(request):
    torch.manual_seed(0)
    return NerNetwork(build({"type": "roformer_v2", **SIZES}), 3, request.param, 8).eval()


def dense(outputs):
    """Logits [b, c, s, s], of an efficient head from their factors."""
    return outputs.dense() if isinstance(outputs, Factors) else outputs


def test_logits_of_padding_and_of_reversed_spans_are_masked(network):
    logits = dense(network(INPUTS))
    assert (logits.shape, logits.dtype) == ((2, 3, 6, 6), torch.float32)
    allowed = (MASK[:, :, None] & MASK[:, None, :]).triu()[:, None].expand_as(logits)
    assert (logits[~allowed] < -1e9).all()
    assert (logits[allowed].abs() < 100).all()


def test_the_loss_is_that_of_all_pairs_of_logits(network):
    """kexue.fm 7359: log(1 + Σ e^negative) + log(1 + Σ e^−positive), averaged over sequences and labels."""
    spans = torch.tensor([[[1 * 6 + 2, 3 * 6 + 3], [4 * 6 + 4, -1], [-1, -1]], [[-1, -1], [1 * 6 + 2, -1], [-1, -1]]])
    logits, total = dense(network(INPUTS)).double(), 0.0
    for b in range(2):
        for label in range(3):
            gold = set(spans[b, label].tolist()) - {-1}
            scores = logits[b, label].flatten()
            negative = torch.stack([scores[i] for i in range(36) if i not in gold]).exp().sum()
            positive = sum((-scores[i]).exp() for i in gold)
            total += (1 + negative).log() + torch.as_tensor(1 + positive).log()
    assert network.loss(INPUTS, {"spans": spans}).item() == pytest.approx(total.item() / 6, rel=1e-4)


def test_heads_and_loss_are_in_single_precision_under_autocast(network):
    with torch.autocast("cpu", torch.bfloat16):
        assert dense(network(INPUTS)).dtype == torch.float32
        loss = network.loss(INPUTS, {"spans": torch.full((2, 3, 1), -1)})
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.head.parameters())
