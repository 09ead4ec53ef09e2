"""Weights are taken with their shapes, and none is left over."""

import numpy as np
import pytest

from nlpkit.core.onnx.weights import StoredWeights

VALUES = {"head.bias": np.ones(3, np.float32), "head.deep.weight": np.ones((2, 3), np.float32), "other": np.ones(())}


def test_weights_are_taken_under_their_prefix():
    weights = StoredWeights(VALUES)
    deep = weights.under("head.").under("deep.")
    assert "weight" in deep
    assert "weight" not in weights
    assert deep.take("weight", 2, 3) is VALUES["head.deep.weight"]
    assert weights.take("other") is VALUES["other"]


def test_what_is_left_is_named():
    weights = StoredWeights(VALUES)
    weights.under("head.").take("bias", 3)
    with pytest.raises(ValueError, match=r"^unexpected head\.deep\.weight, other$"):
        weights.check_all_taken()
    with pytest.raises(ValueError, match=r"^unexpected head\.deep\.weight$"):
        weights.under("head.").check_all_taken()
    weights.under("head.deep.").take("weight", 2, 3)
    weights.under("head.").check_all_taken()


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("weight", (3,), "^there is no head.weight$"),
        ("bias", (4,), r"^size mismatch for head.bias: \[3\] instead of \[4\]$"),
        ("bias", (3, 1), r"^size mismatch for head.bias: \[3\] instead of \[3, 1\]$"),
    ],
)
def test_a_weight_that_does_not_fit(name, shape, message):
    with pytest.raises(ValueError, match=message):
        StoredWeights(VALUES, "head.").take(name, *shape)


def test_weights_that_are_not_needed_are_discarded_without_reading_them():
    class Unread(dict):
        def __getitem__(self, name):
            assert not name.startswith("head."), name
            return super().__getitem__(name)

    weights = StoredWeights(Unread(VALUES))
    weights.discard("head.")
    with pytest.raises(ValueError, match=r"^unexpected other$"):
        weights.check_all_taken()
    weights.take("other")
    weights.check_all_taken()


def test_only_weights_below_the_prefix_are_discarded():
    weights = StoredWeights(VALUES)
    weights.under("head.").discard("deep.")
    weights.discard("nothing.")
    with pytest.raises(ValueError, match=r"^unexpected head\.bias, other$"):
        weights.check_all_taken()
