"""Features of a text: the hashes of its character n-grams.

The n-grams are those of 1 to 3 characters of `^text$`, in the normal form of `core.text.normalization`. Each counts
once per text. A hash is the same on all machines.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.normalization import normalize

MAX_N = 3
START, END = "\x02", "\x03"
_MULTIPLIER, _FINAL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)  # of SplitMix64
_SHIFT = np.uint64(29)


def features(texts: Sequence[str], bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct n-grams of texts.

    Args:
        texts: any strings.
        bits: binary logarithm of the number of buckets.

    Returns:
        text indices [k], ascending, and the bucket of each n-gram [k], ascending within a text.
    """
    marked = [f"{START}{normalize(text)}{END}" for text in texts]
    encoded = "".join(marked).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(encoded, dtype="<u4").astype(np.uint64)
    text_indices = np.repeat(np.arange(len(marked)), np.fromiter(map(len, marked), np.int64, len(marked)))
    keys = []
    hashes = np.zeros_like(codes)
    for n in range(1, MAX_N + 1):
        count = max(0, len(codes) - n + 1)
        hashes = (hashes[:count] + codes[n - 1 :]) * _MULTIPLIER  # modulo 2^64
        hashes ^= hashes >> _SHIFT
        buckets = ((hashes * _FINAL) >> np.uint64(64 - bits)).astype(np.int64)
        inside = text_indices[:count] == text_indices[n - 1 :]
        keys.append(((text_indices[:count] << bits) | buckets)[inside])
    found = np.sort(np.concatenate(keys))  # np.unique hashes them, which takes five times as long
    unique = found[np.diff(found, prepend=-1) != 0]
    return unique >> bits, unique & ((1 << bits) - 1)
