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
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.model.contents import WEIGHTS, OpenWeights
from nlpkit.core.model.manifest import read_manifest, reader
from nlpkit.core.text.tokenizer import VOCABULARY, read_vocabulary
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.fingerprint import weights_fingerprint
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.static.lexicon import Ids, Lexicon, Offsets

Floats = NDArray[np.float32]
TABLE = "tokens.weight"
BLOCK, BLOCK_CHARACTERS = 4096, 1 << 18  # texts that are processed together; their arrays fit a core's cache


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

    def __init__(self, lexicon: Lexicon, table: Floats, name: str, fingerprint: str, postprocessor: Postprocessor):
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
        table = OpenWeights(folder).get(TABLE)
        if table is None or table.ndim != 2 or len(table) != len(tokens):
            raise ModelError(f"{folder}: {len(tokens)} tokens in {VOCABULARY}, but {WEIGHTS} has not as many vectors")
        try:
            lexicon = Lexicon(tokens)
        except ValueError as error:
            raise ModelError(f"{folder}/{VOCABULARY}: {error}; copy or make the model again") from None
        postprocessor = Postprocessor(normalize=normalize is not False)
        return cls(lexicon, table, name, weights_fingerprint(folder), postprocessor)

    @override
    def raw(self, texts: Sequence[str]) -> Embeddings:
        """Return the means of the vectors of each text's tokens, or zeros if it has none; see `Embedder`."""
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for start, end in text_blocks(texts):
            vectors[start:end] = self._means(texts[start:end])
        return Embeddings(vectors, unknown=self.lexicon.unknown(texts))

    def _means(self, texts: Sequence[str]) -> Floats:
        sums, counts = np.zeros((len(texts), self.width), np.float32), np.zeros(len(texts), np.int64)
        for ids, starts in self.lexicon.find(texts):
            sizes = np.diff(starts, append=len(ids))
            add_sums(sums, self.table, ids, starts, sizes)
            counts += sizes
        sums /= np.maximum(counts, 1)[:, None]
        return sums


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


def add_sums(total: Floats, table: Floats, ids: Ids, starts: Offsets, sizes: Offsets) -> None:
    """Add the sum of each text's vectors to total [n, d].

    All texts add their first vector, then all that have a second one add it, and so on: a few large operations instead
    of one per text.

    Args:
        total: changed in place.
        table: vectors [tokens, d].
        ids: of the tokens of all texts, one after another.
        starts: of each text in `ids` [n].
        sizes: number of tokens of each text [n].
    """
    longest_first = np.argsort(-sizes, kind="stable")
    starts, sizes = starts[longest_first], sizes[longest_first]
    ordered = np.zeros_like(total)
    for step in range(int(sizes[0])):
        count = int(np.searchsorted(-sizes, -step))  # texts with more than `step` tokens
        ordered[:count] += table[ids[starts[:count] + step]]
    total[longest_first] += ordered
