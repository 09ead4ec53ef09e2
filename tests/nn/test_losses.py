"""The sparse multi-label loss against the dense definition in double precision."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.nn.losses import sparse_multilabel_loss


def dense(logits: torch.Tensor, positives: list[list[int]]) -> float:
    total = 0.0
    for row, chosen in zip(logits.double().tolist(), positives, strict=True):
        chosen = set(chosen) - {-1}
        negative = math.log1p(sum(math.exp(s) for i, s in enumerate(row) if i not in chosen))
        positive = math.log1p(sum(math.exp(-row[i]) for i in chosen))
        total += negative + positive
    return total / len(positives)


def test_docstring_example():
    loss = sparse_multilabel_loss(torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([[2]]))
    assert loss.item() == pytest.approx(math.log1p(math.e + math.exp(-2)) + math.log1p(math.exp(-3)), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_equals_the_definition(data):
    rows, classes, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9)), data.draw(st.integers(0, 4))
    values = st.floats(-20, 20, width=32)
    logits = torch.tensor(
        data.draw(st.lists(st.lists(values, min_size=classes, max_size=classes), min_size=rows, max_size=rows))
    )
    index = st.lists(st.integers(-1, classes - 1), min_size=width, max_size=width)
    positives = data.draw(st.lists(index, min_size=rows, max_size=rows))
    loss = sparse_multilabel_loss(logits, torch.tensor(positives, dtype=torch.long).reshape(rows, width))
    assert loss.item() == pytest.approx(dense(logits, positives), rel=1e-4, abs=1e-4)
    assert loss.item() >= 0


def test_exact_where_the_published_form_is_not():
    """16k negatives at −12 and a positive at 15; the published sparse form gives −7.3 in fp32."""
    logits = torch.full((1, 16_001), -12.0)
    logits[0, 7] = 15.0
    expected = math.log1p(16_000 * math.exp(-12)) + math.log1p(math.exp(-15))
    for positives in ([[7]], [[7, 7]], [[7, -1, 7, -1]]):
        assert sparse_multilabel_loss(logits, torch.tensor(positives)).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(dtype):
    logits = torch.full((2, 4, 9), torch.finfo(dtype).min, dtype=dtype)
    logits[:, :, 0] = 3.0
    logits.requires_grad_()
    loss = sparse_multilabel_loss(logits, torch.tensor([[[0], [0], [-1], [-1]]] * 2))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert loss.dtype == torch.float32


def test_gradient_equals_the_definition():
    torch.manual_seed(1)
    logits = torch.randn(3, 7, requires_grad=True)
    sparse_multilabel_loss(logits, torch.tensor([[1, 4, 1], [-1, -1, -1], [6, -1, 0]])).backward()
    copy = logits.detach().clone().requires_grad_()
    total = torch.zeros(())
    for row, chosen in zip(copy, ([1, 4], [], [0, 6]), strict=True):
        others = [i for i in range(7) if i not in chosen]
        total = total + torch.log1p(row[others].exp().sum()) + torch.log1p((-row[chosen]).exp().sum())
    (total / 3).backward()
    torch.testing.assert_close(logits.grad, copy.grad)
