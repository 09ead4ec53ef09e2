"""Prepacked layers give what those of torch give."""

import copy

import pytest
import torch
from torch import nn

from nlpkit.nn.configs import ACTIVATIONS
from nlpkit.nn.layers.prepack import ActivatedLinear, PrepackedLinear, can_prepack, prepack

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
         "intermediate_size": 24, "max_position_embeddings": 12, "initializer_range": 0.4}  # fmt: skip


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("bias", [True, False])
def test_packed_layers(dtype, most, activation, bias):
    torch.manual_seed(0)
    layer = nn.Linear(8, 5, bias=bias) if activation is None else ActivatedLinear(8, 5, activation)
    network = nn.Sequential(nn.Sequential(layer)).to(dtype)
    packed = copy.deepcopy(network)
    prepack(packed)
    x = torch.randn(2, 3, 8).to(dtype)
    with torch.inference_mode():
        expected, found = network(x), packed(x)
    assert isinstance(packed[0][0], PrepackedLinear) == can_prepack(dtype)
    assert found.shape == (2, 3, 5)
    assert (found - expected).abs().max() < most


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("operator", ["_prepacked", "_product"])
def test_a_cpu_that_cannot_prepack_keeps_the_plain_layers(monkeypatch, dtype, operator):
    """oneDNN reports missing instructions as a RuntimeError of either operator."""

    def fail(*_):
        raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs the cpu support avx_ne_convert or avx512bw")

    monkeypatch.setattr(f"nlpkit.nn.layers.prepack.{operator}", fail)
    can_prepack.cache_clear()
    layer = ActivatedLinear(8, 5, "gelu").to(dtype)
    network = nn.Sequential(layer)
    prepack(network)
    can_prepack.cache_clear()
    assert network[0] is layer


def test_asking_the_cpu_leaves_the_random_numbers_alone():
    can_prepack.cache_clear()
    state = torch.get_rng_state()
    can_prepack(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_not_packed():
    network = nn.Sequential(nn.Linear(3, 3)).to(torch.float64)
    prepack(network)
    assert not any(isinstance(module, PrepackedLinear) for module in network.modules())
