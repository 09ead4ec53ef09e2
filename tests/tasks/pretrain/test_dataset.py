"""Masked batches: an epoch is complete, a batch is a function of seed and step, words are masked whole."""

from typing import NamedTuple

import numpy as np
import pytest
from support import vocabulary

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.training.masking import MaskSettings
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.pretrain.corpus import ID_BITS, TOKEN_DTYPE, WORD_START
from nlpkit.tasks.pretrain.dataset import MaskedDataset

TOKENIZER = CharTokenizer(vocabulary("".join(map(chr, range(0x4E00, 0x5200)))))
FIRST = TOKENIZER.ids["一"]
LENGTH, SIZE = 128, 64
MASKS = MaskSettings()


def stream(number, seed=0):
    """Tokens of words of 1 to 4 characters, with a [SEP] after every ten words or so."""
    random = np.random.default_rng(seed)
    tokens = random.integers(FIRST, TOKENIZER.vocab_size, number).astype(TOKEN_DTYPE)
    starts = random.random(number) < 0.5
    ends = random.random(number) < 0.04
    tokens[ends] = TOKENIZER.sep_id
    tokens[starts | ends | np.roll(ends, 1)] |= WORD_START
    return tokens


TOKENS = stream(100_000)


@pytest.fixture
def dataset():
    return MaskedDataset(TOKENS, TOKENIZER, LENGTH, SIZE, 1, MASKS)


class Batch(NamedTuple):
    """A batch as arrays: input ids [b, s], flat positions and true ids of masked tokens [m]."""

    input_ids: np.ndarray
    positions: np.ndarray
    ids: np.ndarray


def batch_of(dataset, step):
    inputs, targets = dataset(step)
    assert inputs.attention_mask.all()
    return Batch(inputs.input_ids.numpy(), targets["positions"].numpy(), targets["ids"].numpy())


def restored(batch):
    input_ids = batch.input_ids.copy()
    input_ids.reshape(-1)[batch.positions] = batch.ids
    return input_ids


def test_shapes(dataset):
    for step in range(3):
        batch = batch_of(dataset, step)
        assert [array.dtype for array in batch] == [np.int64] * 3
        assert batch.input_ids.shape == (SIZE, LENGTH)
        assert batch.positions.shape == batch.ids.shape == (round(0.3 * SIZE * (LENGTH - 1)),)
        assert (np.diff(batch.positions) > 0).all()


def test_sequences_are_cls_and_consecutive_tokens(dataset):
    text = (TOKENS & ID_BITS).astype(np.int64)
    ids = restored(batch_of(dataset, 0))
    assert (ids[:, 0] == TOKENIZER.cls_id).all()
    windows = {window.tobytes() for window in np.lib.stride_tricks.sliding_window_view(text, LENGTH - 1)}
    assert all(row.tobytes() in windows for row in ids[:, 1:])


def test_an_epoch_reads_nearly_everything_once(dataset):
    seen = np.concatenate([restored(batch_of(dataset, step)) for step in range(dataset.steps_per_epoch)])
    assert len({row.tobytes() for row in seen}) == len(seen)
    assert seen[:, 1:].size > len(TOKENS) - (SIZE + 2) * (LENGTH - 1)


def test_a_batch_is_a_function_of_seed_and_step(dataset):
    last = 2 * dataset.steps_per_epoch + 3
    walked = [batch_of(dataset, step) for step in range(last + 1)]
    for step in (last, 0, dataset.steps_per_epoch, dataset.steps_per_epoch - 1):
        fresh = batch_of(MaskedDataset(TOKENS, TOKENIZER, LENGTH, SIZE, 1, MASKS), step)
        assert all(np.array_equal(*pair) for pair in zip(fresh, walked[step], strict=True))
    assert not np.array_equal(
        walked[0].input_ids, batch_of(MaskedDataset(TOKENS, TOKENIZER, LENGTH, SIZE, 2, MASKS), 0).input_ids
    )


def test_epochs_differ(dataset):
    first, second = (restored(batch_of(dataset, step)) for step in (0, dataset.steps_per_epoch))
    assert not {row.tobytes() for row in first} & {row.tobytes() for row in second}


@pytest.mark.parametrize("whole_word", [True, False])
def test_masked_tokens_become_mask_random_or_stay(whole_word):
    dataset = MaskedDataset(TOKENS, TOKENIZER, LENGTH, SIZE, 1, MaskSettings(whole_word=whole_word))
    batches = [batch_of(dataset, step) for step in range(12)]
    shown_ids = np.concatenate([batch.input_ids.reshape(-1)[batch.positions] for batch in batches])
    targets = np.concatenate([batch.ids for batch in batches])
    masked, kept = shown_ids == TOKENIZER.ids["[MASK]"], shown_ids == targets
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    assert kept.mean() == pytest.approx(0.1, abs=0.01)
    assert not {*TOKENIZER.tokens[:5]} & {TOKENIZER.tokens[i] for i in {*shown_ids[~masked]} | {*targets}}


def words_masked(dataset, step):
    """For each whole word in a batch, the fraction of its tokens that are masked."""
    batch = batch_of(dataset, step)
    ids = restored(batch)
    text = (TOKENS & ID_BITS).astype(np.int64).tobytes()
    masked = np.zeros(ids.size, dtype=bool)
    masked[batch.positions] = True
    fractions = []
    for row, flags in zip(ids[:, 1:], masked.reshape(ids.shape)[:, 1:], strict=True):
        start = text.index(row.tobytes()) // 8
        word_starts = TOKENS[start : start + len(row)] >= WORD_START
        word_starts[0] = True
        word = np.cumsum(word_starts) - 1
        fractions += (np.bincount(word, flags) / np.bincount(word)).tolist()
    return np.array(fractions)


def test_words_are_masked_whole(dataset):
    for step in range(3):
        fractions = words_masked(dataset, step)
        assert ((fractions > 0) & (fractions < 1)).sum() <= 1
        assert fractions.mean() == pytest.approx(0.3, abs=0.04)


def test_tokens_are_masked_one_by_one_when_asked():
    dataset = MaskedDataset(TOKENS, TOKENIZER, LENGTH, SIZE, 1, MaskSettings(whole_word=False))
    fractions = words_masked(dataset, 0)
    assert ((fractions > 0) & (fractions < 1)).sum() > 500


def test_fraction():
    batch = batch_of(MaskedDataset(TOKENS, TOKENIZER, LENGTH, SIZE, 1, MaskSettings(fraction=0.15)), 0)
    assert len(batch.ids) == round(0.15 * SIZE * (LENGTH - 1))


def test_few_sequences_make_a_small_batch():
    dataset = MaskedDataset(TOKENS[:40], TOKENIZER, 8, SIZE, 1, MASKS)
    assert batch_of(dataset, 0).input_ids.shape == (4, 8)
    assert dataset.steps_per_epoch == 1


def test_refused():
    with pytest.raises(DataError, match="200 tokens are too few for sequences of 128"):
        MaskedDataset(TOKENS[:200], TOKENIZER, LENGTH, SIZE, 1, MASKS)
    without = CharTokenizer(token for token in TOKENIZER.tokens if token != "[MASK]")
    with pytest.raises(ModelError, match=r"no \[MASK\]"):
        MaskedDataset(TOKENS, without, LENGTH, SIZE, 1, MASKS)
