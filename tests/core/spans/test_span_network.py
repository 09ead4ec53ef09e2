"""The states under the pointers: standardized, in fp32 for any backbone, and measured before training."""

import pytest
import torch

from nlpkit.core.spans.span_network import SpanNetwork
from nlpkit.nn.backbones import build
from nlpkit.nn.network import Inputs

SIZES = {"hidden_size": 64, "num_layers": 1, "num_heads": 1, "intermediate_size": 64, "vocab_size": 30}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SpanNetwork(build({"type": "roformer_v2", **SIZES})).eval()


@pytest.fixture
def inputs():
    mask = torch.arange(9) < torch.tensor([[9], [6]])
    return Inputs(torch.randint(5, 30, (2, 9), generator=torch.Generator().manual_seed(1)), mask)


def test_states_are_standardized_by_those_of_the_first_batch(network, inputs):
    network.calibrate_statistics([(inputs, {})].__getitem__)  # of a single batch
    states = network.states(inputs)[inputs.attention_mask]
    assert states.mean(0).abs().max() < 1e-4
    assert states.square().mean().item() == pytest.approx(1, abs=1e-4)
    raw = network.backbone(inputs.input_ids, inputs.attention_mask)[inputs.attention_mask]
    assert torch.allclose(states, (raw - raw.mean(0)) / (raw - raw.mean(0)).square().mean().sqrt(), atol=1e-4)


def test_measuring_leaves_padding_out(network, inputs):
    network.calibrate_statistics(lambda step: (inputs, {}))
    mean = network.standardize.mean.clone()
    wider = torch.nn.functional.pad(inputs.input_ids, (0, 5))
    network.calibrate_statistics(
        lambda step: (Inputs(wider, torch.nn.functional.pad(inputs.attention_mask, (0, 5))), {})
    )
    torch.testing.assert_close(network.standardize.mean, mean, atol=1e-5, rtol=1e-5)
    assert not network.standardize.mean.requires_grad


@pytest.mark.parametrize("autocast", [False, True])
def test_states_are_in_single_precision_for_any_backbone(network, inputs, autocast):
    network.calibrate_statistics(lambda step: (inputs, {}))
    exact = network.states(inputs)
    if not autocast:
        network.backbone.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        states = network.states(inputs)
    assert states.dtype == exact.dtype == torch.float32
    difference = (states - exact)[inputs.attention_mask].abs()
    assert 0 < difference.max() < 0.2


def test_states_are_dropped_out_in_training_alone(network, inputs):
    assert torch.equal(network.states(inputs), network.states(inputs))
    network.dropout.train()
    dropped = (network.states(inputs) == 0).float().mean()
    assert 0.05 < dropped < 0.15
