"""Rows without padding from a stream of units, and whole-word masks; every batch is a pure function of (seed, step).

    units       我* 们 用* py* ##torch [SEP]* 他* …        (* begins a word)
    row         [CLS] 我 们 用 py ##torch [SEP] 他          [CLS] and length - 1 units, wherever they begin
    input_ids   [CLS] 我 们 用 [MASK] [MASK] [SEP] 他       positions 4 5, targets py ##torch

Shapes: b batch, s sequence, n units, w words, m masked units. A batch of 64 × 128 takes about 1 ms.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.tokenizer import MASK, SPECIALS, CharTokenizer
from nlpkit.errors import DataError, ModelError
from nlpkit.nn.initialization import AS_MASK, AS_RANDOM
from nlpkit.tasks.pretrain.corpus import ID_BITS, WORD_START, Units

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Batch(NamedTuple):
    """Rows to read and units to guess.

    Attributes:
        input_ids: [b, s].
        positions: [m] of the masked units in `input_ids.reshape(-1)`, ascending.
        targets: [m] their true ids.
    """

    input_ids: Ids
    positions: Ids
    targets: Ids


@dataclass(frozen=True, slots=True)
class MaskSettings:
    """How to mask.

    Attributes:
        share: of the units of a batch that are masked.
        whole_word: choose whole words; else single units.
    """

    share: float = 0.3
    whole_word: bool = True


class MaskedRows:
    """The masked batches of a corpus, in another order and cut at other places in every epoch.

    Args:
        units: [n], as in `Corpus.tokens`; stays on disk.
        tokenizer: that made them.
        length: of a row, [CLS] included.
        batch_size: rows in a batch; fewer when there are not as many.
        seed: of order and masks.
        settings: how to mask.

    Raises:
        DataError: fewer units than two rows.
        ModelError: the vocabulary has no [MASK].
    """

    def __init__(
        self,
        units: Units,
        tokenizer: CharTokenizer,
        length: int,
        batch_size: int,
        seed: int,
        settings: MaskSettings = MaskSettings(),
    ):
        self.units, self.width, self.seed, self.settings = units, length - 1, seed, settings
        self.rows = (len(units) + 1) // self.width - 1  # whatever the place of the first cut
        if self.rows < 1:
            raise DataError(f"{len(units):,} units are too few for rows of {length}; give more text")
        if MASK not in tokenizer.ids:
            raise ModelError(f"the vocabulary has no {MASK}, so it cannot be pretrained")
        self.batch_size = min(batch_size, self.rows)
        self.steps_per_epoch = self.rows // self.batch_size  # the rows left over differ in every epoch
        self.cls_id, self.mask_id = tokenizer.cls_id, tokenizer.ids[MASK]
        self.is_special = np.array([token in SPECIALS for token in tokenizer.tokens])  # [v]
        self.ordinary = np.flatnonzero(~self.is_special)
        self._epoch, self._starts = -1, np.empty(0, dtype=np.int64)

    def batch(self, step: int) -> Batch:
        """The batch of a step (counted from 0, without end)."""
        units = self._rows(step)  # [b, s-1]
        ids = (units & ID_BITS).astype(np.int64)
        if ids.max() >= len(self.is_special):
            problem = f"a token id {ids.max()}, and the vocabulary has {len(self.is_special)}"
            raise DataError(f"the tokenised corpus is damaged ({problem}); delete its folder to build it again")
        random = np.random.default_rng([self.seed, 1, step])
        chosen = choose(units >= WORD_START, ~self.is_special[ids], self.settings, random)  # [m]
        targets = ids.reshape(-1)[chosen]
        ids.reshape(-1)[chosen] = self._replaced(targets, random)
        input_ids = np.insert(ids, 0, self.cls_id, axis=1)  # [b, s]
        return Batch(input_ids, chosen + chosen // self.width + 1, targets)

    def _rows(self, step: int) -> Units:
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            random = np.random.default_rng([self.seed, 0, epoch])
            shift = random.integers(self.width)
            self._epoch, self._starts = epoch, shift + self.width * random.permutation(self.rows)
        starts = self._starts[index * self.batch_size : (index + 1) * self.batch_size]
        rows: Units = self.units[starts[:, None] + np.arange(self.width)]
        return rows

    def _replaced(self, targets: Ids, random: np.random.Generator) -> Ids:
        """What stands in the place of masked units: mostly [MASK], some at random, some as they are."""
        fate = random.random(len(targets))
        others = random.choice(self.ordinary, len(targets))
        return np.select([fate < AS_MASK, fate < AS_MASK + AS_RANDOM], [self.mask_id, others], targets)


def choose(begins: Flags, maskable: Flags, settings: MaskSettings, random: np.random.Generator) -> Ids:
    """The units to mask: flat, ascending indices [m], with m the same for every batch of this shape.

    The words are put in a random order and their units taken until there are enough, so of all words in the batch one
    at most is masked in part. Fewer than the share are taken only where fewer can be masked.

    Args:
        begins: [b, s] which units begin a word; the first of a row always does.
        maskable: [b, s] which units may be masked; a word has to agree in this.
        settings: how to mask.
        random: draws the order.
    """
    begins = begins.copy() if settings.whole_word else np.ones_like(begins)
    begins[:, 0] = True
    word = np.cumsum(begins) - 1  # [b·s]
    turn = random.permutation(word[-1] + 1)[word]  # [b·s] the place of each unit's word in the order
    turn[~maskable.reshape(-1)] = begins.size  # after all words
    number = min(round(settings.share * begins.size), int(maskable.sum()))
    return np.sort(np.argsort(turn, kind="stable")[:number])
