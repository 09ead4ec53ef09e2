"""nlpkit's models inside sentence-transformers: the one module of their modules.json. It alone imports that package.

>>> SentenceTransformer("my-model", trust_remote_code=True).encode(texts)

gives what `nlpkit embed --model my-model` gives. trust_remote_code says no more here than that nlpkit, which is
installed, may be imported: the folder holds no code.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers.models import Module
from torch import Tensor, nn

from nlpkit.core.model.manifest import find
from nlpkit.tasks.embed.encoder.embedder import Embedder, load
from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder

KEPT = ("nlpkit.json", "vocab.txt", "model.safetensors", "whitening.safetensors", "card.json")


class NlpkitModule(Module):  # type: ignore[misc]
    """An embedder as a module: texts pass through `preprocess` untouched, `forward` embeds them.

    Args:
        folder: of the model.
        embedder: loaded from it.
    """

    save_in_root = True

    def __init__(self, folder: Path, embedder: Embedder):
        super().__init__()
        self.folder, self.embedder = folder, embedder
        self.backbone = embedder.parts.backbone if isinstance(embedder, BackboneEmbedder) else nn.Identity()

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> "NlpkitModule":
        """From a folder or hub name; called by sentence-transformers."""
        folder = find(model_name_or_path) / subfolder
        return cls(folder, load(str(folder), "cpu", "fp32", fixed=False))

    def preprocess(self, inputs: list[str], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Keeps the texts for `forward`."""
        return {"texts": [(prompt or "") + text for text in inputs]}

    tokenize = preprocess  # its name before version 6

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Adds `sentence_embedding` [b, dim]."""
        weight = next(self.backbone.parameters(), None)
        if weight is not None and isinstance(self.embedder, BackboneEmbedder):
            self.embedder.device = weight.device  # sentence-transformers may have moved it
        vectors: Tensor = torch.from_numpy(np.ascontiguousarray(self.embedder.encode(features["texts"])))
        features["sentence_embedding"] = vectors
        return features

    def get_embedding_dimension(self) -> int:
        """Of the vectors."""
        return self.embedder.dim

    get_sentence_embedding_dimension = get_embedding_dimension  # its name before version 6

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Copies the model's files."""
        import shutil

        for name in KEPT:
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, Path(output_path) / name)
