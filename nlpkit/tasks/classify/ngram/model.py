"""The classifier: for each label a weight for each n-gram, and a bias.

    nlpkit.json          as for every model; `"backbone": {"type": "ngram", "bits": 18}`
    model.safetensors    `weight` [r, 2^bits], `idf` [1, 2^bits], `bias` [r]

The logit of a label is bias + Σ weight · idf / ‖idf‖ over the distinct n-grams of the text (see `features`). Where a
text has one label, that of the first label is 0, as softmax depends on differences only, and r = c − 1; else r = c.
Prediction needs numpy only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.model.contents import OpenWeights, check_files
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.errors import ModelError
from nlpkit.tasks.classify.ngram.features import features

BITS, MAX_BITS = 18, 24
_BLOCK_CHARACTERS = 1 << 18  # of texts that are processed together; their arrays fit a core's cache

Floats = NDArray[np.float32]


class NgramRunner:
    """Computes the logits of texts.

    Args:
        weight: [2^bits, r].
        idf: inverse document frequencies [2^bits]; 0 for n-grams that are left out.
        bias: [r].
        num_labels: c, which is r or r + 1.
    """

    device_type = "cpu"

    def __init__(self, weight: Floats, idf: Floats, bias: Floats, num_labels: int):
        self.weight, self.idf, self.bias, self.num_labels = weight, idf, bias, num_labels
        self.bits = len(idf).bit_length() - 1
        self.parameters = weight.size + idf.size + bias.size

    @classmethod
    def load(cls, folder: Path, manifest: Manifest, num_labels: int, *, multiple: bool) -> "NgramRunner":
        """Return the runner of a model folder.

        Args:
            folder: of the model.
            manifest: of the folder.
            num_labels: c.
            multiple: whether a text has any number of labels.

        Raises:
            ModelError: the folder is damaged.
        """
        check_files(folder, manifest)
        bits = manifest.backbone.get("bits")
        if type(bits) is not int or not 1 <= bits <= MAX_BITS:
            raise ModelError(
                f"{folder}: bits of the n-gram backbone must be from 1 to {MAX_BITS}; copy the model again"
            )
        weights, rows = StoredWeights(OpenWeights(folder)), num_labels if multiple else num_labels - 1
        try:
            weight = weights.take("weight", rows, 1 << bits)
            idf, bias = weights.take("idf", 1, 1 << bits)[0], weights.take("bias", rows)
            runner = cls(np.ascontiguousarray(weight.T), idf, bias, num_labels)
            weights.check_all_taken()
        except ValueError as error:
            raise ModelError(f"{folder}: the weights do not fit the manifest ({error}); copy the model again") from None
        return runner

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return logits [n, c]; they do not depend on the other texts."""
        logits = np.zeros((len(texts), self.num_labels), np.float32)
        computed = logits[:, self.num_labels - len(self.bias) :]
        start = size = 0
        for index, text in enumerate(texts):
            if size and size + len(text) > _BLOCK_CHARACTERS:
                computed[start:index] = self._logits(texts[start:index])
                start, size = index, 0
            size += len(text) + 2
        computed[start:] = self._logits(texts[start:])
        return logits

    def _logits(self, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.zeros((0, len(self.bias)), np.float32)
        text_indices, buckets = features(texts, self.bits)
        values = values_of(text_indices, buckets, self.idf, len(texts))
        starts = np.searchsorted(text_indices, np.arange(len(texts)))
        sums: Floats = np.add.reduceat(self.weight[buckets] * values[:, None], starts)  # every text has an n-gram
        return sums + self.bias


def values_of(text_indices: NDArray[np.int64], buckets: NDArray[np.int64], idf: Floats, num_texts: int) -> Floats:
    """Return the value of each n-gram: its idf, scaled so that the values of a text have the norm 1.

    Args:
        text_indices: [k], see `features`.
        buckets: [k].
        idf: [2^bits].
        num_texts: number of texts.
    """
    values = idf[buckets]
    squares: Any = np.bincount(text_indices, values.astype(np.float64) ** 2, minlength=num_texts)
    norms = np.sqrt(np.maximum(squares, 1e-12)).astype(np.float32)
    result: Floats = values / norms[text_indices]
    return result
