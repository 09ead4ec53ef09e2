"""Tasks that find spans in texts: the network under their pointers, and what they share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic

import torch
from torch import Tensor
from typing_extensions import override

from nlpkit.core.model.task import Answer, Dataset, Example, Inputs, Network, Settings
from nlpkit.core.model.text_task import Finding, Target, TextTask
from nlpkit.core.text.document import Document
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.norm import Standardize


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


class SpanTask(
    TextTask[Settings, Example, Target, Finding, Answer], Generic[Settings, Example, Target, Finding, Answer]
):
    """A task whose gold items are spans of a text.

    Targets and findings are in positions of a sequence: token − window.begin + 1, as position 0 is [CLS].
    """

    @override
    @abstractmethod
    def misaligned(self, example: Example, document: Document) -> int: ...

    @override
    @abstractmethod
    def join(self, examples: Sequence[Example]) -> Example: ...
