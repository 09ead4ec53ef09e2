"""The distillation of embed-base into fewer layers: which of them are kept, and that the student learns."""

import importlib
from pathlib import Path

import pytest
import torch

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build

CHARACTERS = "今天气很好明早有雨我们去公园花呗怎么还款"


@pytest.fixture
def fewer_layers(monkeypatch):
    """The recipe's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "embed-base"))
    return importlib.import_module("fewer_layers")


@pytest.fixture
def texts(fewer_layers):
    tokenizer = CharTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(CHARACTERS)])
    lines = [CHARACTERS[start : start + size] for size in range(2, 12) for start in range(8)]
    return fewer_layers.Texts(lines, tokenizer, 8)


@pytest.fixture
def teacher():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_layers": 4, "num_heads": 2, "intermediate_size": 32, "dropout": 0.0}
    network = build({"type": "bert", "vocab_size": 30, **sizes}).eval().requires_grad_(False)
    for parameter in network.layers.parameters():
        parameter.mul_(4)  # so that every layer changes the states much
    return network


def test_long_texts_are_truncated(texts):
    assert texts.longest == 8
    assert max(map(len, texts.sequences)) == 8


def test_the_layer_that_changes_the_vectors_least_is_removed_first(fewer_layers, teacher, texts):
    for name, parameter in teacher.layers[2].named_parameters():
        parameter.mul_(0.0 if "norm" not in name else 0.25)  # passes on its input, which is normalized already
    assert fewer_layers.kept_layers(teacher, 3, texts) == [0, 1, 3]
    assert fewer_layers.kept_layers(teacher, 4, texts) == [0, 1, 2, 3]
    assert len(teacher.layers) == 4


def test_a_student_with_all_layers_has_no_loss(fewer_layers, teacher, texts):
    student = fewer_layers.with_layers(teacher, [0, 1, 2, 3])
    assert fewer_layers.Distillation(student.eval(), teacher).loss(*texts(0)).item() == pytest.approx(0, abs=1e-4)


def test_a_student_learns_and_its_embeddings_and_teacher_stay(fewer_layers, teacher, texts):
    network = fewer_layers.Distillation(fewer_layers.with_layers(teacher, [0, 3]), teacher)
    assert not any(name.startswith("teacher") for name in network.state_dict())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 1e-2)
    losses = []
    for step in range(60):
        loss = network.loss(*texts(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-6:]) < sum(losses[:6]) / 2
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert torch.equal(network.backbone.token_embeddings, teacher.token_embeddings)
