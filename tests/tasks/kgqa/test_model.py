"""The losses against loops, the heads' beginnings, and the training rows."""

import math

import pytest
import torch
from kgqa_support import QUESTIONS, SIZES, TOKENIZER, make_graph, make_network

from nlpkit.core.io.records import Line
from nlpkit.core.model.checkpoint import count_parameters
from nlpkit.nn.backbones import build
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.triples import split_subject
from nlpkit.tasks.kgqa.model import KgqaNetwork, at_borders, border_loss, choice_loss, tree_loss
from nlpkit.tasks.kgqa.retrieval.candidates import FEATURES
from nlpkit.tasks.kgqa.training import dataset
from nlpkit.tasks.kgqa.training.dataset import KeyRows, find_key


def examples():
    for number, (question, gold) in enumerate(QUESTIONS, 1):
        subject, predicate, object_ = gold.split(" ||| ")
        yield Example(question, *split_subject(subject), predicate, object_, Line("", "gold", number))


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g")


@pytest.fixture
def rows(graph):
    return KeyRows(list(examples()), graph, TOKENIZER, 64, 4, seed=1)


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
    targets = {"rows": torch.tensor([0, 0, 0, 2]), "slots": torch.tensor([0, 1, 2, 0])}
    gold = torch.tensor([1, -1, 0])  # the second question has no candidate
    first = math.log(1 + math.e + math.e**2 + math.e**0.5) - 2
    last = math.log(1 + math.e**-1) + 1
    assert choice_loss(scores, targets, gold).item() == pytest.approx((first + 0 + last) / 3)


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
    found = at_borders(scores, torch.tensor([0, 0, 1]), mentions)
    assert found[0].tolist() == pytest.approx([scores[0, 2, 0].clamp(-5).item(), scores[0, 4, 1].clamp(-5).item()])
    assert found[1].tolist() == [-5.0, -5.0]


def test_the_loss_of_the_tree_renormalises_what_is_allowed():
    logits = torch.randn(3, 6)
    targets = {
        "next": torch.tensor([2, 5, 1]),
        "allowed": torch.tensor([2, 3, 0, 1, 4]),
        "allowed_rows": torch.tensor([0, 0, 2, 2, 2]),
        "questions": torch.tensor(2),
    }
    first = logits[0, [2, 3]].logsumexp(0) - logits[0, 2]
    third = logits[2, [0, 1, 4]].logsumexp(0) - logits[2, 1]
    assert tree_loss(logits, targets).item() == pytest.approx(((first + third) / 2).item(), rel=1e-5)
    nothing = {**targets, "allowed": torch.empty(0).long(), "allowed_rows": torch.empty(0).long()}
    assert tree_loss(logits, nothing).item() == 0.0


def test_the_rows_hold_the_right_key_among_others(graph, rows):
    assert rows.notes == {"rows": 5, "not_in_graph": 0}
    for example, row in zip(examples(), rows.rows, strict=True):
        assert row.tokens == graph.tree.tokens(find_key(graph, example)).tolist()
        assert len(row.forest.path(row.tokens)) == len(row.tokens)  # the whole key, its meaning included
        assert len(row.features) == len(row.log_weights) == len(row.hidden) == len(row.forest.leaves)
        assert row.features.shape[1] == FEATURES
        assert row.hidden[row.gold]
    director = rows.rows[1]
    assert director.question.text == "红楼梦电视剧的导演是谁？"
    assert sum(director.hidden) in (1, 4)  # the predicate alone, or all of the name


def test_drawn_keys_stand_for_all(graph, monkeypatch):
    monkeypatch.setattr(dataset, "RIGHT_KEYS", 2)
    rows = KeyRows(list(examples()), graph, TOKENIZER, 64, 4, seed=1)
    novel = rows.rows[0]  # four keys, of which two are drawn: the right one, and one for three
    weights = sorted(novel.log_weights[:2])
    assert weights == pytest.approx([0.0, math.log(3)])
    assert novel.log_weights[novel.gold] == 0.0


def test_a_batch_is_a_function_of_its_step(rows):
    for step in (0, 1, 5):
        first, second = rows(step), rows(step)
        assert torch.equal(first[0].input_ids, second[0].input_ids)
        assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])
    assert rows.steps_per_epoch == 2


def test_triples_that_the_graph_lacks_are_left_out(graph):
    lost = Example("黄河有多长？", "黄河", "", "长度", "5464公里", Line("", "gold", 1))
    rows = KeyRows([lost, *examples()], graph, TOKENIZER, 64, 4, seed=1)
    assert rows.notes == {"rows": 5, "not_in_graph": 1}


@pytest.mark.parametrize("kind", SIZES)
def test_training_brings_the_losses_down(rows, kind):
    network = make_network(kind=kind).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for step in range(30):
        loss = network.loss(*rows(step))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])


def test_each_loss_can_be_left_out(rows):
    inputs, targets = rows(0)
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
    network = KgqaNetwork(backbone, FEATURES, (1, 1, 1, 1, 1))
    assert torch.equal(network.transform.weight, torch.ones(32, 32))
    assert torch.equal(network.bias, torch.ones(20))
    backbone.extra_weights = {"transform.weight": torch.ones(3, 3)}
    assert KgqaNetwork(backbone, FEATURES, (1, 1, 1, 1, 1)).transform.weight.shape == (32, 32)


def test_a_graph_without_a_choice_is_trained_on(tmp_path):
    graph = make_graph(tmp_path / "one", [("红楼梦", "作者", "曹雪芹")])
    only = Example("红楼梦的作者是谁？", "红楼梦", "", "作者", "曹雪芹", Line("", "gold", 1))
    inputs, targets = KeyRows([only], graph, TOKENIZER, 64, 4, seed=1)(0)
    assert len(targets["allowed"]) == len(targets["allowed_rows"]) == 0
    assert make_network().train().loss(inputs, targets).isfinite()
