"""The interface of an encoder to task heads and checkpoints."""

from typing import Any

from torch import Tensor, nn

from nlpkit.nn.layers.kv_cache import KeyValueCache
from nlpkit.nn.tokens import TokenBatch


class Backbone(nn.Module):
    """An encoder from token ids [b, s] to hidden states [b, s, d].

    Attributes:
        hidden_size: d.
        max_length: length of the longest supported sequence.
        vocab_size: number of token ids.
        extra_weights: weights outside the backbone in its checkpoint, by name, such as those of the masked language
            model's head; a task may initialize its head with them.
    """

    hidden_size: int
    max_length: int
    vocab_size: int

    def __init__(self) -> None:
        super().__init__()
        self.extra_weights: dict[str, Tensor] = {}

    @property
    def token_embeddings(self) -> Tensor:
        """Return the embedding matrix [vocab_size, d]."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return the JSON object from which `nn.backbones.build` makes a backbone of the same type and sizes."""
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Return the last hidden states [b, s, d].

        Args:
            input_ids: [b, s].
            attention_mask: [b, s], True at tokens; or [b, s, s], True where a query (second dimension) may attend to a
                key (third dimension); or None for no padding.
            token_type_ids: [b, s]; zeros when None.
            position_ids: [b, s], from 0; 0, 1, 2 … when None.
        """
        raise NotImplementedError

    def forward_with_cache(self, tokens: TokenBatch[Tensor], query_indices: Tensor, cache: KeyValueCache) -> Tensor:
        """Encode new tokens of cached sequences and return the last hidden states [k, d] of some of them.

        Args:
            tokens: n new tokens, which are added to the cache.
            query_indices: [k] ascending indices of the tokens whose states are returned.
            cache: of the tokens before.
        """
        raise NotImplementedError

    def hidden_states(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None = None
    ) -> list[Tensor]:
        """Return the embedding output and the output of every layer, each [b, s, d]; arguments as in `forward`."""
        raise NotImplementedError
