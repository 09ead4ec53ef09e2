"""The network: a backbone and one (Efficient) GlobalPointer over the entity labels."""

from collections.abc import Sequence

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
        groups: indices of the labels of each group, g of them. A group scores a span with the log of the sum of the
            exponentials of its labels' scores: it is found where any of them is.
    """

    def __init__(
        self, backbone: Backbone, num_labels: int, head: Head, head_size: int, groups: Sequence[Sequence[int]] = ()
    ):
        super().__init__(backbone)
        self.groups = groups
        self.head = HEADS[head](backbone.hidden_size, num_labels, head_size)

    def forward(self, inputs: Inputs) -> Tensor | Factors[Tensor]:
        """Return logits [b, c, s, s] in fp32, or those of an efficient head as factors."""
        states = self.states(inputs)
        with torch.autocast(states.device.type, enabled=False):
            if isinstance(self.head, EfficientGlobalPointer):
                return self.head.factors(states, inputs.attention_mask)
            return self.head(states, inputs.attention_mask)  # type: ignore[no-any-return]

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the mean loss of the annotated labels and groups.

        `targets["spans"]` is [b, c + g, p]: flat spans i·s + j, padded with −1. `targets["annotated"]` is [b, c + g],
        True for the labels and groups with which a text is annotated.
        """
        outputs: Tensor | Factors[Tensor] = self(inputs)
        logits = (outputs.dense() if isinstance(outputs, Factors) else outputs).flatten(2)
        spans, annotated = targets["spans"], targets["annotated"]
        count = logits.shape[1]
        scores = [logits[annotated[:, :count]]]  # [n, s²]
        gold = [spans[:, :count][annotated[:, :count]]]
        for index, members in enumerate(self.groups, count):
            rows = annotated[:, index].nonzero()[:, 0]
            scores.append(logits[rows][:, list(members)].logsumexp(1))
            gold.append(spans[rows, index])
        return sparse_multilabel_loss(torch.cat(scores), torch.cat(gold))
