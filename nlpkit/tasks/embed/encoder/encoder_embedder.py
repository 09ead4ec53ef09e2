"""What all embedders with a transformer encoder share: sequences, batches, and the mean over windows."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.text.padding import TokenBudget
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.tokenize import SequenceTokenizer


class EncoderEmbedder(Embedder):
    """An embedder with a transformer encoder.

    Attributes:
        tokenizer: gives token sequences.
        prompt: text put before every input.
        device_type: `cpu`, `cuda` or `mps`.
    """

    budget = TokenBudget(cpu=2048, gpu=131072)
    tokenizer: SequenceTokenizer
    prompt: str = ""
    device_type: str = "cpu"

    @abstractmethod
    def forward(self, sequences: list[list[int]]) -> NDArray[np.float32]:
        """Return the raw vectors [b, width] of token sequences of similar length."""

    @override
    def raw(self, texts: Sequence[str]) -> Embeddings:
        sequences = self.tokenizer([self.prompt + text for text in texts] if self.prompt else texts)
        lengths = [len(ids) for ids in sequences.ids]
        vectors = np.empty((len(lengths), self.width), dtype=np.float32)
        for batch in self.budget.batches(lengths, self.device_type):
            vectors[batch] = self.forward([sequences.ids[index] for index in batch])
        if not np.isfinite(vectors).all():
            cure = "take --dtype fp32, and if that does not help, copy or download the model again"
            raise ModelError(f"{self.name}: gives NaN or infinity; {cure}")
        windows = {index: count for index, count in Counter(sequences.text_indices).items() if count > 1}
        if windows:
            vectors = _averaged(vectors, lengths, sequences.text_indices, len(texts))
        return Embeddings(vectors, windows, sequences.truncated, sequences.unknown)


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
