"""Pointers in numpy against the modules of torch with the same weights."""

import numpy as np
import pytest
import torch
from support import randomize

from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.spans.pointers import Sizes, efficient_pointer, global_pointer, standardized
from nlpkit.nn.global_pointer import EfficientGlobalPointer, GlobalPointer
from nlpkit.nn.layers.norm import Standardize

SIZES = Sizes(width=16, labels=3, head=8)
MASK = torch.arange(7) < torch.tensor([[7], [4], [1]])
STATES = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(0))


def weights_of(module):
    return StoredWeights({name: value.numpy() for name, value in module.state_dict().items()})


@pytest.mark.parametrize("rope", [True, False])
@pytest.mark.parametrize("triangle", [True, False])
def test_the_efficient_pointer(rope, triangle):
    module = EfficientGlobalPointer(16, 3, 8, rope=rope, triangle=triangle)
    randomize(module, 2)
    weights = weights_of(module)
    found = efficient_pointer(weights, SIZES, rope=rope, triangle=triangle)(STATES.numpy(), MASK.numpy())
    weights.check_all_taken()
    with torch.no_grad():
        expected = module.factors(STATES, MASK)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-5)


def test_the_global_pointer():
    module = GlobalPointer(16, 3, 8)
    randomize(module, 3)
    weights = weights_of(module)
    found = global_pointer(weights, SIZES)(STATES.numpy(), MASK.numpy())
    weights.check_all_taken()
    with torch.no_grad():
        np.testing.assert_allclose(found, module(STATES, MASK).numpy(), rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32


def test_states_are_standardized_where_the_checkpoint_says_how():
    module = Standardize(16)
    module.calibrate(STATES[MASK])
    values = {f"standardize.{name}": value.numpy() for name, value in module.state_dict().items()}
    head = standardized(StoredWeights(values), 16, lambda states, mask: states)
    np.testing.assert_allclose(head(STATES.numpy(), MASK.numpy()), module(STATES).numpy(), rtol=1e-6, atol=1e-6)
    plain = standardized(StoredWeights({}), 16, lambda states, mask: states)
    assert plain(STATES.numpy(), MASK.numpy()) is not None
    np.testing.assert_array_equal(plain(STATES.numpy(), MASK.numpy()), STATES.numpy())


def test_a_head_of_other_sizes_is_refused():
    weights = weights_of(EfficientGlobalPointer(16, 3, 8))
    with pytest.raises(ValueError, match=r"size mismatch for bias.weight: \[6, 16\] instead of \[8, 16\]"):
        efficient_pointer(weights, SIZES._replace(labels=4))
