"""Batches within a token budget, and padding under a mask that says which is which."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.text.padding import TokenBudget, pad_batch


@given(st.lists(st.lists(st.integers(0, 2**31), min_size=1, max_size=9), min_size=1, max_size=9), st.integers(0, 9))
def test_a_batch_holds_the_sequences_and_padding(sequences, pad_id):
    input_ids, attention_mask = pad_batch(sequences, pad_id)
    longest = max(map(len, sequences))
    assert input_ids.tolist() == [ids + [pad_id] * (longest - len(ids)) for ids in sequences]
    assert attention_mask.tolist() == [[i < len(ids) for i in range(longest)] for ids in sequences]
    assert (input_ids.dtype, attention_mask.dtype) == (np.int64, np.bool_)


@given(st.lists(st.integers(1, 50)), st.integers(1, 120))
def test_batches_hold_every_index_once_and_keep_the_budget(lengths, budget):
    batches = TokenBudget(cpu=budget, gpu=1).batches(lengths, "cpu")
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    sizes = [[lengths[index] for index in batch] for batch in batches]
    assert all(len(batch) == 1 or len(batch) * max(batch) <= budget for batch in sizes)
    assert [size for batch in sizes for size in batch] == sorted(lengths, reverse=True)
