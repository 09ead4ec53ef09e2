"""What heads and checkpoints need of an encoder."""

from typing import Any

from torch import Tensor, nn

from nlpkit.nn.layers.kv_cache import Cache, Units


class Backbone(nn.Module):
    """An encoder from unit ids [b, s] to hidden states [b, s, d].

    Attributes:
        hidden_size: d.
        max_length: the longest row it takes.
        vocab_size: ids below it can be embedded.
        beside: weights that stood beside the backbone in its checkpoint, by name, for a task that can go on with them.
    """

    hidden_size: int
    max_length: int
    vocab_size: int

    def __init__(self) -> None:
        super().__init__()
        self.beside: dict[str, Tensor] = {}

    @property
    def unit_embeddings(self) -> Tensor:
        """The matrix [vocabulary, d] that embeds units."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What `nn.backbones.build` needs to make this backbone again, as JSON values."""
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor,
        mask: Tensor | None,
        segment_ids: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """The last hidden states [b, s, d].

        Args:
            input_ids: [b, s].
            mask: [b, s], True at units; [b, s, s], True where a row may attend to a column; or None for no padding.
            segment_ids: [b, s]; zeros when None.
            positions: [b, s], counted from 0; 0, 1, 2 … when None.
        """
        raise NotImplementedError

    def read(self, units: Units, asked: Tensor, cache: Cache) -> Tensor:
        """The last hidden states [k, d] of some of the new units of a cache's rows, which it remembers.

        Args:
            units: n new ones.
            asked: the numbers [k] of those whose states are wanted, ascending.
            cache: what was read before.
        """
        raise NotImplementedError

    def hidden_states(self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None = None) -> list[Tensor]:
        """The embedding output and the output of every layer, each [b, s, d]; arguments as in `forward`."""
        raise NotImplementedError
