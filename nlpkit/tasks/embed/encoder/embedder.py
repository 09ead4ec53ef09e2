"""The interface of all embedders: nlpkit's own encoders, published encoders and static vectors.

>>> embedder = nlpkit.tasks.embed.loading.load("my-model")
>>> embedder.encode(["今天天气不错", "天气真好"])    # float32 [2, dim]
>>> embedder.provenance                            # which vector space they belong to
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.errors import UsageError
from nlpkit.tasks.embed.encoder.linear_map import LinearMap
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.encoder.unknown import Unknown, blank_texts, cleared

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of texts.

    Attributes:
        vectors: [n, dim].
        windows: number of windows of each text that is longer than the model's maximum length, by its position.
        truncated: positions of texts of which only the beginning was encoded, as in sentence-transformers.
        unknown: characters that the model does not know, by the position of the text.
        blank: positions of texts without a visible character.
    """

    vectors: NDArray[np.float32]
    windows: dict[int, int] = field(default_factory=dict)
    truncated: frozenset[int] = frozenset()
    unknown: dict[int, Unknown] = field(default_factory=dict)
    blank: Collection[int] = ()


class Embedder(ABC):
    """Maps texts to vectors: the model gives raw vectors, the postprocessor turns them into the final ones.

    Attributes:
        name: of the model, as given by the user.
        fingerprint: of its weights.
        pooling: name of the pooling.
        width: dimensions of a raw vector.
        postprocessor: applied to raw vectors.
        matches_published: whether all vectors must equal those of sentence-transformers, also for blank texts and
            unknown characters.
    """

    matches_published = False
    name: str
    fingerprint: str
    pooling: str
    width: int
    postprocessor: Postprocessor

    @abstractmethod
    def raw(self, texts: Sequence[str]) -> Embeddings:
        """Return the raw vectors [n, width] of the texts, in order.

        A vector does not depend on the other texts of the call, up to rounding (1e-5 in fp32).
        """

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the final vectors, and which texts were longer than the model's maximum length."""
        return self.postprocess(self.raw(texts), texts)

    def postprocess(self, raw: Embeddings, texts: Sequence[str]) -> Embeddings:
        """Return the final vectors of texts, given the raw ones."""
        vectors, blank = self.postprocessor(raw.vectors, raw.unknown), blank_texts(texts)
        return replace(raw, vectors=vectors if self.matches_published else cleared(vectors, blank), blank=blank)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the final vectors [n, dim] of the texts, in order.

        They have unit length if `provenance["normalised"]`. A blank text has a vector of zeros, except in a
        sentence-transformers model, whose vectors are as published.

        Raises:
            UsageError: `texts` is a single string.
        """
        return self.embed(_checked(texts)).vectors

    def stream(self, texts: Iterable[str], chunk: int = CHUNK_SIZE) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors [dim] of texts, in order, reading `chunk` texts ahead.

        Raises:
            UsageError: `texts` is a single string.
        """
        return self._stream(iter(_checked(texts)), chunk)

    def _stream(self, texts: Iterator[str], chunk: int) -> Iterator[NDArray[np.float32]]:
        while ahead := list(islice(texts, chunk)):
            yield from self.encode(ahead)

    def with_postprocessing(self, map: LinearMap | None, dim: int | None) -> Self:
        """Return the same model with another linear map and dimension; see `Postprocessor.with_map`."""
        result = copy(self)
        result.postprocessor = self.postprocessor.with_map(map, dim, self.raw_provenance)
        return result

    @property
    def dim(self) -> int:
        """Dimensions of a final vector."""
        return self.postprocessor.output_dim(self.width)

    @property
    def raw_provenance(self) -> dict[str, Any]:
        """The `provenance` of the raw vectors, which a whitening of them stores."""
        model = {"model": self.name, "fingerprint": self.fingerprint, "pooling": self.pooling, "whitening": None}
        return {**model, "dim": self.width, "normalised": False}

    @property
    def provenance(self) -> dict[str, Any]:
        """A JSON object that identifies the vector space, stored with every output and index.

        It has the `model` as given by the user, the `fingerprint` of its weights, the `pooling`, the `whitening` (None,
        or its fingerprint), `dim` and `normalised`. `postprocess.incompatibilities` compares two of them.
        """
        map = self.postprocessor.map
        whitening = None if map is None else map.fingerprint
        normalised = self.postprocessor.normalize
        return {**self.raw_provenance, "whitening": whitening, "dim": self.dim, "normalised": normalised}


def _checked(texts: T) -> T:
    if isinstance(texts, str):
        raise UsageError("texts is one string; pass a list of strings")
    return texts
