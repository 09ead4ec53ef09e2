"""A network that is called with arrays of numpy."""

import numpy as np
import torch
from torch import nn

from nlpkit.nn.backbones import build
from nlpkit.nn.factors import Factors
from nlpkit.nn.network import Inputs, Network, TorchRunner

SIZES = {"type": "roformer_v2", "vocab_size": 20, "hidden_size": 16, "num_layers": 1, "num_heads": 2}


class Sums(Network):
    def __init__(self):
        super().__init__()
        self.backbone, self.dropout = build(SIZES), nn.Dropout(0.9)

    def forward(self, inputs):
        ids = self.dropout(inputs.input_ids.float())
        return Factors(ids, inputs.attention_mask.sum(1), torch.ones(1))


def test_outputs_are_arrays_in_evaluation_mode_without_gradients():
    network = Sums().train()
    runner = TorchRunner(network, torch.device("cpu"), torch.float32)
    ids, mask = np.array([[3, 4, 0]]), np.array([[True, True, False]])
    found = runner(ids, mask)
    assert isinstance(found, Factors)
    assert [type(part) for part in found] == [np.ndarray] * 3
    assert (found.pairs.tolist(), found.starts.tolist()) == ([[3, 4, 0]], [2])
    assert not network.training
    assert runner.device_type == "cpu"
    assert runner.parameters == sum(parameter.numel() for parameter in network.parameters())


def test_inputs_share_the_memory_of_their_arrays():
    ids, mask = np.array([[3, 4]]), np.array([[True, True]])
    inputs = Inputs.of(ids, mask)
    ids[0, 0] = 9
    assert inputs.input_ids.tolist() == [[9, 4]]
    assert inputs.attention_mask.dtype == torch.bool
    assert inputs.token_type_ids is inputs.position_ids is None
