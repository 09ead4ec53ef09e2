"""The three heads of GPLinker: spans, and links between the first and between the last tokens of spans (kexue.fm 8888).

    spans [c labels]        head links [p kinds]      tail links [p kinds]
    (start, end) of each    (start, start) of two     (end, end) of two

Relations and events are assembled from these. All heads are Efficient GlobalPointers whose logits are factored
(`nn.global_pointer.Factors`), so that neither training nor prediction computes a logit for each label and span.
"""

import torch
from torch import Tensor, nn

from nlpkit.core.spans.linked import NAMES, Linked
from nlpkit.core.spans.span_network import SpanNetwork
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.factors import Factors
from nlpkit.nn.global_pointer import EfficientGlobalPointer
from nlpkit.nn.losses import factored_multilabel_loss
from nlpkit.nn.network import Inputs

PRIOR = 6.0  # initial logits are −6, as few spans are positive; learning that would take many steps


class LinkerNetwork(SpanNetwork):
    """A backbone with the three heads.

    Args:
        backbone: an encoder; see `nn.backbones`.
        num_labels: c, the number of span labels.
        num_links: p, the number of link labels.
        head_size: of the pointers.
        ordered: whether links go from left to right only, so that links with i > j are masked.
    """

    def __init__(self, backbone: Backbone, num_labels: int, num_links: int, head_size: int, ordered: bool):
        super().__init__(backbone)
        self.spans = EfficientGlobalPointer(backbone.hidden_size, num_labels, head_size)
        self.heads, self.tails = (
            EfficientGlobalPointer(backbone.hidden_size, num_links, head_size, rope=False, triangle=ordered)
            for _ in range(2)
        )
        for head in (self.spans, self.heads, self.tails):
            nn.init.constant_(head.bias.bias, -PRIOR)

    def forward(self, inputs: Inputs) -> Linked[Factors[Tensor]]:
        """Return the factored logits of the heads, in fp32 for a backbone of any precision."""
        states = self.states(inputs)
        with torch.autocast(states.device.type, enabled=False):
            return Linked(
                *(head.factors(states, inputs.attention_mask) for head in (self.spans, self.heads, self.tails))
            )

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss, summed over heads and labels, averaged over sequences.

        Args:
            inputs: of the backbone.
            targets: as of `collate_linked`; `annotated`, [b, c], is False for span labels without annotation.
        """
        outputs = self(inputs)
        with torch.autocast(inputs.input_ids.device.type, enabled=False):
            annotated = {"spans": targets.get("annotated")}
            losses = [
                factored_multilabel_loss(output, targets[name], annotated.get(name)) * targets[name].shape[1]
                for name, output in zip(NAMES, outputs, strict=True)
            ]
            return torch.stack(losses).sum()
