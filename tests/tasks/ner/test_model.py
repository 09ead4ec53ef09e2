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

ALL = torch.ones(2, 3, dtype=torch.bool)


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
    assert network.loss(INPUTS, {"spans": spans, "annotated": ALL}).item() == pytest.approx(total.item() / 6, rel=1e-4)


def test_heads_and_loss_are_in_single_precision_under_autocast(network):
    with torch.autocast("cpu", torch.bfloat16):
        assert dense(network(INPUTS)).dtype == torch.float32
        loss = network.loss(INPUTS, {"spans": torch.full((2, 3, 1), -1), "annotated": ALL})
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(parameter.grad is not None for parameter in network.head.parameters())


def row_loss(scores, gold):
    """kexue.fm 7359 for the scores of one label [s, s]."""
    scores = scores.flatten()
    negative = sum(scores[i].exp() for i in range(len(scores)) if i not in gold)
    return torch.log(1 + negative) + torch.log(1 + torch.as_tensor(sum((-scores[i]).exp() for i in gold)))


def test_labels_without_annotation_are_not_in_the_loss(network):
    annotated = torch.tensor([[True, False, False], [False, True, True]])
    spans = torch.tensor([[[7], [8], [-1]], [[-1], [8], [-1]]])
    logits = dense(network(INPUTS)).double()
    expected = row_loss(logits[0, 0], {7}) + row_loss(logits[1, 1], {8}) + row_loss(logits[1, 2], set())
    loss = network.loss(INPUTS, {"spans": spans, "annotated": annotated})
    assert loss.item() == pytest.approx(expected.item() / 3, rel=1e-4)


def test_a_group_is_found_where_any_of_its_labels_is(network):
    network.groups = [[0, 2]]
    annotated = torch.tensor([[False, False, False, True], [True, False, False, False]])
    spans = torch.full((2, 4, 1), -1)
    spans[0, 3, 0] = 9
    logits = dense(network(INPUTS)).double()
    group = (logits[0, 0].exp() + logits[0, 2].exp()).log().clamp(min=-1e9)
    expected = row_loss(group, {9}) + row_loss(logits[1, 0], set())
    loss = network.loss(INPUTS, {"spans": spans, "annotated": annotated})
    assert loss.item() == pytest.approx(expected.item() / 2, rel=1e-4)
