"""Masked training batches from a stream of tokens: packed sequences without padding.

    tokens      我* 们 用* py* ##torch [SEP]* 他* …        (* starts a word)
    sequence    [CLS] 我 们 用 py ##torch [SEP] 他          [CLS] and length - 1 tokens, cut anywhere
    input_ids   [CLS] 我 们 用 [MASK] [MASK] [SEP] 他       positions 4 5, ids py ##torch

Shapes: b batch, s sequence, n tokens, m masked tokens.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from nlpkit.core.model.batches import ShuffledBatches
from nlpkit.core.text.tokenizer import MASK, SPECIALS, CharTokenizer
from nlpkit.core.training.masking import MaskSettings, choose_masked, corrupt
from nlpkit.errors import DataError, ModelError
from nlpkit.nn.network import Inputs
from nlpkit.tasks.pretrain.corpus import ID_BITS, WORD_START, Tokens


class MaskedDataset(ShuffledBatches):
    """Masked batches of a corpus; every epoch has another order and cuts the sequences at other places.

    Inputs have no padding. Targets: `positions` [m], ascending indices into `input_ids.reshape(-1)` of the masked
    tokens, and `ids` [m], their true ids.

    Args:
        tokens: [n], as in `Corpus.tokens`; they stay on disk.
        tokenizer: of the corpus.
        length: of a sequence, [CLS] included.
        batch_size: sequences in a batch; reduced to the number of sequences.
        seed: of order and masks.
        settings: how to mask.

    Raises:
        DataError: there are fewer tokens than in two sequences.
        ModelError: the vocabulary has no [MASK].
    """

    def __init__(
        self,
        tokens: Tokens,
        tokenizer: CharTokenizer,
        length: int,
        batch_size: int,
        seed: int,
        settings: MaskSettings,
    ):
        self.tokens, self.width, self.settings = tokens, length - 1, settings
        self.number = (len(tokens) + 1) // self.width - 1  # of sequences, wherever the first cut is
        if self.number < 1:
            raise DataError(f"{len(tokens):,} tokens are too few for sequences of {length}; give more text")
        if MASK not in tokenizer.ids:
            raise ModelError(f"the vocabulary has no {MASK}, so it cannot be pretrained")
        self.batch_size = min(batch_size, self.number)
        super().__init__(self.number // self.batch_size, seed)  # the remaining sequences differ in every epoch
        self.longest, self.diagnostics = length, {}
        self.cls_id, self.mask_id = tokenizer.cls_id, tokenizer.ids[MASK]
        self.is_special = np.array([token in SPECIALS for token in tokenizer.tokens])  # [v]
        self.ordinary_ids = np.flatnonzero(~self.is_special)

    @override
    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the first token of each sequence, [steps, b]."""
        random = np.random.default_rng([self.seed, 0, epoch])
        shift = random.integers(self.width)
        starts = shift + self.width * random.permutation(self.number)
        return starts[: self.steps_per_epoch * self.batch_size].reshape(-1, self.batch_size)

    @override
    def collate(self, examples: Any, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        tokens = self.tokens[examples[:, None] + np.arange(self.width)]  # [b, s-1]
        ids = (tokens & ID_BITS).astype(np.int64)
        if ids.max() >= len(self.is_special):
            problem = f"a token id {ids.max()}, and the vocabulary has {len(self.is_special)}"
            raise DataError(f"the tokenized corpus is damaged ({problem}); delete its folder to build it again")
        random = np.random.default_rng([self.seed, 1, step])
        masked = choose_masked(tokens >= WORD_START, ~self.is_special[ids], self.settings, random)  # [m]
        true_ids = ids.reshape(-1)[masked]
        ids.reshape(-1)[masked] = corrupt(true_ids, self.mask_id, self.ordinary_ids, random)
        input_ids = torch.from_numpy(np.insert(ids, 0, self.cls_id, axis=1))  # [b, s]
        positions = masked + masked // self.width + 1  # one [CLS] for each sequence so far
        targets = {"positions": torch.from_numpy(positions), "ids": torch.from_numpy(true_ids)}
        return Inputs(input_ids, torch.ones_like(input_ids, dtype=torch.bool)), targets
