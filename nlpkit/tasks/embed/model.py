"""The network that is trained: a backbone and a pooling, nothing else."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nlpkit.core.model.task import Inputs, Network
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.losses import cosent_loss, r_drop_loss, simcse_loss
from nlpkit.nn.pooling import pool

Method = Literal["simcse", "cosent"]
Pooling = Literal["cls", "mean", "first-last"]


class EmbedNetwork(Network):
    """Rows to vectors; rows 2i and 2i+1 of a training batch belong together.

    Args:
        backbone: an encoder; see `nn.backbones`.
        pooling: see `nn.pooling`.
        method: the loss.
        scale: its λ.
        contrast: weight of SimCSE's loss on the best pairs beside that of CoSENT.
        r_drop: weight of R-Drop, for which everything is read twice.
    """

    def __init__(
        self, backbone: Backbone, pooling: Pooling, method: Method, scale: float, contrast: float, r_drop: float
    ):
        super().__init__()
        self.backbone, self.pooling, self.method = backbone, pooling, method
        self.scale, self.contrast, self.r_drop = scale, contrast, r_drop

    def forward(self, inputs: Inputs) -> Tensor:
        """Vectors [b, d] in fp32, not of unit length."""
        if self.pooling == "first-last":
            states = self.backbone.hidden_states(inputs.input_ids, inputs.attention_mask)
        else:
            states = [self.backbone(inputs.input_ids, inputs.attention_mask)]
        with torch.autocast(states[-1].device.type, enabled=False):
            return pool(states, inputs.attention_mask, self.pooling)

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Of SimCSE, or of CoSENT; `targets` as `dataset.PairDataset` gives them."""
        passes = [self(inputs) for _ in range(2 if self.r_drop else 1)]
        with torch.autocast(passes[0].device.type, enabled=False):
            loss = torch.stack([self._loss(vectors, targets) for vectors in passes]).mean()
            if self.r_drop:
                loss = loss + self.r_drop * r_drop_loss(*map(self._alike, passes))
            return loss

    def _loss(self, vectors: Tensor, targets: dict[str, Tensor]) -> Tensor:
        if self.method == "simcse":
            return simcse_loss(vectors, self.scale, targets["sentences"])
        cosines = F.cosine_similarity(vectors[0::2], vectors[1::2])
        loss = cosent_loss(cosines, targets["scores"], self.scale)
        if self.contrast:
            best = targets["best"].repeat_interleave(2)
            loss = loss + self.contrast * simcse_loss(vectors, self.scale, targets["sentences"], best)
        return loss

    def _alike(self, vectors: Tensor) -> Tensor:
        """Logits [b, b − 1]: which of the other rows is each row most like?"""
        vectors = F.normalize(vectors, dim=-1)
        others = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        return (self.scale * vectors @ vectors.T)[others].view(len(vectors), -1)
