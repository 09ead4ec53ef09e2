"""Whole-word masking for a masked language model.

Shapes: b batch, s sequence, w words, m masked tokens.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlpkit.nn.initialization import AS_MASK, AS_RANDOM

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MaskSettings:
    """How to mask.

    Attributes:
        fraction: of the tokens of a batch that are masked.
        whole_word: mask whole words; else single tokens.
    """

    fraction: float = 0.3
    whole_word: bool = True


def choose_masked(word_starts: Flags, maskable: Flags, settings: MaskSettings, random: np.random.Generator) -> Ids:
    """Return flat, ascending indices [m] of the tokens to mask, with m the same for every batch of this shape.

    The words are put in a random order and their tokens are taken until there are enough, so at most one word of the
    batch is masked in part. m is smaller only where fewer tokens may be masked.

    Args:
        word_starts: [b, s] True at the first token of a word; the first token of a sequence always starts a word.
        maskable: [b, s] True at tokens that may be masked; all tokens of a word must agree.
        settings: how to mask.
        random: draws the order.
    """
    word_starts = word_starts.copy() if settings.whole_word else np.ones_like(word_starts)
    word_starts[:, 0] = True
    word = np.cumsum(word_starts) - 1  # [b·s]
    rank = random.permutation(word[-1] + 1)[word]  # [b·s] position of each token's word in the random order
    rank[~maskable.reshape(-1)] = word_starts.size  # after all words
    number = min(round(settings.fraction * word_starts.size), int(maskable.sum()))
    return np.sort(np.argsort(rank, kind="stable")[:number])


def corrupt(ids: Ids, mask_id: int, ordinary_ids: Ids, random: np.random.Generator) -> Ids:
    """Return the input ids [m] of masked tokens: mostly [MASK], some random tokens, some unchanged.

    Args:
        ids: [m] true ids.
        mask_id: of [MASK].
        ordinary_ids: token ids to draw random tokens from.
        random: draws.
    """
    draw = random.random(len(ids))
    random_ids = random.choice(ordinary_ids, len(ids))
    return np.select([draw < AS_MASK, draw < AS_MASK + AS_RANDOM], [mask_id, random_ids], ids)
