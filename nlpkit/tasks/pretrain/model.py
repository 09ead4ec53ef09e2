"""The network: a backbone and a masked-language-model head, which is applied to the masked positions only."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.losses import vocabulary_loss
from nlpkit.nn.network import Inputs, Network


class MaskedLanguageModel(Network):
    """Predicts masked tokens from their context; the output matrix is tied to the token embeddings.

    Args:
        backbone: one of nlpkit's own encoders.
    """

    backbone: Encoder

    def __init__(self, backbone: Encoder):
        super().__init__()
        self.backbone = backbone
        self.transform = nn.Linear(backbone.hidden_size, backbone.hidden_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(backbone.config.vocab_size))

    def forward(self, inputs: Inputs, positions: Tensor) -> Tensor:
        """Return logits [m, vocabulary] at flat positions [m] (sequence · s + column)."""
        return F.linear(self._hidden(inputs, positions), self.backbone.embeddings.weight, self.bias)

    @override
    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the mean cross-entropy of the masked tokens; for `targets` see `dataset.MaskedDataset`."""
        hidden = self._hidden(inputs, targets["positions"])
        return vocabulary_loss(hidden, self.backbone.embeddings.weight, self.bias, targets["ids"])

    def _hidden(self, inputs: Inputs, positions: Tensor) -> Tensor:
        """Return the input of the output matrix, [m, d]."""
        hidden = self.backbone(inputs.input_ids, None)  # packed sequences have no padding
        hidden = hidden.flatten(0, 1)[positions]
        return rms_norm(F.gelu(self.transform(hidden)))
