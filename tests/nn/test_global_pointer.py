"""GlobalPointer against a reference written as loops from the publication (kexue.fm 8373, 8877)."""

import math

import pytest
import torch

from nlpkit.nn.global_pointer import EfficientGlobalPointer, GlobalPointer


def turned(vector: list[float], position: int) -> list[float]:
    """RoPE on interleaved pairs, one number at a time."""
    result = []
    for i in range(0, len(vector), 2):
        angle = position * 10000.0 ** (-i / len(vector))
        x, y = vector[i], vector[i + 1]
        result += [x * math.cos(angle) - y * math.sin(angle), y * math.cos(angle) + x * math.sin(angle)]
    return result


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def linear(layer: torch.nn.Linear, vector: torch.Tensor) -> list[float]:
    return (layer.weight.double() @ vector.double() + layer.bias.double()).tolist()


def reference_global(head: GlobalPointer, hidden: torch.Tensor, label: int, i: int, j: int, rope: bool) -> float:
    size = head.head_size
    query = linear(head.dense, hidden[i])[label * 2 * size :][:size]
    key = linear(head.dense, hidden[j])[label * 2 * size + size :][:size]
    if rope:
        query, key = turned(query, i), turned(key, j)
    return dot(query, key) / math.sqrt(size)


def reference_efficient(
    head: EfficientGlobalPointer, hidden: torch.Tensor, label: int, i: int, j: int, rope: bool
) -> float:
    at_i, at_j = linear(head.dense, hidden[i]), linear(head.dense, hidden[j])
    query, key = at_i[0::2], at_j[1::2]
    if rope:
        query, key = turned(query, i), turned(key, j)
    bias_i, bias_j = linear(head.bias, torch.tensor(at_i)), linear(head.bias, torch.tensor(at_j))
    return dot(query, key) / math.sqrt(len(query)) + bias_j[2 * label] / 2 + bias_i[2 * label + 1] / 2


CASES = [(GlobalPointer, reference_global), (EfficientGlobalPointer, reference_efficient)]


@pytest.mark.parametrize(("kind", "reference"), CASES)
@pytest.mark.parametrize("rope", [True, False])
@pytest.mark.parametrize("triangle", [True, False])
def test_equals_the_loop(kind, reference, rope, triangle):
    torch.manual_seed(0)
    head = kind(12, 3, 8, rope=rope, triangle=triangle)
    hidden = torch.randn(2, 6, 12)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    logits = head(hidden, mask)
    assert logits.shape == (2, 3, 6, 6)
    for b in range(2):
        for label in range(3):
            for i in range(6):
                for j in range(6):
                    value = logits[b, label, i, j].item()
                    if not mask[b, i] or not mask[b, j] or (triangle and i > j):
                        assert value < -1e30
                    else:
                        assert value == pytest.approx(reference(head, hidden[b], label, i, j, rope), abs=1e-5)


def test_parameter_counts_are_the_published_ones():
    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(GlobalPointer(768, 10)) == 984_320
    assert count(EfficientGlobalPointer(768, 10)) == 101_012


@pytest.mark.parametrize("kind", [GlobalPointer, EfficientGlobalPointer])
def test_mask_is_safe_in_half_precision(kind):
    head = kind(16, 2, 8).half()
    logits = head(torch.randn(1, 4, 16).half(), torch.tensor([[True, True, True, False]]))
    assert torch.isfinite(logits).all()
    assert (logits[:, :, 3] == torch.finfo(torch.float16).min).all()


@pytest.mark.parametrize("kind", [GlobalPointer, EfficientGlobalPointer])
def test_no_limit_on_positions(kind):
    assert kind(8, 1, 4)(torch.randn(1, 1500, 8), torch.ones(1, 1500, dtype=torch.bool)).shape == (1, 1, 1500, 1500)
