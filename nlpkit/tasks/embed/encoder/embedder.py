"""Texts to vectors, whatever stands behind: a model of ours, a published one, or a table of static vectors.

>>> embedder = load("my-model")
>>> embedder.encode(["今天天气不错", "天气真好"])    # float32 [2, dim]
>>> embedder.identity                              # which space these vectors live in
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.manifest import MANIFEST, find, read_manifest
from nlpkit.errors import UsageError
from nlpkit.tasks import default_model
from nlpkit.tasks.embed.encoder.postprocess import Finish, differences, unit
from nlpkit.tasks.embed.unknown import Unknown, blank_texts, cleared
from nlpkit.tasks.embed.whitening.whitening import LinearMap

T = TypeVar("T")

__all__ = ["Embedded", "Embedder", "differences", "load", "unit"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of texts.

    Attributes:
        vectors: [n, dim].
        windows: of each text that was longer than the model reads, by its position: how many windows it was read in.
        truncated: positions of those of which only the beginning was read, as sentence-transformers reads them.
        unknown: of each text with characters that the model does not know, by its position.
        blank: positions of the texts without a visible character.
    """

    vectors: NDArray[np.float32]
    windows: dict[int, int] = field(default_factory=dict)
    truncated: frozenset[int] = frozenset()
    unknown: dict[int, Unknown] = field(default_factory=dict)
    blank: Collection[int] = ()


class Embedder(ABC):
    """Maps texts to vectors. Those that a model gives itself are raw; `finish` makes of them what the user gets.

    Attributes:
        name: of the model as the user gave it.
        mark: fingerprint of its weights.
        pooling: its name.
        width: dimensions of a raw vector.
        finish: see there.
        published: whether all vectors are to be those of sentence-transformers, also of blank texts and of unknown
            characters.
    """

    published = False
    name: str
    mark: str
    pooling: str
    width: int
    finish: Finish

    @abstractmethod
    def raw(self, texts: Sequence[str]) -> Embedded:
        """Raw vectors [n, width] of the texts, in order.

        None depends on its neighbours in the call beyond rounding (1e-5 in fp32).
        """

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Finished vectors, and which texts were longer than the model reads."""
        raw = self.raw(texts)
        vectors, blank = self.finish(raw.vectors, raw.unknown), blank_texts(texts)
        return replace(raw, vectors=vectors if self.published else cleared(vectors, blank), blank=blank)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Finished vectors [n, dim] of the texts, in order, of unit length where `identity["normalised"]`.

        A blank text has a vector of zeros, but in a folder of sentence-transformers, whose vectors are as published.

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

    def finished(self, map: LinearMap | None, dim: int | None) -> Self:
        """The same model with another finish; see `Finish.using`."""
        result = copy(self)
        result.finish = self.finish.using(map, dim, self.raw_identity)
        return result

    @property
    def dim(self) -> int:
        """Dimensions of a finished vector."""
        return self.finish.dim(self.width)

    @property
    def raw_identity(self) -> dict[str, Any]:
        """`identity` of the raw vectors: what a whitening of them remembers."""
        described = {"model": self.name, "fingerprint": self.mark, "pooling": self.pooling, "whitening": None}
        return {**described, "dim": self.width, "normalised": False}

    @property
    def identity(self) -> dict[str, Any]:
        """JSON values that name the space: `model` as the user gave it, `fingerprint` of its weights, `pooling`,
        `whitening` (None, or the fingerprint of one), `dim`, `normalised`. Every output and index keeps it, and
        `differences` tells whether two of them are the same space.
        """  # noqa: D205
        mark = None if self.finish.map is None else self.finish.map.mark
        return {**self.raw_identity, "whitening": mark, "dim": self.dim, "normalised": self.finish.normalise}


def _checked(texts: T) -> T:
    if isinstance(texts, str):
        raise UsageError("texts is one string; pass a list of strings")
    return texts


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    pooling: str | None = None,
    whiten: str | None = None,
    dim: int | None = None,
    *,
    normalise: bool | None = None,
    prompt: str | None = None,
    fixed: bool = True,
) -> Embedder:
    """An embedder by embedded name, folder or hub name.

    Args:
        name: of the model; the embedded one when None. A folder of ours, one of sentence-transformers, or a backbone.
        device: as for `core.device.pick_device`.
        dtype: as for `core.device.pick_dtype`.
        pooling: one of `nn.pooling.POOLINGS`; what the model says when None or `auto`, `mean` if it says nothing.
        whiten: a file of `nlpkit train whitening`, `stored` for the one in the model's folder, or none.
        dim: dimensions to keep: the first ones of the vector, or of the whitening.
        normalise: whether vectors get unit length; as the model says when None (a sentence-transformers folder may say
            no, all others say yes).
        prompt: written before every text: the name of one of the model's prompts, or the prompt itself; its default
            prompt when None.
        fixed: whether device and precision stay as they are, so that weights may be laid out for them.

    Raises:
        ModelError: no such model, not one for embeddings, or a whitening of another one.
        UsageError: the model has no such pooling, or not so many dimensions.
    """
    name = name or default_model("embed")
    folder = find(name)
    if (folder / MANIFEST).exists() and read_manifest(folder).backbone.get("type") == "static":
        from nlpkit.tasks.embed.static.static import StaticEmbedder

        if pooling not in (None, "auto", StaticEmbedder.pooling):
            raise UsageError(f"--pooling {pooling}: {name} is a table of vectors, whose mean it gives")
        if prompt is not None:
            raise UsageError(f"--prompt: {name} is a table of vectors, to which a prompt means nothing")
        return StaticEmbedder.load(folder, name, whiten=whiten, dim=dim, normalise=normalise)
    from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder

    return BackboneEmbedder.load(
        folder, name, device, dtype, pooling, whiten, dim, normalise=normalise, prompt=prompt, fixed=fixed
    )
