"""Static embeddings: the vector of a text is the mean of the vectors of its characters and words.

    embedder = StaticEmbedder.load(Path("my-static"), "my-static")
    embedder.encode(["今天天气不错"])              # float32 [1, dim], of unit length

    nlpkit.json          as for every model; `"backbone": {"type": "static", …}`
    vocab.txt            the tokens, characters first, then words
    model.safetensors    `tokens.weight` [tokens, dim]; a vector's length is its weight in the mean

`distil` makes them from an encoder, which is hundreds of times slower.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nlpkit.core.model import Store
from nlpkit.core.model.checkpoint import dequantize, quantize, read_weights
from nlpkit.core.model.contents import WEIGHTS
from nlpkit.core.model.manifest import read_manifest, reader
from nlpkit.core.text.tokenizer import VOCABULARY, read_vocabulary
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.fingerprint import weights_fingerprint
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.static.lexicon import Lexicon

TABLE = "tokens.weight"
BLOCK, BLOCK_CHARACTERS = 4096, 1 << 18  # texts that are processed together; their arrays fit a core's cache
UNBOUNDED = 2**31 - 1  # `max_length` of the manifest: texts of any length are not cut


class StaticEmbedder(Embedder):
    """An embedder with a table of vectors.

    Args:
        lexicon: the tokens.
        table: their vectors [tokens, width].
        name: of the model.
        fingerprint: of its weights.
        postprocessor: applied to raw vectors.
    """

    pooling = "mean"

    def __init__(self, lexicon: Lexicon, table: Tensor, name: str, fingerprint: str, postprocessor: Postprocessor):
        self.lexicon, self.table, self.name = lexicon, table, name
        self.fingerprint, self.postprocessor = fingerprint, postprocessor
        self.width = table.shape[1]

    @classmethod
    def load(cls, folder: Path, name: str, *, normalize: bool | None = None) -> "StaticEmbedder":
        """Load the model from its folder.

        Args:
            folder: of the model.
            name: as given by the user.
            normalize: whether vectors are scaled to unit length; yes when None.

        Raises:
            ModelError: the folder is incomplete or broken.
        """
        manifest = read_manifest(folder, "embed")
        reader(folder).check(manifest.files)
        tokens = read_vocabulary(folder / VOCABULARY)
        table = read_weights(folder).get(TABLE)
        if table is None or table.dim() != 2 or len(table) != len(tokens):
            raise ModelError(f"{folder}: {len(tokens)} tokens in {VOCABULARY}, but {WEIGHTS} has not as many vectors")
        try:
            lexicon = Lexicon(tokens)
        except ValueError as error:
            raise ModelError(f"{folder}/{VOCABULARY}: {error}; copy or make the model again") from None
        postprocessor = Postprocessor(normalize=normalize is not False)
        return cls(lexicon, table, name, weights_fingerprint(folder), postprocessor)

    @torch.inference_mode()
    def raw(self, texts: Sequence[str]) -> Embeddings:
        """Return the means of the vectors of each text's tokens, or zeros if it has none; see `Embedder`."""
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for start, end in text_blocks(texts):
            vectors[start:end] = self._means(texts[start:end])
        return Embeddings(vectors, unknown=self.lexicon.unknown(texts))

    def _means(self, texts: Sequence[str]) -> NDArray[np.float32]:
        bags = bags_of(self.lexicon, texts)
        counts = np.zeros(len(texts), dtype=np.float32)
        for ids, starts in bags:
            counts += np.diff(starts.numpy(), append=len(ids))
        means: NDArray[np.float32] = sums(bags, self.table).numpy()
        means /= np.maximum(counts, 1)[:, None]
        return means


def text_blocks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of blocks of texts with few texts and, except for a single long text, few characters."""
    start = size = 0
    for place, text in enumerate(texts):
        if place > start and (place == start + BLOCK or size + len(text) > BLOCK_CHARACTERS):
            yield start, place
            start, size = place, 0
        size += len(text)
    if texts:
        yield start, len(texts)


Bags = list[tuple[Tensor, Tensor]]


def bags_of(lexicon: Lexicon, texts: Sequence[str]) -> Bags:
    """Return the tokens of each text in the form that `sums` takes; see `Lexicon.find`."""
    return [(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(starts)) for ids, starts in lexicon.find(texts)]


def sums(bags: Bags, table: Tensor) -> Tensor:
    """Return the sums [n, d] of the vectors [tokens, d] of each text's tokens; the gradients are sparse."""
    sparse = table.requires_grad
    total = torch.zeros(len(bags[0][1]), table.shape[1])
    for ids, starts in bags:
        total = total + F.embedding_bag(ids, table, starts, mode="sum", sparse=sparse)
    return total


def as_stored(table: Tensor, store: Store) -> Tensor:
    """Return a table as it is after it was written and read."""
    return dequantize(quantize({TABLE: table}, store))[TABLE]
