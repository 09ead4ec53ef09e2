"""An encoder of either kind, ours or a published one, from texts to vectors.

texts ─ units ─▶ rows, as long as the model reads ─ batches of similar length ─▶ backbone ─ pooling ─ dense layers
─▶ raw vectors ─ finish ─▶ vectors
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlpkit.core.io.stream import token_batches
from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.errors import ModelError
from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.layers.prepack import prepack
from nlpkit.nn.pooling import pool
from nlpkit.tasks.embed.encoder.embedder import Embedded, Embedder
from nlpkit.tasks.embed.encoder.loading import Parts, fingerprint, read_parts, with_pooling
from nlpkit.tasks.embed.encoder.postprocess import Finish, read_map
from nlpkit.tasks.embed.encoder.tokenize import padded

CPU_BUDGET, GPU_BUDGET = 2048, 131072  # units in a batch, padding included


class BackboneEmbedder(Embedder):
    """See `Embedder`.

    Args:
        parts: of the model, on the device, the backbone in its precision, in evaluation mode.
        name: see `Embedder`.
        mark: see `Embedder`.
        device: where to run.
        finish: see there.
        prompt: written before every text.
    """

    def __init__(self, parts: Parts, name: str, mark: str, device: torch.device, finish: Finish, prompt: str = ""):
        self.parts, self.name, self.mark, self.finish, self.prompt = parts, name, mark, finish, prompt
        self.device, self.width, self.pooling = device, parts.width, "+".join(parts.pooling)
        self.published = parts.units.published
        self._prompt_units = 0 if not prompt or parts.counts_prompt else parts.units.prefix(prompt)

    @classmethod
    def load(
        cls,
        folder: Path,
        name: str,
        device: str = "auto",
        dtype: str = "auto",
        pooling: str | None = None,
        whiten: str | None = None,
        dim: int | None = None,
        *,
        normalise: bool | None = None,
        prompt: str | None = None,
        fixed: bool = True,
    ) -> "BackboneEmbedder":
        """See `embedder.load`."""
        keep_memory()
        where = pick_device(device)
        precision = pick_dtype(dtype, where)
        parts = with_pooling(read_parts(folder), pooling, name)
        parts.backbone.to(where, precision).eval()
        parts.dense.to(where).eval()
        if fixed:
            prepack(parts.backbone)
        if parts.pooler is not None:
            parts.pooler.to(where)
        finish = Finish(keep=parts.keep, normalise=parts.normalise if normalise is None else normalise)
        plain = cls(parts, name, fingerprint(folder), where, finish, parts.prompt(prompt))
        return plain.finished(read_map(whiten, folder), dim)

    def raw(self, texts: Sequence[str]) -> Embedded:
        """See `Embedder`.

        Raises:
            ModelError: the model gives NaN, as a broken one or fp16 may.
        """
        rows = self.parts.units([self.prompt + text for text in texts] if self.prompt else texts)
        lengths = [len(row) for row in rows.ids]
        vectors = np.empty((len(lengths), self.width), dtype=np.float32)
        budget = GPU_BUDGET if self.device.type == "cuda" else CPU_BUDGET
        for batch in token_batches(lengths, budget):
            vectors[batch] = self._forward([rows.ids[index] for index in batch]).cpu().numpy()
        if not np.isfinite(vectors).all():
            cure = "take --dtype fp32, and if that does not help, copy or download the model again"
            raise ModelError(f"{self.name}: gives NaN or infinity; {cure}")
        windows = {owner: count for owner, count in Counter(rows.owners).items() if count > 1}
        if windows:
            vectors = _joined(vectors, lengths, rows.owners, len(texts))
        return Embedded(vectors, windows, rows.truncated, rows.unknown)

    @torch.inference_mode()
    def _forward(self, rows: list[list[int]]) -> Tensor:
        """Raw vectors [b, width] in fp32."""
        parts = self.parts
        input_ids, mask = padded(rows, parts.units.pad_id)
        input_ids = input_ids.to(self.device)
        mask = None if mask is None else mask.to(self.device)
        if isinstance(parts.backbone, Encoder) and parts.pooling in (("cls",), ("pooler",)) and not self._prompt_units:
            states = [parts.backbone.first_token_states(input_ids, mask)[:, None]]
            mask = None
        elif "first-last" in parts.pooling:
            states = parts.backbone.hidden_states(input_ids, mask)
        else:
            states = [parts.backbone(input_ids, mask)]
        counted = mask
        if self._prompt_units:
            counted = torch.ones_like(input_ids, dtype=torch.bool) if mask is None else mask.clone()
            counted[:, : self._prompt_units] = False
        with torch.autocast(self.device.type, enabled=False):  # training may have it on
            pooled = torch.cat([pool(states, counted, pooling) for pooling in parts.pooling], dim=-1)
            if parts.pooling == ("pooler",) and parts.pooler is not None:
                pooled = parts.pooler(pooled)
            result: Tensor = parts.dense(pooled)
        return result


def _joined(vectors: NDArray[np.float32], lengths: list[int], owners: Sequence[int], size: int) -> NDArray[np.float32]:
    """The vectors [size, d] of texts from those of their windows: means, weighted by length."""
    weights = np.array(lengths, dtype=np.float32)
    sums = np.zeros((size, vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, owners, vectors * weights[:, None])
    result: NDArray[np.float32] = sums / np.bincount(owners, weights, size).astype(np.float32)[:, None]
    return result
