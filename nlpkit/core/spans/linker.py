"""The three heads of GPLinker: spans, and links between the first and between the last tokens of spans (kexue.fm 8888).

    spans [c labels]        head links [p kinds]      tail links [p kinds]
    (start, end) of each    (start, start) of two     (end, end) of two

Relations and events are assembled from these. All heads are Efficient GlobalPointers whose logits are factored
(`nn.global_pointer.Factors`), so that neither training nor prediction computes a logit for each label and span.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from nlpkit.core.model.task import Inputs
from nlpkit.core.spans.span_task import SpanNetwork
from nlpkit.core.spans.spans import SpanIndex, collate
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.global_pointer import EfficientGlobalPointer, Factors
from nlpkit.nn.losses import factored_multilabel_loss

T = TypeVar("T")
NAMES = ("spans", "heads", "tails")
PRIOR = 6.0  # initial logits are −6, as few spans are positive; learning that would take many steps
MATRICES = 3  # of s × s logits per sequence, whatever the number of labels


@dataclass(frozen=True, slots=True)
class Linked(Generic[T]):
    """One value per head, such as gold spans or logits."""

    spans: T
    heads: T
    tails: T


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

    def forward(self, inputs: Inputs) -> Linked[Factors]:
        """Return the factored logits of the heads, in fp32 for a backbone of any precision."""
        states = self.states(inputs)
        with torch.autocast(states.device.type, enabled=False):
            return Linked(
                *(head.factors(states, inputs.attention_mask) for head in (self.spans, self.heads, self.tails))
            )

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss, summed over heads and labels, averaged over sequences; `targets` as of `collate_linked`."""
        outputs = self(inputs)
        with torch.autocast(inputs.input_ids.device.type, enabled=False):
            losses = [
                factored_multilabel_loss(getattr(outputs, name), targets[name]) * targets[name].shape[1]
                for name in NAMES
            ]
            return torch.stack(losses).sum()


def collate_linked(
    targets: Sequence[Linked[list[SpanIndex]]], num_labels: int, num_links: int, size: int
) -> dict[str, Tensor]:
    """Return the sparse labels of the heads for sequences of `size` positions; see `core.spans.spans.collate`."""
    counts = Linked(num_labels, num_links, num_links)
    return {name: collate([getattr(target, name) for target in targets], getattr(counts, name), size) for name in NAMES}
