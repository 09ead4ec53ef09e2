"""Poolings against the same said slowly, row by row; what stands in the padding changes nothing."""

import pytest
import torch

from nlpkit.nn.pooling import FUNCTIONS, pool
from nlpkit.tasks.embed.settings import POOLINGS

SLOW = {
    "cls": lambda first, last: last[0],
    "pooler": lambda first, last: last[0],
    "mean": lambda first, last: last.mean(0),
    "first-last": lambda first, last: (first.mean(0) + last.mean(0)) / 2,
    "max": lambda first, last: last.max(0).values,
    "mean_sqrt_len_tokens": lambda first, last: last.sum(0) / len(last) ** 0.5,
    "weightedmean": lambda first, last: sum((i + 1) * row for i, row in enumerate(last)) / sum(range(1, len(last) + 1)),
    "lasttoken": lambda first, last: last[-1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_row_is_pooled_alone(name, dtype):
    torch.manual_seed(0)
    lengths = [5, 1, 3]
    states = [torch.randn(3, 5, 8).to(dtype) for _ in range(4)]
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    found = pool(states, mask, name)
    assert found.dtype == torch.float32
    for row, length in enumerate(lengths):
        expected = SLOW[name](states[1][row, :length].float(), states[-1][row, :length].float())
        assert torch.allclose(found[row], expected, atol=1e-6)
    for state in states:
        state[~mask] = 1e4
    assert torch.equal(pool(states, mask, name), found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_mask_is_a_mask_of_all(name):
    states = [torch.randn(2, 4, 8) for _ in range(3)]
    assert torch.equal(pool(states, None, name), pool(states, torch.ones(2, 4, dtype=torch.bool), name))


def test_the_poolings_that_users_choose_from_are_there():
    assert set(POOLINGS) <= set(FUNCTIONS) == set(SLOW)
