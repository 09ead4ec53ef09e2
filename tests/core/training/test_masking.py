"""Masking: only what may be masked, about as much as asked for, whole words, mostly as [MASK]."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.training.masking import MaskSettings, choose_masked, corrupt


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 40), st.booleans())
def test_only_what_may_be_masked_is_chosen(seed, b, s, whole_word):
    random = np.random.default_rng(seed)
    word_starts, maskable = random.random((b, s)) < 0.4, random.random((b, s)) < random.random()
    chosen = choose_masked(word_starts, maskable, MaskSettings(whole_word=whole_word), random)
    assert len(chosen) == min(round(0.3 * b * s), maskable.sum())
    assert maskable.reshape(-1)[chosen].all()
    assert (np.diff(chosen) > 0).all()


def test_a_word_is_masked_whole_but_for_the_last_one():
    word_starts = np.random.default_rng(0).random((8, 64)) < 0.4
    word_starts[:, 0] = True
    chosen = choose_masked(word_starts, np.ones_like(word_starts), MaskSettings(), np.random.default_rng(1))
    words, sizes = np.unique((np.cumsum(word_starts) - 1)[chosen], return_counts=True)
    whole = np.bincount(np.cumsum(word_starts) - 1)[words]
    assert (sizes < whole).sum() <= 1


def test_masked_tokens_become_mask_random_or_stay():
    ids = np.full(20_000, 7)
    result = corrupt(ids, 4, np.arange(10, 1000), np.random.default_rng(0))
    assert (result == 4).mean() == pytest.approx(0.8, abs=0.01)
    assert (result == 7).mean() == pytest.approx(0.1, abs=0.01)
    assert np.isin(result, [4, 7, *range(10, 1000)]).all()
