"""The network that is trained: a backbone and a pooling."""

import torch
import torch.nn.functional as F
from torch import Tensor

from nlpkit.nn.backbones import Backbone
from nlpkit.nn.losses import cosent_loss, r_drop_loss, simcse_loss
from nlpkit.nn.network import Inputs, Network
from nlpkit.nn.pooling import pool
from nlpkit.tasks.embed.settings import Method, Pooling


class EmbedNetwork(Network):
    """Maps sequences to vectors; sequences 2i and 2i+1 of a training batch are a pair.

    Args:
        backbone: an encoder; see `nn.backbones`.
        pooling: see `nn.pooling`.
        method: the loss.
        scale: λ of the loss, its inverse temperature.
        contrast: weight of SimCSE's loss on the best pairs, added to that of CoSENT.
        r_drop: weight of R-Drop, which needs two passes.
    """

    def __init__(
        self, backbone: Backbone, pooling: Pooling, method: Method, scale: float, contrast: float, r_drop: float
    ):
        super().__init__()
        self.backbone, self.pooling, self.method = backbone, pooling, method
        self.scale, self.contrast, self.r_drop = scale, contrast, r_drop

    def forward(self, inputs: Inputs) -> Tensor:
        """Return vectors [b, d] in fp32, not normalized."""
        if self.pooling == "first-last":
            states = self.backbone.hidden_states(inputs.input_ids, inputs.attention_mask)
        else:
            states = [self.backbone(inputs.input_ids, inputs.attention_mask)]
        with torch.autocast(states[-1].device.type, enabled=False):
            return pool(states, inputs.attention_mask, self.pooling)

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the SimCSE or CoSENT loss; for `targets` see `dataset.PairDataset`."""
        passes = [self(inputs) for _ in range(2 if self.r_drop else 1)]
        with torch.autocast(passes[0].device.type, enabled=False):
            loss = torch.stack([self._loss(vectors, targets) for vectors in passes]).mean()
            if self.r_drop:
                loss = loss + self.r_drop * r_drop_loss(*map(self._similarities, passes))
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

    def _similarities(self, vectors: Tensor) -> Tensor:
        """Return logits [b, b − 1]: the similarity of each sequence to each other one."""
        vectors = F.normalize(vectors, dim=-1)
        others = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        return (self.scale * vectors @ vectors.T)[others].view(len(vectors), -1)
