"""A graph under construction: operators, constants and the linear layers of an encoder, in fp32 or int8."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.onnx import proto
from nlpkit.core.onnx.proto import MICROSOFT, Attribute

EXTERNAL_SIZE = 1024  # bytes; larger constants are not copied into the model
# Last axis, least bound of a row (which may be all zeros), scale 1, zero point.
_INT8_CONSTANTS = (([-1], np.int64), (1e-30, np.float32), (1, np.float32), (128, np.uint8))


class Value(NamedTuple):
    """An input or output: its name, and its shape, in which a string names a size that varies."""

    name: str
    element_type: int
    shape: tuple[int | str, ...]


class Graph:
    """An ONNX graph.

    Args:
        int8: whether `linear` multiplies in int8.
        reduce_range: whether int8 weights have 7 bits; without VNNI instructions sums of products of 8 bits saturate.
        as_stored: whether weights are constants as they are stored, and transposed by an operator.

    Attributes:
        constants: all constants by name.
    """

    def __init__(self, *, int8: bool = False, reduce_range: bool = True, as_stored: bool = False):
        self.as_stored = as_stored
        self.int8, self.max_weight = int8, 63 if reduce_range else 127
        self.constants: dict[str, NDArray[Any]] = {}
        self._nodes: list[bytes] = []
        self._inputs: list[Value] = []
        self._outputs: list[Value] = []
        self._names = 0

    def input(self, value: Value) -> str:
        """Add an input and return its name."""
        self._inputs.append(value)
        return value.name

    def output(self, source: str, value: Value) -> None:
        """Add an output with the values of `source`."""
        self._nodes.append(proto.node("Identity", [source], [value.name], "", {}))
        self._outputs.append(value)

    def constant(self, array: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        name = self._name("constant")
        self.constants[name] = np.asarray(array, order="C")
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Add an operator with one output and return the name of the output."""
        (output,) = self.nodes(operator, 1, *inputs, domain=domain, **attributes)
        return output

    def nodes(self, operator: str, count: int, *inputs: str, domain: str = "", **attributes: Attribute) -> list[str]:
        """Add an operator with several outputs and return their names."""
        outputs = [self._name(operator) for _ in range(count)]
        self._nodes.append(proto.node(operator, inputs, outputs, domain, attributes))
        return outputs

    def linear(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> str:
        """Add x·Wᵀ + b for W [outputs, inputs].

        In int8 each row of W has a scale, and so has each row of x, which is computed when the model runs. A row is
        one token, so its result does not depend on the other texts of the batch.
        """
        if self.int8:
            product = self._int8_product(x, weight)
        else:
            matrix = self.node("Transpose", self.constant(weight)) if self.as_stored else self.constant(weight.T)
            product = self.node("MatMul", x, matrix)
        return product if bias is None else self.node("Add", product, self.constant(bias))

    def _int8_product(self, x: str, weight: NDArray[np.float32]) -> str:
        """Add x·Wᵀ from products of bytes: those of x are unsigned, with 128 for 0."""
        last, tiny, unit, zero = (self.constant(np.array(n, kind)) for n, kind in _INT8_CONSTANTS)
        bounds = self.node("ReduceMax", x, last), self.node("Neg", self.node("ReduceMin", x, last))
        x_scale = self.node("Div", self.node("Max", *bounds, tiny), self.constant(np.array(127, np.float32)))
        x_bytes = self.node("QuantizeLinear", self.node("Div", x, x_scale), unit, zero)
        scale = np.maximum(np.abs(weight).max(1) / self.max_weight, 1e-8).astype(np.float32)
        w_bytes = self.constant(np.round(weight / scale[:, None]).astype(np.int8).T)
        w_zeros = self.constant(np.zeros(len(weight), np.int8))
        inputs = (x_bytes, w_bytes, unit, self.constant(scale), zero, w_zeros)
        return self.node("Mul", self.node("MatMulIntegerToFloat", *inputs, domain=MICROSOFT), x_scale)

    def to_bytes(self, locate: Callable[[str, NDArray[Any]], Mapping[str, str] | None]) -> bytes:
        """Return the serialized model.

        Args:
            locate: returns where the values of a constant are, as for `proto.tensor`; None if they are to be in the
                model.
        """
        initializers = [proto.tensor(name, array, locate(name, array)) for name, array in self.constants.items()]
        inputs, outputs = ([proto.value_info(*value) for value in values] for values in (self._inputs, self._outputs))
        return proto.model(self._nodes, initializers, inputs, outputs)

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}_{self._names}"
