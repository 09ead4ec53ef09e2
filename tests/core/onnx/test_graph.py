"""Linear layers in fp32 and int8 against numpy."""

import numpy as np
import onnxruntime
import pytest

from nlpkit.core.onnx.graph import EXTERNAL_SIZE, Graph, Value
from nlpkit.core.onnx.proto import FLOAT


def run(graph, x, external):
    options, large = onnxruntime.SessionOptions(), {}
    if external:
        large = {name: value for name, value in graph.constants.items() if value.nbytes >= EXTERNAL_SIZE}
        assert large
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in large.values()]
        options.add_external_initializers(list(large), values)
    model = graph.to_bytes(lambda name, _: {"location": name} if name in large else None)
    return onnxruntime.InferenceSession(model, options).run(None, {"x": x})[0]


def linear(weight, bias, **settings):
    graph = Graph(**settings)
    x = graph.input(Value("x", FLOAT, ("batch", "sequence", weight.shape[1])))
    graph.output(graph.linear(x, weight, bias), Value("y", FLOAT, ("batch", "sequence", len(weight))))
    return graph


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [
        ({}, 1e-5),
        ({"as_stored": True}, 1e-5),
        ({"int8": True}, 0.015),
        ({"int8": True, "reduce_range": False}, 0.2),
    ],  # saturates without VNNI
)
def test_a_linear_layer(settings, tolerance, with_bias, external):
    random = np.random.default_rng(0)
    weight, x = (random.normal(size=size).astype(np.float32) for size in ((48, 32), (2, 5, 32)))
    bias = random.normal(size=48).astype(np.float32) if with_bias else None
    expected = x @ weight.T + (0 if bias is None else bias)
    found = run(linear(weight, bias, **settings), x, external)
    assert np.abs(found - expected).std() / expected.std() < tolerance


def test_weights_of_int8_are_within_their_range():
    weight = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32)
    for settings, limit in (({}, 63), ({"reduce_range": False}, 127)):
        constants = linear(weight, None, int8=True, **settings).constants.values()
        quantized = next(value for value in constants if value.dtype == np.int8 and value.ndim == 2)
        assert np.abs(quantized).max() == limit
        assert quantized.shape == (32, 64)


def test_a_row_of_zeros_stays_one():
    weight = np.zeros((40, 32), np.float32)
    weight[1] = 1
    y = run(linear(weight, None, int8=True), np.ones((1, 1, 32), np.float32), external=True)[0, 0]
    assert y[1] == pytest.approx(32, rel=0.02)
    assert not y[[0, *range(2, 40)]].any()


def test_a_token_does_not_depend_on_the_others():
    """A large value, or a token of zeros, would change the others if they had one scale."""
    random = np.random.default_rng(2)
    weight, x = (random.normal(size=size).astype(np.float32) for size in ((48, 32), (2, 5, 32)))
    graph = linear(weight, None, int8=True)
    expected = run(graph, x, external=False)[0, 1:]
    x[0, 0], x[1] = 1e4, 0
    found = run(graph, x, external=False)
    np.testing.assert_array_equal(found[0, 1:], expected)
    assert not found[1].any()
