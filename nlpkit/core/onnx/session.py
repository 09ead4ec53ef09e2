"""Encoders in ONNX Runtime, called with arrays of numpy."""

import os
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nlpkit.core.onnx.choice import has_vnni
from nlpkit.core.onnx.encoders import add_encoder
from nlpkit.core.onnx.graph import EXTERNAL_SIZE, Graph
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.configs import EncoderConfig

Floats = NDArray[np.float32]
Head = Callable[[Floats, NDArray[np.bool_]], Any]  # states [b, s, d] and attention mask [b, s] → outputs
# Fused operators that take longer than their parts (measured on a CPU with AVX2).
_SLOWER = ["SkipLayerNormFusion"]


class OnnxEncoder:
    """An encoder.

    Args:
        config: of the encoder; see `core.onnx.encoders.supports`.
        weights: of the encoder.
        layers: indices of the layers whose states `hidden_states` returns.
        int8: whether to multiply in int8.

    Raises:
        ValueError: a weight is missing, has another shape, or is left over.
    """

    def __init__(
        self, config: EncoderConfig, weights: StoredWeights, layers: Collection[int] = (), *, int8: bool = False
    ):
        graph = Graph(int8=int8, reduce_range=not has_vnni())
        add_encoder(graph, config, weights, layers)
        self.layers = tuple(layers)
        self._session = make_session(graph)

    def __call__(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.bool_]) -> Floats:
        """Return the last hidden states [b, s, d] for sequences [b, s] with their padding on the right."""
        result: Floats = self._run(["states"], input_ids, attention_mask)[0]
        return result

    def hidden_states(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.bool_]) -> list[Floats]:
        """Return the states of `layers` and of the last layer, each [b, s, d]."""
        return self._run([*(f"layer_{layer}" for layer in self.layers), "states"], input_ids, attention_mask)

    def _run(self, outputs: list[str], input_ids: NDArray[np.int64], attention_mask: NDArray[np.bool_]) -> list[Floats]:
        lengths = attention_mask.sum(1, dtype=np.int32)
        result: list[Floats] = self._session.run(outputs, {"input_ids": input_ids, "lengths": lengths})
        return result


class OnnxRunner:
    """An encoder in ONNX Runtime and heads in numpy; see `core.model.predictor.Runner`.

    Args:
        encoder: the encoder.
        head: of the task; see `core.model.task.Task.head`.
        parameters: number of weights.
    """

    device_type: str = "cpu"

    def __init__(self, encoder: OnnxEncoder, head: Head, parameters: int):
        self.encoder, self.head, self.parameters = encoder, head, parameters

    def __call__(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.bool_]) -> Any:
        """Return the outputs of the heads."""
        return self.head(self.encoder(input_ids, attention_mask), attention_mask)


def num_threads() -> int:
    """Return the number of threads: OMP_NUM_THREADS, as for torch, or the number of usable cores."""
    try:
        return max(1, int(os.environ["OMP_NUM_THREADS"]))
    except (KeyError, ValueError):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_session(graph: Graph) -> onnxruntime.InferenceSession:
    """Return a session that computes a graph on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = num_threads(), 1
    options.log_severity_level = 4  # an error is raised as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would use a core
    large = {name: array for name, array in graph.constants.items() if array.nbytes >= EXTERNAL_SIZE}
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in large.values()]
    options.add_external_initializers(list(large), values)
    model = graph.to_bytes(lambda name, _: {"location": name} if name in large else None)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER)
