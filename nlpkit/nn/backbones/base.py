"""What heads and checkpoints need of an encoder."""

from typing import Any

from torch import Tensor, nn


class Backbone(nn.Module):
    """An encoder from unit ids [b, s] to hidden states [b, s, d].

    Attributes:
        hidden_size: d.
        max_length: the longest row it takes.
        vocab_size: ids below it can be embedded.
    """

    hidden_size: int
    max_length: int
    vocab_size: int

    def describe(self) -> dict[str, Any]:
        """What `nn.backbones.build` needs to make this backbone again, as JSON values."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None = None) -> Tensor:
        """The last hidden states [b, s, d].

        Args:
            input_ids: [b, s].
            mask: [b, s], True at units; [b, s, s], True where a row may attend to a column; or None for no padding.
            segment_ids: [b, s]; zeros when None.
        """
        raise NotImplementedError
