"""Networks as training and prediction see them: a batch of sequences, training batches, and a backbone with heads."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.prepack import count_parameters, prepack


@dataclass(slots=True)
class Inputs:
    """A batch of sequences.

    Attributes:
        input_ids: [b, s].
        attention_mask: [b, s], True at tokens, False at padding; or [b, s, s], True where a query (second dimension)
            may attend to a key (third dimension).
        token_type_ids: [b, s].
        position_ids: [b, s], where they are not 0, 1, 2 ….
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None = None
    position_ids: Tensor | None = None

    @classmethod
    def of(cls, input_ids: NDArray[np.int64], attention_mask: NDArray[np.bool_]) -> Self:
        """Return the batch of arrays of numpy, which share its memory."""
        return cls(torch.from_numpy(input_ids), torch.from_numpy(attention_mask))

    def to(self, device: torch.device) -> "Inputs":
        """Return the batch on a device."""
        token_type_ids = None if self.token_type_ids is None else self.token_type_ids.to(device)
        position_ids = None if self.position_ids is None else self.position_ids.to(device)
        return Inputs(self.input_ids.to(device), self.attention_mask.to(device), token_type_ids, position_ids)


class Dataset(Protocol):
    """Training batches as a pure function of the step, without end.

    Attributes:
        steps_per_epoch: number of batches in one pass.
        longest: tokens in the longest sequence, [CLS] and [SEP] included.
        diagnostics: counts for the manifest.
    """

    steps_per_epoch: int
    longest: int
    diagnostics: dict[str, Any]

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """Return inputs and targets of a step, counted from 0."""


class Network(nn.Module):
    """A backbone with the heads of a task; `backbone` runs in the chosen precision, heads and losses in fp32."""

    backbone: Backbone

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the training loss, a scalar."""
        raise NotImplementedError

    def calibrate_statistics(self, batches: Dataset) -> None:
        """Estimate normalization statistics from training batches, before training."""

    def prepare_for_inference(self) -> None:
        """Repack the weights for prediction on their device, in their precision; they cannot be trained any more."""
        prepack(self.backbone)


class TorchRunner:
    """A network on its device, called with arrays of numpy; see `core.model.predictor.Runner`.

    Args:
        network: on the device.
        device: of the network.
        dtype: of the backbone, or of autocast during training.
    """

    def __init__(self, network: Network, device: torch.device, dtype: torch.dtype):
        self.network, self.device, self.dtype = network, device, dtype

    @property
    def device_type(self) -> str:
        """Return `cpu`, `cuda` or `mps`."""
        return self.device.type

    @property
    def parameters(self) -> int:
        """Return the number of weights."""
        return count_parameters(self.network)

    @torch.inference_mode()
    def __call__(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.bool_]) -> Any:
        """Return the outputs of the network with an array for each tensor."""
        self.network.eval()
        return _to_numpy(self.network(Inputs.of(input_ids, attention_mask).to(self.device)))


def _to_numpy(outputs: Any) -> Any:
    """Return a tensor as an array; a named tuple with each of its members so."""
    return outputs.cpu().numpy() if isinstance(outputs, Tensor) else type(outputs)(*map(_to_numpy, outputs))
