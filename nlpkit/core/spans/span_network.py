"""The network under the pointers of a task that finds spans."""

import torch
from torch import Tensor
from typing_extensions import override

from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.norm import Standardize
from nlpkit.nn.network import Dataset, Inputs, Network


class SpanNetwork(Network):
    """A backbone whose standardized states are read by pointers.

    Args:
        backbone: an encoder; see `nn.backbones`.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone
        self.standardize = Standardize(backbone.hidden_size)
        self.dropout = Dropout(0.1)

    def states(self, inputs: Inputs) -> Tensor:
        """Return what the pointers read, [b, s, d], in fp32 for a backbone of any precision."""
        hidden = self.backbone(inputs.input_ids, inputs.attention_mask)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.dropout(self.standardize(hidden.float()))  # type: ignore[no-any-return]

    @override
    @torch.no_grad()
    def calibrate_statistics(self, batches: Dataset) -> None:
        """Take the mean and deviation of the states of the first batch."""
        inputs = batches(0)[0].to(self.standardize.mean.device)
        states = self.backbone(inputs.input_ids, inputs.attention_mask)
        self.standardize.calibrate(states[inputs.attention_mask])
