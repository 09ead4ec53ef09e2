"""Padding: the sequences, then padding, under a mask that says which is which."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.text.padding import pad_batch


@given(st.lists(st.lists(st.integers(0, 2**31), min_size=1, max_size=9), min_size=1, max_size=9), st.integers(0, 9))
def test_a_batch_holds_the_sequences_and_padding(sequences, pad_id):
    input_ids, attention_mask = pad_batch(sequences, pad_id)
    longest = max(map(len, sequences))
    assert input_ids.tolist() == [ids + [pad_id] * (longest - len(ids)) for ids in sequences]
    assert attention_mask.tolist() == [[i < len(ids) for i in range(longest)] for ids in sequences]
    assert (input_ids.dtype, attention_mask.dtype) == (torch.int64, torch.bool)
