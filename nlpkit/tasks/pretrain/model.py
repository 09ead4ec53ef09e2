"""The network: a backbone and the masked-language-model head, which runs on the masked positions alone."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlpkit.core.model.task import Inputs, Network
from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.losses import vocabulary_loss


class MaskedLanguageModel(Network):
    """Predicts masked units from their context; the output matrix is the embedding's.

    Args:
        backbone: an encoder of ours.
    """

    backbone: Encoder

    def __init__(self, backbone: Encoder):
        super().__init__()
        self.backbone = backbone
        self.transform = nn.Linear(backbone.hidden_size, backbone.hidden_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(backbone.config.vocab_size))

    def forward(self, inputs: Inputs, positions: Tensor) -> Tensor:
        """Logits [m, vocabulary] at the flat positions [m] (row · s + column)."""
        return F.linear(self._hidden(inputs, positions), self.backbone.embeddings.weight, self.bias)

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Mean cross-entropy of the masked units; `targets` holds `positions` [m] and `ids` [m]."""
        hidden = self._hidden(inputs, targets["positions"])
        return vocabulary_loss(hidden, self.backbone.embeddings.weight, self.bias, targets["ids"])

    def _hidden(self, inputs: Inputs, positions: Tensor) -> Tensor:
        """What the output matrix reads, [m, d]."""
        hidden = self.backbone(inputs.input_ids, None)  # packed rows have no padding
        hidden = hidden.flatten(0, 1)[positions]
        return rms_norm(F.gelu(self.transform(hidden)))
