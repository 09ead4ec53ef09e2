"""Logits in parts: the same numbers and the same loss as from the tensor that they spare."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.nn.factors import Factors
from nlpkit.nn.global_pointer import EfficientGlobalPointer
from nlpkit.nn.losses import factored_multilabel_loss, sparse_multilabel_loss


def masks(*sizes):
    return torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]


@pytest.mark.parametrize("rope", [True, False])
@pytest.mark.parametrize("triangle", [True, False])
def test_the_parts_make_the_logits(rope, triangle):
    torch.manual_seed(0)
    head = EfficientGlobalPointer(16, 5, 8, rope=rope, triangle=triangle)
    hidden, mask = torch.randn(3, 7, 16), masks(7, 4, 2)
    dense, factors = head(hidden, mask), head.factors(hidden, mask)
    allowed = dense > -1e30
    assert torch.equal(dense[allowed], factors.dense()[allowed])
    assert (factors.dense()[~allowed] < -1e30).all()
    row, label, first, last = allowed.nonzero(as_tuple=True)
    assert torch.allclose(factors.at(row, first, last)[torch.arange(len(row)), label], dense[allowed])


@st.composite
def problems(draw):
    """Factors [2, 3, 5, 5] with masked spans, and sparse labels, some repeated, at most four per sequence and label."""
    b, c, s = 2, 3, 5
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    scale = draw(st.sampled_from([0.1, 3.0, 20.0]))
    parts = [torch.randn(shape, generator=generator) * scale for shape in ((b, s, s), (b, s, c), (b, s, c))]
    parts[0].masked_fill_(~torch.ones(s, s, dtype=torch.bool).triu(), torch.finfo(torch.float32).min)
    width = draw(st.integers(0, 4))
    positives = torch.full((b, c, width), -1)
    spans = [i * s + j for i in range(s) for j in range(i, s)]
    for row in range(b):
        for label in range(c):
            for slot in range(draw(st.integers(0, width))):
                positives[row, label, slot] = draw(st.sampled_from(spans))
    return Factors(*parts), positives


@settings(max_examples=60)
@given(problems())
def test_the_loss_and_its_gradient_are_those_of_the_dense_logits(problem):
    factors, positives = problem
    results = []
    for loss in (
        lambda f: sparse_multilabel_loss(f.dense().clamp(min=torch.finfo(torch.float32).min).flatten(2), positives),
        lambda f: factored_multilabel_loss(f, positives),
    ):
        leaves = [part.clone().requires_grad_() for part in factors]
        value = loss(Factors(*leaves))
        value.backward()
        results.append((value.item(), [leaf.grad for leaf in leaves]))
    (dense, dense_gradients), (sparse, sparse_gradients) = results
    assert sparse == pytest.approx(dense, rel=1e-5, abs=1e-6)
    assert sparse >= 0
    for one, other in zip(dense_gradients, sparse_gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


@settings(max_examples=30)
@given(problems(), st.data())
def test_a_label_without_annotation_has_no_loss(problem, data):
    factors, positives = problem
    b, c, _ = positives.shape
    annotated = torch.tensor(
        data.draw(st.lists(st.lists(st.booleans(), min_size=c, max_size=c), min_size=b, max_size=b))
    )
    leaves = [part.clone().requires_grad_() for part in factors]
    loss = factored_multilabel_loss(Factors(*leaves), positives, annotated)
    loss.backward()
    each = [
        factored_multilabel_loss(
            Factors(factors.pairs[[i]], factors.starts[[i]][..., [j]], factors.ends[[i]][..., [j]]),
            positives[i, j].view(1, 1, -1),
        )
        for i, j in annotated.nonzero().tolist()
    ]
    assert loss.item() == pytest.approx(sum(value.item() for value in each) / (b * c), rel=1e-4, abs=1e-5)
    for leaf in leaves[1:]:
        assert not leaf.grad.transpose(1, 2)[~annotated].any()


def test_nothing_overflows_or_is_lost():
    """Parts whose greatest values stand in different places; fp32 would give log 0."""
    pairs = torch.full((1, 3, 3), -500.0)
    starts, ends = torch.zeros(1, 3, 1), torch.zeros(1, 3, 1)
    starts[0, 0], ends[0, 2], pairs[0, 1, 1] = 300.0, 300.0, 600.0
    pairs[0, 0, 1:] = -1000.0
    loss = factored_multilabel_loss(Factors(pairs, starts, ends), torch.empty(1, 1, 0, dtype=torch.long))
    assert loss.item() == pytest.approx(600.0)
