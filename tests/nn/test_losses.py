"""Losses against their definitions, written slowly."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.nn.losses import cosent_loss, r_drop_loss, simcse_loss, sparse_multilabel_loss, vocabulary_loss


def dense(logits: torch.Tensor, positives: list[list[int]]) -> float:
    total = 0.0
    for row, anchors in zip(logits.double().tolist(), positives, strict=True):
        anchors = set(anchors) - {-1}
        negative = math.log1p(sum(math.exp(s) for i, s in enumerate(row) if i not in anchors))
        positive = math.log1p(sum(math.exp(-row[i]) for i in anchors))
        total += negative + positive
    return total / len(positives)


def test_docstring_example():
    loss = sparse_multilabel_loss(torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([[2]]))
    assert loss.item() == pytest.approx(math.log1p(math.e + math.exp(-2)) + math.log1p(math.exp(-3)), abs=1e-6)
    loss = sparse_multilabel_loss(torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([[[0, 2]]]))
    expected = math.log1p(math.exp(-2)) + math.log1p(1 / (math.e + math.exp(3)))
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx(0.1269 + 0.0429, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_alternatives_equal_the_definition(data):
    classes = data.draw(st.integers(2, 9))
    logits = data.draw(st.lists(st.floats(-20, 20, width=32), min_size=classes, max_size=classes))
    sets = data.draw(st.lists(st.lists(st.integers(0, classes - 1), min_size=1, max_size=3, unique=True), max_size=4))
    positives = torch.tensor([[one + [-1] * (3 - len(one)) for one in [*sets, [-1]]]])
    loss = sparse_multilabel_loss(torch.tensor([logits]), positives)
    members = {member for one in sets for member in one}
    negative = sum(math.exp(s) for i, s in enumerate(logits) if i not in members)
    positive = sum(1 / sum(math.exp(logits[i]) for i in one) for one in {tuple(one) for one in sets})
    assert loss.item() == pytest.approx(math.log1p(negative) + math.log1p(positive), rel=1e-4, abs=1e-4)


def test_the_likelier_alternative_is_raised_and_none_lowered():
    logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    sparse_multilabel_loss(logits, torch.tensor([[[0, 1]]])).backward()
    assert logits.grad[0, 0] < logits.grad[0, 1] < 0 < logits.grad[0, 2]


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
    for row, anchors in zip(copy, ([1, 4], [], [0, 6]), strict=True):
        others = [i for i in range(7) if i not in anchors]
        total = total + torch.log1p(row[others].exp().sum()) + torch.log1p((-row[anchors]).exp().sum())
    (total / 3).backward()
    torch.testing.assert_close(logits.grad, copy.grad)


def slow_simcse(vectors, scale):
    total = 0.0
    for i, row in enumerate(vectors):
        cosines = {k: float(F.cosine_similarity(row, other, dim=0)) for k, other in enumerate(vectors) if k != i}
        total -= math.log(math.exp(scale * cosines[i ^ 1]) / sum(math.exp(scale * c) for c in cosines.values()))
    return total / len(vectors)


def slow_cosent(cosines, labels, scale):
    pairs = [(i, j) for i in range(len(labels)) for j in range(len(labels)) if labels[i] > labels[j]]
    return math.log(1 + sum(math.exp(scale * (cosines[j] - cosines[i])) for i, j in pairs))


def test_simcse_equals_the_formula_and_the_docstring():
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    assert simcse_loss(vectors, 3.0).item() == pytest.approx(slow_simcse(vectors, 3.0), rel=1e-5)
    assert simcse_loss(torch.tensor([[1.0, 0], [2, 0], [0, 3], [0, 4]]), 1.0).item() == pytest.approx(0.5514, abs=1e-4)


def test_in_simcse_a_text_is_no_contrast_to_itself():
    """Rows 0 and 4 are the same text: neither is held against the other, nor against the other's version."""
    vectors = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    sentences = torch.tensor([7, 1, 2, 3, 7, 5])
    found = simcse_loss(vectors, 2.0, sentences).item()
    total = 0.0
    for i in range(6):
        allowed = [k for k in range(6) if k != i and sentences[k] != sentences[i]]
        allowed = [k for k in allowed if k == i ^ 1 or sentences[k] != sentences[i ^ 1]]
        cosines = {k: float(F.cosine_similarity(vectors[i], vectors[k], dim=0)) for k in allowed}
        total += math.log(sum(math.exp(2 * c) for c in cosines.values())) - 2 * cosines[i ^ 1]
    assert found == pytest.approx(total / 6, rel=1e-5)
    twice = vectors[[0, 0, 2, 2]]
    assert simcse_loss(twice, 2.0, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(
        slow_simcse(twice, 2.0), rel=1e-5
    )


def test_simcse_of_chosen_rows_alone():
    vectors = torch.randn(6, 5, generator=torch.Generator().manual_seed(2), requires_grad=True)
    none = simcse_loss(vectors, anchors=torch.zeros(6, dtype=torch.bool))
    none.backward()
    assert none.item() == 0
    assert torch.equal(vectors.grad, torch.zeros_like(vectors))
    parts = [simcse_loss(vectors, anchors=torch.arange(6) == i).item() for i in range(6)]
    assert sum(parts) / 6 == pytest.approx(simcse_loss(vectors).item(), rel=1e-5)


def test_cosent_equals_the_formula_and_the_docstring():
    cosines, labels = torch.tensor([0.9, 0.5, 0.7]), torch.tensor([2.0, 1, 1])
    assert cosent_loss(cosines, labels, 10.0).item() == pytest.approx(0.1429, abs=1e-4)
    chance = torch.Generator().manual_seed(3)
    cosines, labels = torch.rand(12, generator=chance), torch.randint(0, 4, (12,), generator=chance)
    assert cosent_loss(cosines, labels, 5.0).item() == pytest.approx(
        slow_cosent(cosines.tolist(), labels.tolist(), 5.0), rel=1e-5
    )
    again = cosent_loss(cosines, labels.float() * 7 - 100, 5.0)  # only the order of labels counts
    assert again.item() == pytest.approx(cosent_loss(cosines, labels, 5.0).item())


def test_cosent_of_equal_labels_is_zero_and_has_a_zero_gradient():
    cosines = torch.tensor([0.1, 0.9], requires_grad=True)
    loss = cosent_loss(cosines, torch.ones(2))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(cosines.grad, torch.zeros(2))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("rows", [1, 700])
def test_vocabulary_loss_and_its_gradients_are_those_of_cross_entropy(rows, dtype, tolerance):
    random = torch.Generator().manual_seed(0)
    parts = [torch.randn(size, generator=random) for size in ((rows, 16), (50, 16), (50,))]
    ids = torch.randint(50, (rows,), generator=random)
    ours, theirs = ([part.clone().requires_grad_() for part in parts] for _ in range(2))
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        loss = vocabulary_loss(*ours, ids)
    expected = F.cross_entropy(F.linear(*theirs), ids)
    (8 * loss).backward()  # as one of several accumulated batches, or scaled, is
    (8 * expected).backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    for mine, true in zip(ours, theirs, strict=True):
        assert mine.grad.dtype == torch.float32
        assert (mine.grad - true.grad).norm() < tolerance * true.grad.norm()


def test_vocabulary_loss_of_an_impossible_unit_is_finite():
    hidden, weight = torch.tensor([[1.0]]), torch.tensor([[500.0], [-500.0]], requires_grad=True)
    loss = vocabulary_loss(hidden, weight, torch.zeros(2), torch.tensor([1]))
    loss.backward()
    assert 80 < loss.item() < 1001
    assert weight.grad.tolist() == [[1.0], [-1.0]]


def test_r_drop_equals_torchs_divergences_and_the_docstring():
    first, second = torch.zeros(1, 2), torch.tensor([[math.log(3), 0]])
    assert r_drop_loss(first, second).item() == pytest.approx(0.0687, abs=1e-4)
    first, second = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0))
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    both = sum(F.kl_div(a, b, reduction="batchmean", log_target=True) for a, b in ((p, q), (q, p)))
    assert r_drop_loss(first, second).item() == pytest.approx(both.item() / 4, rel=1e-5)
    assert r_drop_loss(first, first + 3).item() == pytest.approx(0, abs=1e-6)
