"""Rows and masks: complete, exact to resume, and about as many as asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import vocabulary

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.pretrain.corpus import ID_BITS, UNIT, WORD_START
from nlpkit.tasks.pretrain.masking import MaskedRows, MaskSettings, choose

TOKENIZER = CharTokenizer(vocabulary("".join(map(chr, range(0x4E00, 0x5200)))))
FIRST = TOKENIZER.ids["一"]
LENGTH, SIZE = 128, 64


def stream(number, seed=0):
    """Units of words of 1 to 4 characters, with a [SEP] after every ten words or so."""
    random = np.random.default_rng(seed)
    units = random.integers(FIRST, TOKENIZER.vocab_size, number).astype(UNIT)
    begins = random.random(number) < 0.5
    ends = random.random(number) < 0.04
    units[ends] = TOKENIZER.sep_id
    units[begins | ends | np.roll(ends, 1)] |= WORD_START
    return units


UNITS = stream(100_000)


@pytest.fixture
def rows():
    return MaskedRows(UNITS, TOKENIZER, LENGTH, SIZE, seed=1)


def restored(batch):
    ids = batch.input_ids.copy()
    ids.reshape(-1)[batch.positions] = batch.targets
    return ids


def test_shapes(rows):
    for step in range(3):
        batch = rows.batch(step)
        assert [array.dtype for array in batch] == [np.int64] * 3
        assert batch.input_ids.shape == (SIZE, LENGTH)
        assert batch.positions.shape == batch.targets.shape == (round(0.3 * SIZE * (LENGTH - 1)),)
        assert (np.diff(batch.positions) > 0).all()


def test_rows_are_cls_and_consecutive_units(rows):
    text = (UNITS & ID_BITS).astype(np.int64)
    ids = restored(rows.batch(0))
    assert (ids[:, 0] == TOKENIZER.cls_id).all()
    windows = {window.tobytes() for window in np.lib.stride_tricks.sliding_window_view(text, LENGTH - 1)}
    assert all(row.tobytes() in windows for row in ids[:, 1:])


def test_an_epoch_reads_nearly_everything_once(rows):
    seen = np.concatenate([restored(rows.batch(step)) for step in range(rows.steps_per_epoch)])
    assert len({row.tobytes() for row in seen}) == len(seen)
    assert seen[:, 1:].size > len(UNITS) - (SIZE + 2) * (LENGTH - 1)


def test_a_batch_is_a_function_of_seed_and_step(rows):
    last = 2 * rows.steps_per_epoch + 3
    walked = [rows.batch(step) for step in range(last + 1)]
    for step in (last, 0, rows.steps_per_epoch, rows.steps_per_epoch - 1):
        fresh = MaskedRows(UNITS, TOKENIZER, LENGTH, SIZE, seed=1).batch(step)
        assert all(np.array_equal(*pair) for pair in zip(fresh, walked[step], strict=True))
    assert not np.array_equal(
        walked[0].input_ids, MaskedRows(UNITS, TOKENIZER, LENGTH, SIZE, seed=2).batch(0).input_ids
    )


def test_epochs_differ(rows):
    first, second = (restored(rows.batch(step)) for step in (0, rows.steps_per_epoch))
    assert not {row.tobytes() for row in first} & {row.tobytes() for row in second}


@pytest.mark.parametrize("whole_word", [True, False])
def test_what_stands_in_the_place_of_masked_units(whole_word):
    rows = MaskedRows(UNITS, TOKENIZER, LENGTH, SIZE, 1, MaskSettings(whole_word=whole_word))
    batches = [rows.batch(step) for step in range(12)]
    given_ids = np.concatenate([batch.input_ids.reshape(-1)[batch.positions] for batch in batches])
    targets = np.concatenate([batch.targets for batch in batches])
    masked, kept = given_ids == TOKENIZER.ids["[MASK]"], given_ids == targets
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert kept.mean() == pytest.approx(0.1, abs=0.01)
    assert not {*TOKENIZER.tokens[:5]} & {TOKENIZER.tokens[i] for i in {*given_ids[~masked]} | {*targets}}


def words_masked(rows, step):
    """For each whole word in a batch, the share of its units that are masked."""
    batch = rows.batch(step)
    ids = restored(batch)
    text = (UNITS & ID_BITS).astype(np.int64).tobytes()
    masked = np.zeros(ids.size, dtype=bool)
    masked[batch.positions] = True
    shares = []
    for row, flags in zip(ids[:, 1:], masked.reshape(ids.shape)[:, 1:], strict=True):
        start = text.index(row.tobytes()) // 8
        begins = UNITS[start : start + len(row)] >= WORD_START
        begins[0] = True
        word = np.cumsum(begins) - 1
        shares += (np.bincount(word, flags) / np.bincount(word)).tolist()
    return np.array(shares)


def test_words_are_masked_whole(rows):
    for step in range(3):
        shares = words_masked(rows, step)
        assert ((shares > 0) & (shares < 1)).sum() <= 1
        assert shares.mean() == pytest.approx(0.3, abs=0.04)


def test_units_are_masked_one_by_one_when_asked():
    rows = MaskedRows(UNITS, TOKENIZER, LENGTH, SIZE, 1, MaskSettings(whole_word=False))
    shares = words_masked(rows, 0)
    assert ((shares > 0) & (shares < 1)).sum() > 500


def test_share():
    batch = MaskedRows(UNITS, TOKENIZER, LENGTH, SIZE, 1, MaskSettings(share=0.15)).batch(0)
    assert len(batch.targets) == round(0.15 * SIZE * (LENGTH - 1))


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 40), st.booleans())
def test_only_what_may_be_masked_is_chosen(seed, b, s, whole_word):
    random = np.random.default_rng(seed)
    begins, maskable = random.random((b, s)) < 0.4, random.random((b, s)) < random.random()
    chosen = choose(begins, maskable, MaskSettings(whole_word=whole_word), random)
    assert len(chosen) == min(round(0.3 * b * s), maskable.sum())
    assert maskable.reshape(-1)[chosen].all()
    assert (np.diff(chosen) > 0).all()


def test_few_rows_make_a_small_batch():
    rows = MaskedRows(UNITS[:40], TOKENIZER, 8, SIZE, 1)
    assert rows.batch(0).input_ids.shape == (4, 8)
    assert rows.steps_per_epoch == 1


def test_refused():
    with pytest.raises(DataError, match="200 units are too few for rows of 128"):
        MaskedRows(UNITS[:200], TOKENIZER, LENGTH, SIZE, 1)
    without = CharTokenizer(token for token in TOKENIZER.tokens if token != "[MASK]")
    with pytest.raises(ModelError, match=r"no \[MASK\]"):
        MaskedRows(UNITS, without, LENGTH, SIZE, 1)
