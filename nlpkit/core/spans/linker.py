"""GPLinker's three heads: spans, and links between the first units and the last units of two spans (kexue.fm 8888).

    spans [c labels]        head links [p kinds]      tail links [p kinds]
    (first, last) of each   (first, first) of two     (last, last) of two

Relations and events are put together from these. All heads are Efficient GlobalPointers and stay in parts
(`nn.global_pointer.Factors`), so that neither training nor prediction has a number for each label and cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from nlpkit.core.model.task import Inputs
from nlpkit.core.spans.span_task import SpanNetwork
from nlpkit.core.spans.spans import Cell, collate
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.global_pointer import EfficientGlobalPointer, Factors
from nlpkit.nn.losses import factored_multilabel_loss

T = TypeVar("T")
NAMES = ("spans", "heads", "tails")
PRIOR = 6.0  # an untrained head gives each cell the logit −6: few are right, and that need not be learnt in many steps
MATRICES = 3  # of s × s numbers, that the heads make of a row, whatever the number of labels


@dataclass(frozen=True, slots=True)
class Linked(Generic[T]):
    """The same thing for each of the heads, such as gold cells or logits."""

    spans: T
    heads: T
    tails: T


class LinkerNetwork(SpanNetwork):
    """A backbone with the three heads.

    Args:
        backbone: an encoder; see `nn.backbones`.
        num_labels: c, kinds of spans.
        num_links: p, kinds of links.
        head_size: of the pointers.
        ordered: whether links go from the left to the right only, so that cells with i > j are masked.
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
        """Logits of the heads in parts, in fp32 for a backbone of any precision."""
        states = self.states(inputs)
        with torch.autocast(states.device.type, enabled=False):
            return Linked(
                *(head.factors(states, inputs.attention_mask) for head in (self.spans, self.heads, self.tails))
            )

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """The sum over heads and labels, the mean over rows; `targets` are those of `collate_linked`."""
        outputs = self(inputs)
        with torch.autocast(inputs.input_ids.device.type, enabled=False):
            losses = [
                factored_multilabel_loss(getattr(outputs, name), targets[name]) * targets[name].shape[1]
                for name in NAMES
            ]
            return torch.stack(losses).sum()


def collate_linked(
    targets: Sequence[Linked[list[Cell]]], num_labels: int, num_links: int, size: int
) -> dict[str, Tensor]:
    """Sparse labels of the heads for rows of `size` positions; see `core.spans.collate`."""
    counts = Linked(num_labels, num_links, num_links)
    return {name: collate([getattr(target, name) for target in targets], getattr(counts, name), size) for name in NAMES}
