"""Embeddings by a transformer encoder, nlpkit's own or a published one.

texts ─ tokenizer ─▶ sequences that fit the model ─ batches of similar length ─▶ backbone ─ pooling ─ dense layers
─▶ raw vectors ─ postprocessor ─▶ vectors
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from nlpkit.core.text.padding import TokenBudget, pad_batch
from nlpkit.errors import ModelError
from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.pooling import pool
from nlpkit.tasks.embed.encoder.components import Components
from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor


class BackboneEmbedder(Embedder):
    """An embedder with a transformer encoder.

    Args:
        components: of the model, on the device, the backbone in its precision, in evaluation mode.
        name: of the model.
        fingerprint: of its weights.
        device: of the components.
        postprocessor: applied to raw vectors.
        prompt: text put before every input.
    """

    budget = TokenBudget(cpu=2048, gpu=131072)

    def __init__(
        self,
        components: Components,
        name: str,
        fingerprint: str,
        device: torch.device,
        postprocessor: Postprocessor,
        prompt: str = "",
    ):
        self.components, self.name, self.fingerprint = components, name, fingerprint
        self.postprocessor, self.prompt = postprocessor, prompt
        self.device, self.width, self.pooling = device, components.width, "+".join(components.pooling)
        self.matches_published = components.tokenizer.matches_published
        excludes_prompt = bool(prompt) and not components.include_prompt
        self._num_excluded = components.tokenizer.prefix_length(prompt) if excludes_prompt else 0

    @override
    def raw(self, texts: Sequence[str]) -> Embeddings:
        sequences = self.components.tokenizer([self.prompt + text for text in texts] if self.prompt else texts)
        lengths = [len(ids) for ids in sequences.ids]
        vectors = np.empty((len(lengths), self.width), dtype=np.float32)
        for batch in self.budget.batches(lengths, self.device):
            vectors[batch] = self._forward([sequences.ids[index] for index in batch]).cpu().numpy()
        if not np.isfinite(vectors).all():
            cure = "take --dtype fp32, and if that does not help, copy or download the model again"
            raise ModelError(f"{self.name}: gives NaN or infinity; {cure}")
        windows = {index: count for index, count in Counter(sequences.text_indices).items() if count > 1}
        if windows:
            vectors = _averaged(vectors, lengths, sequences.text_indices, len(texts))
        return Embeddings(vectors, windows, sequences.truncated, sequences.unknown)

    @torch.inference_mode()
    def _forward(self, sequences: list[list[int]]) -> Tensor:
        """Return the raw vectors [b, width] of token sequences, in fp32."""
        components = self.components
        input_ids, padding_mask = pad_batch(sequences, components.tokenizer.pad_id)
        attention_mask = None if padding_mask.all() else padding_mask.to(self.device)  # faster without
        input_ids = input_ids.to(self.device)
        first_token_only = components.pooling in (("cls",), ("pooler",)) and not self._num_excluded
        if first_token_only and isinstance(components.backbone, Encoder):
            states = [components.backbone.first_token_states(input_ids, attention_mask)[:, None]]
            attention_mask = None
        elif "first-last" in components.pooling:
            states = components.backbone.hidden_states(input_ids, attention_mask)
        else:
            states = [components.backbone(input_ids, attention_mask)]
        pooling_mask = attention_mask
        if self._num_excluded:
            pooling_mask = padding_mask.to(self.device)
            pooling_mask[:, : self._num_excluded] = False
        with torch.autocast(self.device.type, enabled=False):  # training may have it on
            pooled = torch.cat([pool(states, pooling_mask, pooling) for pooling in components.pooling], dim=-1)
            if components.pooling == ("pooler",) and components.pooler is not None:
                pooled = components.pooler(pooled)
            result: Tensor = components.dense(pooled)
        return result


def _averaged(
    vectors: NDArray[np.float32], lengths: list[int], text_indices: Sequence[int], num_texts: int
) -> NDArray[np.float32]:
    """Return the vectors [num_texts, d] of texts: the means of their windows' vectors, weighted by length."""
    weights = np.array(lengths, dtype=np.float32)
    sums = np.zeros((num_texts, vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, text_indices, vectors * weights[:, None])
    totals = np.bincount(text_indices, weights, num_texts).astype(np.float32)
    result: NDArray[np.float32] = sums / totals[:, None]
    return result
