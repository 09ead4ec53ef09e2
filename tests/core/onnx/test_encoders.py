"""Graphs of encoders against the modules of torch with the same weights."""

import numpy as np
import pytest
import torch
from support import randomize

from nlpkit.core.onnx.encoders import supports
from nlpkit.core.onnx.session import OnnxEncoder
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.backbones import build
from nlpkit.nn.configs import ACTIVATIONS, GauAlphaConfig, read_config

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_layers": 3,
    "num_heads": 4,
    "intermediate_size": 48,
    "max_length": 32,
}
LENGTHS = (12, 7, 1)
MASK = np.arange(12) < np.array(LENGTHS)[:, None]
IDS = np.where(MASK, np.random.default_rng(0).integers(5, 40, MASK.shape), 0)


def made(kind, **sizes):
    """A description, a module with random weights, and its weights in numpy."""
    description = {"type": kind, **SIZES, **sizes}
    module = build(description).eval()
    randomize(module, 3)
    return description, module, {name: value.numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("kind", ["bert", "roformer_v2"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_states_are_those_of_torch(kind, activation):
    description, module, weights = made(kind, activation=activation)
    encoder = OnnxEncoder(read_config(description), StoredWeights(weights), layers=(0, 1))
    with torch.inference_mode():
        expected = module.hidden_states(torch.from_numpy(IDS), torch.from_numpy(MASK))
    found = encoder.hidden_states(IDS, MASK)
    for ours, theirs in zip(found, (expected[0], expected[1], expected[-1]), strict=True):
        np.testing.assert_allclose(ours[MASK], theirs.numpy()[MASK], rtol=2e-4, atol=2e-5)
    np.testing.assert_array_equal(encoder(IDS, MASK), found[-1])


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("kind", ["bert", "roformer_v2"])
def test_padding_changes_nothing(kind, int8):
    description, _, weights = made(kind)
    encoder = OnnxEncoder(read_config(description), StoredWeights(weights), int8=int8)
    together = encoder(IDS, MASK)
    for row, length in enumerate(LENGTHS):
        alone = encoder(IDS[row : row + 1, :length], MASK[row : row + 1, :length])
        np.testing.assert_allclose(together[row, :length], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roformer_v2"])
def test_states_in_int8_are_near(kind):
    description, _, weights = made(kind)
    config = read_config(description)
    exact, near = (OnnxEncoder(config, StoredWeights(weights), int8=int8)(IDS, MASK)[MASK] for int8 in (False, True))
    cosines = (exact * near).sum(-1) / np.linalg.norm(exact, axis=-1) / np.linalg.norm(near, axis=-1)
    assert 0.99 < cosines.min() < 0.999999


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("layers.1.outer.weight"), "there is no layers.1.outer.weight"),
        (lambda w: w.update({"embeddings.weight": w["embeddings.weight"][1:]}), "size mismatch for embeddings.weight"),
        (lambda w: w.update({"layers.3.outer.weight": w["layers.2.outer.weight"]}), "unexpected layers.3.outer.weight"),
    ],
)
def test_weights_that_do_not_fit(change, message):
    description, _, weights = made("roformer_v2")
    change(weights)
    with pytest.raises(ValueError, match=message):
        OnnxEncoder(read_config(description), StoredWeights(weights))


def test_which_encoders_have_a_graph():
    assert [supports({"type": kind}) for kind in ("bert", "roformer_v2", "gau_alpha", "auto", "static", None)] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no graph for GauAlphaConfig"):
        OnnxEncoder(GauAlphaConfig(vocab_size=9), StoredWeights({}))
