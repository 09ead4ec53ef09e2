"""Embeddings by a transformer encoder, nlpkit's own or a published one.

texts ─ tokenizer ─▶ sequences that fit the model ─ batches of similar length ─▶ backbone ─ pooling ─ dense layers
─▶ raw vectors ─ postprocessor ─▶ vectors
"""

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.text.padding import pad_batch
from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.pooling import pool
from nlpkit.tasks.embed.encoder.components import Components
from nlpkit.tasks.embed.encoder.encoder_embedder import EncoderEmbedder
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor


class BackboneEmbedder(EncoderEmbedder):
    """An embedder with a transformer encoder in torch.

    Args:
        components: of the model, on the device, the backbone in its precision, in evaluation mode.
        name: of the model.
        fingerprint: of its weights.
        device: of the components.
        postprocessor: applied to raw vectors.
        prompt: text put before every input.
    """

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
        self.tokenizer, self.device_type = components.tokenizer, device.type
        self.device, self.width, self.pooling = device, components.width, "+".join(components.pooling)
        self.matches_published = components.tokenizer.matches_published
        excludes_prompt = bool(prompt) and not components.include_prompt
        self._num_excluded = components.tokenizer.prefix_length(prompt) if excludes_prompt else 0

    @override
    @torch.inference_mode()
    def forward(self, sequences: list[list[int]]) -> NDArray[np.float32]:
        components = self.components
        input_ids, padding_mask = map(torch.from_numpy, pad_batch(sequences, components.tokenizer.pad_id))
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
            vectors: NDArray[np.float32] = components.dense(pooled).cpu().numpy()
        return vectors
