"""The three heads in numpy against the network of torch, and their sparse labels."""

import numpy as np
import pytest
import torch
from support import randomize

from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.spans.linked import NAMES, Linked, collate_linked, linked_head
from nlpkit.core.spans.linker import LinkerNetwork
from nlpkit.core.spans.spans import SpanIndex
from nlpkit.nn.backbones import build
from nlpkit.nn.network import Inputs

SIZES = {"hidden_size": 64, "num_layers": 1, "num_heads": 1, "intermediate_size": 64, "vocab_size": 30}


@pytest.mark.parametrize("ordered", [True, False])
def test_the_heads_are_those_of_the_network(ordered):
    network = LinkerNetwork(build({"type": "roformer_v2", **SIZES}), 5, 2, 16, ordered=ordered).eval()
    randomize(network, 4)
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    inputs = Inputs(torch.randint(5, 30, (2, 9), generator=torch.Generator().manual_seed(1)), mask)
    weights = StoredWeights({name: value.numpy() for name, value in network.state_dict().items()})
    head = linked_head(weights, 64, 5, 2, 16, ordered=ordered)
    with torch.no_grad():
        states, expected = network.backbone(inputs.input_ids, mask), network(inputs)
    for ours, theirs in zip(head(states.numpy(), mask.numpy()), expected, strict=True):
        for our, their in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(our, their.numpy(), rtol=1e-4, atol=1e-4)


def test_sparse_labels_of_each_head():
    gold = Linked([SpanIndex(4, 1, 2), SpanIndex(0, 3, 3)], [SpanIndex(1, 3, 1)], [])
    labels = collate_linked([gold, Linked([], [], [])], 5, 2, 9)
    assert {name: labels[name].shape for name in NAMES} == {"spans": (2, 5, 1), "heads": (2, 2, 1), "tails": (2, 2, 0)}
    assert labels["spans"][0, :, 0].tolist() == [3 * 9 + 3, -1, -1, -1, 1 * 9 + 2]
    assert labels["heads"].flatten().tolist() == [-1, 3 * 9 + 1, -1, -1]
