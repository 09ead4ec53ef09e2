"""The wire format, by the bytes of its specification, and a model that ONNX Runtime reads."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.onnx import proto


def decoded(data):
    """The number of a varint, read byte by byte."""
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data))


@given(st.integers(0, 2**63 - 1))
def test_a_varint_is_read_back(value):
    data = proto.varint(value)
    assert decoded(data) == value
    assert [byte >> 7 for byte in data] == [1] * (len(data) - 1) + [0]


def test_the_bytes_of_the_specification():
    """https://protobuf.dev/programming-guides/encoding/: 150 in field 1, "testing" in field 2, and −2 in ten bytes."""
    assert proto.field(1, 150) == bytes.fromhex("089601")
    assert proto.field(2, "testing") == bytes.fromhex("120774657374696e67")
    assert proto.varint(-2) == bytes.fromhex("feffffffffffffffff01")
    assert proto.field(2, 1.0) == bytes.fromhex("150000803f")
    assert proto.fields(1, (3, 270)) == bytes.fromhex("0803088e02")


@pytest.mark.parametrize("external", [False, True])
def test_a_model_runs(external):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = proto.model(
        [
            proto.node("MatMul", ["x", "rows"], ["product"], "", {}),
            proto.node("LeakyRelu", ["product"], ["y"], "", {"alpha": 0.5}),
        ],
        [proto.tensor("rows", rows, {"location": "rows"} if external else None)],
        [proto.value_info("x", proto.FLOAT, ("batch", 2))],
        [proto.value_info("y", proto.FLOAT, ("batch", 3))],
    )
    options = onnxruntime.SessionOptions()
    if external:
        options.add_external_initializers(["rows"], [onnxruntime.OrtValue.ortvalue_from_numpy(rows)])
    session = onnxruntime.InferenceSession(model, options)
    x = np.array([[1, 1], [-1, 0]], np.float32)
    assert session.run(None, {"x": x})[0].tolist() == [[3, 5, 7], [0, -0.5, -1]]
    assert session.get_inputs()[0].shape == ["batch", 2]
