"""The module of an nlpkit model in sentence-transformers. This is the only file that imports that package.

>>> SentenceTransformer("my-model", trust_remote_code=True).encode(texts)

gives the vectors of `nlpkit embed --model my-model`. trust_remote_code only permits sentence-transformers to import
the installed nlpkit: the folder contains no code.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers.models import Module
from torch import Tensor, nn

from nlpkit.core.model.manifest import find
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder
from nlpkit.tasks.embed.loading import load

MODEL_FILES = ("nlpkit.json", "vocab.txt", "model.safetensors", "whitening.safetensors", "card.json")


class NlpkitModule(Module):  # type: ignore[misc]
    """An embedder as a module: `preprocess` passes texts through unchanged, `forward` embeds them.

    Args:
        folder: of the model.
        embedder: loaded from it.
    """

    save_in_root = True

    def __init__(self, folder: Path, embedder: Embedder):
        super().__init__()
        self.folder, self.embedder = folder, embedder
        self.backbone = embedder.components.backbone if isinstance(embedder, BackboneEmbedder) else nn.Identity()

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> "NlpkitModule":
        """Load the module from a folder or by hub name; called by sentence-transformers."""
        folder = find(model_name_or_path) / subfolder
        return cls(folder, load(str(folder), "cpu", "fp32", fixed=False))

    def preprocess(self, inputs: list[str], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Return the texts for `forward`."""
        return {"texts": [(prompt or "") + text for text in inputs]}

    tokenize = preprocess  # its name before version 6

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add `sentence_embedding` [b, dim] to the features."""
        weight = next(self.backbone.parameters(), None)
        if weight is not None and isinstance(self.embedder, BackboneEmbedder):
            self.embedder.device = weight.device  # sentence-transformers may have moved it
        vectors: Tensor = torch.from_numpy(np.ascontiguousarray(self.embedder.encode(features["texts"])))
        features["sentence_embedding"] = vectors
        return features

    def get_embedding_dimension(self) -> int:
        """Return the dimension of the vectors."""
        return self.embedder.dim

    get_sentence_embedding_dimension = get_embedding_dimension  # its name before version 6

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Copy the files of the model."""
        import shutil

        for name in MODEL_FILES:
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, Path(output_path) / name)
