"""The head in numpy against that of torch."""

import numpy as np
import pytest
import torch
from classify_support import network_of, task

from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.tasks.classify.network.head import linear_head

WIDTH, LABELS = 64, ("a", "b", "c")


@pytest.fixture
def network():
    found = network_of(task(LABELS))
    generator = torch.Generator().manual_seed(1)
    found.standardize.mean.copy_(torch.randn(WIDTH, generator=generator))
    found.standardize.deviation.fill_(0.7)
    with torch.no_grad():
        found.head.bias.copy_(torch.randn(3, generator=generator))
    return found


def stored(network, **changes):
    """The weights of the head; a weight is left out where its change is None."""
    values = {name: value.numpy() for name, value in network.state_dict().items() if not name.startswith("backbone.")}
    values |= changes
    return StoredWeights({name: value for name, value in values.items() if value is not None})


def test_logits_are_those_of_torch(network):
    random = np.random.default_rng(0)
    states = random.standard_normal((5, 9, WIDTH)).astype(np.float32)
    attention_mask = np.arange(9) < np.array([9, 7, 3, 2, 1])[:, None]
    weights = stored(network)
    found = linear_head(weights, WIDTH, 3)(states, attention_mask)
    weights.check_all_taken()
    expected = network.logits(torch.from_numpy(states), torch.from_numpy(attention_mask)).detach().numpy()
    assert (found.shape, found.dtype) == ((5, 3), np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    changed = np.where(attention_mask[:, :, None], states, 99)  # padding is not read
    np.testing.assert_array_equal(linear_head(stored(network), WIDTH, 3)(changed, attention_mask), found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head.weight": None}, "there is no head.weight"),
        ({"head.bias": None}, "there is no head.bias"),
        ({"standardize.mean": None}, "there is no standardize.mean"),
        ({"standardize.deviation": np.ones(1, np.float32)}, r"size mismatch for standardize.deviation: \[1\] instead"),
        ({"head.weight": np.ones((2, WIDTH), np.float32)}, r"size mismatch for head.weight: \[2, 64\] instead of \[3,"),
        ({"head.bias": np.ones(2, np.float32)}, r"size mismatch for head.bias: \[2\] instead of \[3\]"),
    ],
)
def test_weights_that_do_not_fit(network, changes, message):
    with pytest.raises(ValueError, match=message):
        linear_head(stored(network, **changes), WIDTH, 3)
