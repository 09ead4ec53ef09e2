"""Characters that a model does not know, and blank texts.

A model has one vector, or a few, for all characters outside its vocabulary, and hardly distinguishes the rarest ones
inside it, so that 😀 and 😡 would be nearly the same. Each such character therefore adds a direction of its own, a
hash of the character, to the final vector, in proportion to its fraction of the text. Texts without such characters
keep their vectors bit for bit.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from hashlib import shake_128
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.normalization import clean_name

Vectors = NDArray[np.float32]

WEIGHT = 1.0  # length of the direction relative to the vector, for a text of unknown characters only


class Unknown(NamedTuple):
    """The unknown characters of a text.

    Attributes:
        characters: in the order of the text.
        fraction: of the text's tokens.
    """

    characters: tuple[str, ...]
    fraction: float


def is_blank(text: str) -> bool:
    """Return whether a text has only white space and invisible characters."""
    return not clean_name(text)


def with_directions(vectors: Vectors, unknown: Mapping[int, Unknown]) -> Vectors:
    """Return vectors [n, d] with the directions of unknown characters added.

    Args:
        vectors: final ones, of any length.
        unknown: by index. A vector of zeros, of a text without known characters, becomes the direction itself.
    """
    if not unknown:
        return vectors
    result = vectors.copy()
    for index, (characters, fraction) in unknown.items():
        direction = sum(_direction(character, vectors.shape[1]) for character in characters)
        length = float(np.linalg.norm(direction))
        if length:
            scale = float(np.linalg.norm(vectors[index])) or 1.0
            result[index] += np.float32(WEIGHT * fraction * scale / length) * direction
    return result


def blank_texts(texts: Sequence[str]) -> frozenset[int]:
    """Return the positions of the texts that are blank."""
    return frozenset(position for position, text in enumerate(texts) if is_blank(text))


def cleared(vectors: Vectors, indices: Collection[int]) -> Vectors:
    """Return vectors with zeros at these indices."""
    if indices:
        vectors = vectors.copy()
        vectors[list(indices)] = 0
    return vectors


@lru_cache(4096)
def _direction(character: str, dim: int) -> Vectors:
    """Return random signs [dim] that depend only on the character; a smaller dim has the first signs of a larger."""
    bits = np.frombuffer(shake_128(character.encode("utf-8", "surrogatepass")).digest(-(-dim // 8)), dtype=np.uint8)
    signs: Vectors = np.unpackbits(bits)[:dim].astype(np.float32) * 2 - 1
    signs.flags.writeable = False
    return signs
