"""The losses against slow definitions, the initialisation of the heads, and a few steps of training."""

import math

import pytest
import torch
from kgqa_support import SIZES, make_network

from nlpkit.nn.backbones import build
from nlpkit.nn.layers.prepack import count_parameters
from nlpkit.tasks.kgqa.network.model import KgqaNetwork, border_loss, mention_border_scores, ranking_loss, tree_loss
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_that_is_fixed_generates_the_same(dtype):
    """Its logits stay those of the backbone's own matrix, in fp32, and it has no more weights than before."""
    network = make_network()
    network.backbone.to(dtype)
    states, weights, names = torch.randn(70, 32), count_parameters(network), set(network.state_dict())
    with torch.inference_mode():
        before = network.generate(states)
        network.prepare_for_inference()
        after = network.generate(states)
    assert after.dtype == torch.float32
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    assert count_parameters(network) == weights
    assert set(network.state_dict()) <= names


def test_the_loss_of_a_choice_is_that_of_a_softmax_with_none():
    scores = torch.tensor([1.0, 2.0, 0.5, -1.0])
    targets = {"question_ids": torch.tensor([0, 0, 0, 2]), "key_ids": torch.tensor([0, 1, 2, 0])}
    gold = torch.tensor([1, -1, 0])  # the second question has no candidate
    first = math.log(1 + math.e + math.e**2 + math.e**0.5) - 2
    last = math.log(1 + math.e**-1) + 1
    assert ranking_loss(scores, targets, gold).item() == pytest.approx((first + 0 + last) / 3)


def test_the_borders_are_distributions_over_the_tokens_of_the_question():
    network = make_network()
    states = torch.randn(2, 6, 32)
    scores = network.border_scores(states, torch.tensor([6, 4]))
    inside = scores.exp()
    torch.testing.assert_close(inside.sum(1), torch.ones(2, 2))
    assert inside[0, [0, 5]].max() == inside[1, [0, 3, 4, 5]].max() == 0  # [CLS], [SEP] and what is behind it
    spans = torch.tensor([[2, 4], [-1, -1]])
    expected = -(scores[0, 2, 0] + scores[0, 4, 1]) / 2
    assert border_loss(scores, spans).item() == pytest.approx(expected.item())
    assert border_loss(scores, torch.full((2, 2), -1)).item() == 0.0
    mentions = torch.tensor([[2, 4], [-1, -1], [1, 1]])
    found = mention_border_scores(scores, torch.tensor([0, 0, 1]), mentions)
    assert found[0].tolist() == pytest.approx([scores[0, 2, 0].clamp(-5).item(), scores[0, 4, 1].clamp(-5).item()])
    assert found[1].tolist() == [-5.0, -5.0]


def test_the_loss_of_the_tree_renormalises_what_is_allowed():
    logits = torch.randn(3, 6)
    targets = {
        "next_tokens": torch.tensor([2, 5, 1]),
        "allowed": torch.tensor([2, 3, 0, 1, 4]),
        "allowed_steps": torch.tensor([0, 0, 2, 2, 2]),
        "questions": torch.tensor(2),
    }
    first = logits[0, [2, 3]].logsumexp(0) - logits[0, 2]
    third = logits[2, [0, 1, 4]].logsumexp(0) - logits[2, 1]
    assert tree_loss(logits, targets).item() == pytest.approx(((first + third) / 2).item(), rel=1e-5)
    nothing = {**targets, "allowed": torch.empty(0).long(), "allowed_steps": torch.empty(0).long()}
    assert tree_loss(logits, nothing).item() == 0.0


@pytest.mark.parametrize("kind", SIZES)
def test_training_brings_the_losses_down(dataset, kind):
    network = make_network(kind=kind).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for step in range(30):
        loss = network.loss(*dataset(step))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])


def test_each_loss_can_be_left_out(dataset):
    inputs, targets = dataset(0)
    for index in range(5):
        network = make_network()
        network.weights = tuple(1.0 if index == i else 0.0 for i in range(5))
        assert network.loss(inputs, targets).item() > 0
    network.weights = (0.0, 0.0, 0.0, 0.0, 0.0)
    assert network.loss(inputs, targets).item() == 0.0


def test_the_generator_goes_on_where_the_pretrained_head_stopped():
    sizes = {"type": "roformer_v2", "vocab_size": 20, **SIZES["roformer_v2"]}
    backbone = build(sizes)
    backbone.extra_weights = {"transform.weight": torch.ones(32, 32), "bias": torch.ones(20), "other": torch.ones(3)}
    network = KgqaNetwork(backbone, NUM_FEATURES, (1, 1, 1, 1, 1))
    assert torch.equal(network.transform.weight, torch.ones(32, 32))
    assert torch.equal(network.bias, torch.ones(20))
    backbone.extra_weights = {"transform.weight": torch.ones(3, 3)}
    assert KgqaNetwork(backbone, NUM_FEATURES, (1, 1, 1, 1, 1)).transform.weight.shape == (32, 32)
