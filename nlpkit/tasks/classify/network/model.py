"""The networks: a backbone with a linear layer, or with labels that are tokens of its vocabulary."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.norm import Standardize, rms_norm
from nlpkit.nn.losses import r_drop_loss, sparse_multilabel_loss, vocabulary_loss
from nlpkit.nn.network import Dataset, Inputs, Network


class LabelNetwork(Network):
    """A network that gives each sequence a logit for every label, and its training loss.

    Args:
        backbone: an encoder; see `nn.backbones`.
        multiple: whether a text has any number of labels.
        r_drop: α of R-Drop (kexue.fm 8496), 0 for none.
        masked: whether it has a head that predicts masked tokens.
    """

    def __init__(self, backbone: Backbone, multiple: bool, r_drop: float, *, masked: bool):
        super().__init__()
        self.backbone, self.multiple, self.r_drop = backbone, multiple, r_drop
        self.masked = MaskedTokens(backbone) if masked else None

    def logits(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Return logits [b, c] of states [b, s, d], in fp32."""
        raise NotImplementedError

    def forward(self, inputs: Inputs) -> Tensor:
        """Return logits [b, c] in fp32."""
        return self.logits(self.backbone(inputs.input_ids, inputs.attention_mask), inputs.attention_mask)

    @override
    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the training loss of a batch.

        `targets["labels"]` is [b, p]: indices of the labels, padded with −1; a batch without it is unlabelled, and only
        the difference of two passes is trained. With `positions` and `ids`, [m] each, tokens at flat positions are
        predicted as well.
        """
        passes = 2 if self.r_drop else 1
        attention_mask = inputs.attention_mask.repeat(passes, 1)
        states = self.backbone(inputs.input_ids.repeat(passes, 1), attention_mask)
        logits = self.logits(states, attention_mask)
        total = logits.new_zeros(())
        if "labels" in targets:
            total = total + self._label_loss(logits, targets["labels"].repeat(passes, 1))
        if self.r_drop:
            total = total + self.r_drop * self._distance(*logits.chunk(2))
        if self.masked is not None and len(targets.get("ids", ())):
            total = total + self.masked.loss(states[: len(inputs.input_ids)], targets["positions"], targets["ids"])
        return total

    def _label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return sparse_multilabel_loss(logits, labels) if self.multiple else F.cross_entropy(logits, labels[:, 0])

    def _distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the distance of two passes, to be multiplied by α; of several labels that of kexue.fm 9039."""
        if not self.multiple:
            return r_drop_loss(first, second)
        return ((first.sigmoid() - second.sigmoid()) * (first - second)).sum(-1).mean() / 4


class ClassifyNetwork(LabelNetwork):
    """A linear layer on the state of [CLS] plus the mean of all states, standardized.

    Args:
        backbone: an encoder; see `nn.backbones`.
        num_labels: c.
        multiple: as for `LabelNetwork`.
        r_drop: as for `LabelNetwork`.
        masked: as for `LabelNetwork`.
    """

    def __init__(
        self, backbone: Backbone, num_labels: int, multiple: bool = False, r_drop: float = 0.0, *, masked: bool = False
    ):
        super().__init__(backbone, multiple, r_drop, masked=masked)
        self.standardize = Standardize(backbone.hidden_size)
        self.dropout = Dropout(0.1)
        self.head = nn.Linear(backbone.hidden_size, num_labels)
        nn.init.zeros_(self.head.bias)

    @override
    def logits(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        with torch.autocast(states.device.type, enabled=False):
            vectors = self.standardize(pooled(states.float(), attention_mask))
            return self.head(self.dropout(vectors))  # type: ignore[no-any-return]

    @override
    @torch.no_grad()
    def calibrate_statistics(self, batches: Dataset) -> None:
        """Take the mean and deviation of the vectors of the first batch."""
        inputs = batches(0)[0].to(self.standardize.mean.device)
        states = self.backbone(inputs.input_ids, inputs.attention_mask)
        self.standardize.calibrate(pooled(states.float(), inputs.attention_mask))


class TokenNetwork(LabelNetwork):
    """The labels are tokens of the vocabulary, predicted at [CLS] by the head of the masked tokens (kexue.fm 8213).

    Args:
        backbone: an encoder; see `nn.backbones`.
        token_ids: of the labels [c].
        multiple: as for `LabelNetwork`.
        r_drop: as for `LabelNetwork`.
    """

    masked: "MaskedTokens"

    def __init__(self, backbone: Backbone, token_ids: Sequence[int], multiple: bool = False, r_drop: float = 0.0):
        super().__init__(backbone, multiple, r_drop, masked=True)
        self.token_ids = list(token_ids)

    @override
    def logits(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        with torch.autocast(states.device.type, enabled=False):
            hidden = self.masked.hidden(states[:, 0].float())
            weight = self.backbone.token_embeddings[self.token_ids].float()
            return F.linear(hidden, weight, self.masked.bias[self.token_ids])


class MaskedTokens(nn.Module):
    """The head of a masked language model; its output matrix is tied to the token embeddings.

    It has the form of `tasks.pretrain.model.MaskedLanguageModel`, whose weights it takes from the backbone.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        d, extra = backbone.hidden_size, backbone.extra_weights
        self._embeddings = [backbone]  # in a list, so that it is not a module of this one
        self.transform = nn.Linear(d, d, bias=False)
        self.bias = nn.Parameter(torch.zeros(backbone.vocab_size))
        for parameter, name in ((self.transform.weight, "transform.weight"), (self.bias, "bias")):
            if name in extra and extra[name].shape == parameter.shape and not parameter.is_meta:
                with torch.no_grad():
                    parameter.copy_(extra[name])

    def loss(self, states: Tensor, positions: Tensor, ids: Tensor) -> Tensor:
        """Return the mean cross-entropy of the tokens `ids` [m] at flat positions [m] of states [b, s, d]."""
        hidden = self.hidden(states.flatten(0, 1)[positions])
        return vocabulary_loss(hidden, self._embeddings[0].token_embeddings, self.bias, ids)

    def hidden(self, states: Tensor) -> Tensor:
        """Return the input of the output matrix, [m, d]."""
        return rms_norm(F.gelu(self.transform(states)))


def pooled(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Return [b, d]: the first state of each sequence plus the mean of its states [b, s, d]."""
    mask = attention_mask.to(states.dtype)
    means = torch.einsum("bs,bsd->bd", mask, states) / mask.sum(1, keepdim=True)
    return states[:, 0] + means
