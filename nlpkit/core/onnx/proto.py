"""Serialization of ONNX models, the few messages of onnx.proto that an encoder needs.

The `onnx` package does the same, but is larger than nlpkit's code and would be imported at every start.

    field numbers    https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
    wire format      https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 10, 20
MICROSOFT = "com.microsoft"  # domain of the fused operators of ONNX Runtime
FLOAT, INT32, INT64 = 1, 6, 7
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): 2, np.dtype(np.int8): 3, np.dtype(np.int32): INT32,
         np.dtype(np.int64): INT64}  # fmt: skip
Attribute: TypeAlias = int | float | str
_VARINT, _BYTES, _FIXED32 = 0, 2, 5


def varint(value: int) -> bytes:
    """Return a base-128 varint; a negative number has ten bytes."""
    value &= (1 << 64) - 1
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def field(number: int, value: int | float | str | bytes) -> bytes:
    """Return a field of a message: an integer, a 32-bit float, a string, or the bytes of a nested message."""
    if isinstance(value, int):
        return varint(number << 3 | _VARINT) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | _FIXED32) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def fields(number: int, values: Sequence[int | str | bytes]) -> bytes:
    """Return a repeated field."""
    return b"".join(field(number, value) for value in values)


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str, attributes: Mapping[str, Attribute]
) -> bytes:
    """Return a NodeProto; an input "" is left out."""
    named = [_attribute(name, value) for name, value in attributes.items()]
    return b"".join([fields(1, inputs), fields(2, outputs), field(4, operator), fields(5, named), field(7, domain)])


def tensor(name: str, array: NDArray[Any], external: Mapping[str, str] | None) -> bytes:
    """Return a TensorProto with the values of an array.

    Args:
        name: of the tensor.
        array: its values.
        external: where the values are instead: `location`, and in a file `offset` and `length`, as onnx.proto says of
            `external_data`.
    """
    head = fields(1, array.shape) + field(2, TYPES[array.dtype]) + field(8, name)
    if external is not None:
        entries = [field(1, key) + field(2, value) for key, value in external.items()]
        return head + fields(13, entries) + field(14, 1)
    return head + field(9, np.ascontiguousarray(array).tobytes())


def value_info(name: str, element_type: int, shape: Sequence[int | str]) -> bytes:
    """Return a ValueInfoProto; a string in a shape names a size that varies."""
    dims = [field(1, size) if isinstance(size, int) else field(2, size) for size in shape]
    tensor_type = field(1, element_type) + field(2, fields(1, dims))
    return field(1, name) + field(2, field(1, tensor_type))


def model(
    nodes: Sequence[bytes], initializers: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    """Return a ModelProto."""
    graph = fields(1, nodes) + field(2, "encoder") + fields(5, initializers) + fields(11, inputs) + fields(12, outputs)
    opsets = [field(1, domain) + field(2, version) for domain, version in (("", OPSET), (MICROSOFT, 1))]
    return field(1, IR_VERSION) + field(2, "nlpkit") + field(7, graph) + fields(8, opsets)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        return field(1, name) + field(4, value) + field(20, 3)
    if isinstance(value, float):
        return field(1, name) + field(2, value) + field(20, 1)
    return field(1, name) + field(3, value) + field(20, 2)
