"""Spans from factored logits, and their limits, against the dense search."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linker_support import random_factors

from nlpkit.core.spans.spans import (
    candidates,
    decode,
    group_by_sequence,
    max_candidates,
    to_spans,
    top_of_each_sequence,
)


def place(span):
    return span.label, span.start, span.end


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.5, 0.9]), st.integers(1, 30))
def test_what_few_labels_find_is_what_the_dense_search_finds(seed, threshold, labels):
    generator = torch.Generator().manual_seed(seed)
    factors, mask = random_factors(generator, 3, labels, 24, bias=-3.2 - labels**0.5 / 2)
    expected = decode(factors.dense().clamp(min=-1e30), mask, threshold)
    found, scores = candidates(factors, mask, threshold)
    got = to_spans(found, scores, len(mask))
    for row, most in enumerate(max_candidates(mask).tolist()):
        places = {(span.start, span.end) for span in expected[row]}
        if len(expected[row]) <= most:
            assert sorted(map(place, got[row])) == sorted(map(place, expected[row]))
            assert sorted(c.score for c in got[row]) == pytest.approx(sorted(c.score for c in expected[row]))
        else:
            assert set(map(place, got[row])) <= set(map(place, expected[row]))
            assert len({(span.start, span.end) for span in got[row]}) == min(most, len(places))


def test_an_untrained_model_is_cut_to_the_best_label_of_the_best_places():
    generator = torch.Generator().manual_seed(0)
    factors, mask = random_factors(generator, 4, 50, 40, bias=1.0)
    found, scores = candidates(factors, mask, 0.5)
    counts = found[:, 0].bincount(minlength=4)
    assert (counts <= max_candidates(mask)).all()
    assert (counts[mask.sum(1) >= 12] > 0).all()
    assert torch.equal(found[:, 0], found[:, 0].sort().values)
    row, label, first, last = found.unbind(1)
    at = factors.at(row, first, last)
    assert torch.equal(at[torch.arange(len(at)), label], scores)
    assert torch.equal(at.amax(1), scores)
    assert (first > 0).all()
    assert (last < mask.sum(1)[row] - 1).all()


@given(
    st.lists(st.integers(0, 4), max_size=30), st.integers(0, 10**6), st.lists(st.integers(0, 6), min_size=5, max_size=5)
)
def test_the_best_of_each_row(counts, seed, most):
    row = torch.tensor(sorted(counts), dtype=torch.long)
    scores = torch.rand(len(row), generator=torch.Generator().manual_seed(seed))
    kept = top_of_each_sequence(row, scores, torch.tensor(most))
    expected = []
    for index in range(5):
        here = [i for i in range(len(row)) if row[i] == index]
        expected += sorted(sorted(here, key=lambda i: -scores[i])[: most[index]])
    assert kept.tolist() == expected


def test_rows_of_a_table():
    assert group_by_sequence(torch.tensor([0, 0, 2]), 4).tolist() == [[0, 1], [-1, -1], [2, -1], [-1, -1]]
    assert group_by_sequence(torch.tensor([], dtype=torch.long), 2).shape == (2, 0)
