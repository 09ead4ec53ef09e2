"""The three heads: what they give, and their loss against the dense one."""

import pytest
import torch

from nlpkit.core.spans.linked import NAMES, Linked, collate_linked
from nlpkit.core.spans.linker import LinkerNetwork
from nlpkit.core.spans.spans import SpanIndex
from nlpkit.nn.backbones import build
from nlpkit.nn.losses import sparse_multilabel_loss
from nlpkit.nn.network import Inputs

SIZES = {"hidden_size": 64, "num_layers": 1, "num_heads": 1, "intermediate_size": 64, "vocab_size": 30}


@pytest.fixture
def network():
    torch.manual_seed(0)
    backbone = build({"type": "roformer_v2", **SIZES})
    return LinkerNetwork(backbone, num_labels=5, num_links=2, head_size=16, ordered=False).eval()


@pytest.fixture
def inputs():
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    return Inputs(torch.randint(5, 30, (2, 9), generator=torch.Generator().manual_seed(1)), mask)


def test_an_untrained_network_finds_nothing(network, inputs):
    outputs = network(inputs)
    assert [getattr(outputs, name).starts.shape for name in NAMES] == [(2, 9, 5), (2, 9, 2), (2, 9, 2)]
    assert all((getattr(outputs, name).dense() < 0).all() for name in NAMES)


def test_links_go_both_ways_and_spans_one(network, inputs):
    outputs = network(inputs)
    backwards = torch.ones(9, 9, dtype=torch.bool).tril(-1)
    assert (outputs.spans.pairs[:, backwards] < -1e30).all()
    assert (outputs.heads.pairs[0, backwards] > -1e30).all()
    assert (outputs.heads.pairs[1, 6:] < -1e30).all()
    assert (outputs.heads.pairs[1, :, 6:] < -1e30).all()


def test_the_loss_is_the_dense_one_summed_over_heads_and_labels(network, inputs):
    gold = Linked(
        [SpanIndex(4, 1, 2), SpanIndex(0, 3, 3), SpanIndex(0, 1, 4)],
        [SpanIndex(1, 3, 1)],
        [SpanIndex(1, 3, 2), SpanIndex(0, 4, 4)],
    )
    sparse = collate_linked([gold, Linked([], [], [])], 5, 2, 9)
    targets = {name: torch.from_numpy(values) for name, values in sparse.items()}
    assert [targets[name].shape for name in NAMES] == [(2, 5, 2), (2, 2, 1), (2, 2, 1)]
    outputs = network(inputs)
    expected = 0.0
    for name in NAMES:
        logits = getattr(outputs, name).dense().clamp(min=torch.finfo(torch.float32).min)
        expected += sparse_multilabel_loss(logits.flatten(2), targets[name]).item() * logits.shape[1]
    assert network.loss(inputs, targets).item() == pytest.approx(expected, rel=1e-5)
