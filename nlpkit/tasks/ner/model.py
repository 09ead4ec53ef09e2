"""The network: a backbone and one (Efficient) GlobalPointer over the entity labels."""

import torch
from torch import Tensor

from nlpkit.core.spans.span_network import SpanNetwork
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.factors import Factors
from nlpkit.nn.global_pointer import HEADS, EfficientGlobalPointer, Head
from nlpkit.nn.losses import sparse_multilabel_loss
from nlpkit.nn.network import Inputs


class NerNetwork(SpanNetwork):
    """Span scores for every label.

    Args:
        backbone: an encoder; see `nn.backbones`.
        num_labels: c.
        head: `efficient` or `global`.
        head_size: of the pointer.
    """

    def __init__(self, backbone: Backbone, num_labels: int, head: Head, head_size: int):
        super().__init__(backbone)
        self.head = HEADS[head](backbone.hidden_size, num_labels, head_size)

    def forward(self, inputs: Inputs) -> Tensor | Factors[Tensor]:
        """Return logits [b, c, s, s] in fp32, or those of an efficient head as factors."""
        states = self.states(inputs)
        with torch.autocast(states.device.type, enabled=False):
            if isinstance(self.head, EfficientGlobalPointer):
                return self.head.factors(states, inputs.attention_mask)
            return self.head(states, inputs.attention_mask)  # type: ignore[no-any-return]

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss; `targets["spans"]` is [b, c, p]: flat spans i·s + j, padded with −1."""
        outputs: Tensor | Factors[Tensor] = self(inputs)
        logits = outputs.dense() if isinstance(outputs, Factors) else outputs
        return sparse_multilabel_loss(logits.flatten(2), targets["spans"])
