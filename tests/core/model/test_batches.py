"""Shuffled batches: every example once an epoch, a function of seed and step, little padding, groups apart."""

from itertools import pairwise

import numpy as np
import pytest

from nlpkit.core.model.batches import POOL, BatchesByLength, shuffled

LENGTHS = np.random.default_rng(0).integers(3, 60, 1000).tolist()
GROUPS = [list(range(700)), list(range(700, 705)), list(range(705, 1000))]


class Indices(BatchesByLength):
    """Batches that give the indices of their examples."""

    def collate(self, examples, step):
        return examples, {"step": step}


def epoch(batches, number):
    first = number * batches.steps_per_epoch
    return [batches(step)[0] for step in range(first, first + batches.steps_per_epoch)]


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_every_example_comes_once_an_epoch(groups):
    batches = Indices(LENGTHS, 16, 1, groups)
    first, second = epoch(batches, 0), epoch(batches, 1)
    for order in (first, second):
        assert sorted(index for batch in order for index in batch) == list(range(1000))
        assert max(map(len, order)) == 16
    assert first != second


def test_a_batch_is_a_function_of_seed_and_step():
    walked = [Indices(LENGTHS, 16, 1)(step)[0] for step in (0, 1, 62, 63, 200)]
    batches = Indices(LENGTHS, 16, 1)
    assert [batches(step)[0] for step in (200, 63, 62, 1, 0)] == walked[::-1]
    assert Indices(LENGTHS, 16, 2)(0)[0] != walked[0]
    assert batches(7)[1] == {"step": 7}


def test_a_batch_has_examples_of_one_group():
    batches = Indices(LENGTHS, 16, 1, GROUPS)
    assert batches.steps_per_epoch == 44 + 1 + 19
    for batch in epoch(batches, 0):
        assert sum(bool({*batch} & {*group}) for group in GROUPS) == 1


def test_a_batch_has_examples_of_similar_length():
    spread = [
        max(LENGTHS[i] for i in batch) - min(LENGTHS[i] for i in batch) for batch in epoch(Indices(LENGTHS, 16, 1), 0)
    ]
    assert np.mean(spread) < 5 < 30 < np.ptp(LENGTHS)


def test_only_pools_are_sorted():
    order = shuffled(list(range(2 * POOL)), 1, np.random.default_rng(0))
    assert sorted(index for (index,) in order) == list(range(2 * POOL))
    assert any(second < first for (first,), (second,) in pairwise(order))
