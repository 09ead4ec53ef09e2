"""Spans and tokens, spans from dense logits, and spans from factored logits against the dense search."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linker_support import random_factors

from nlpkit.core.spans.spans import (
    MAX_SPANS,
    align,
    candidates,
    decode,
    group_by_sequence,
    max_candidates,
    sigmoid,
    to_spans,
    top_of_each_sequence,
)
from nlpkit.core.text.padding import TokenBudget
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.tasks.ner.data import Entity
from nlpkit.tasks.ner.settings import NerSettings
from nlpkit.tasks.ner.task import NerTask


def test_links_run_both_ways_and_never_touch_cls_or_sep():
    logits = np.full((1, 1, 5, 5), 9.0, np.float32)
    mask = np.array([[True, True, True, True, False]])
    found = {(span.start, span.end) for span in decode(logits, mask, 0.5)[0]}
    assert found == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_many_labels_and_long_rows_make_small_batches():
    """217 labels of 512 × 512 in fp32 are 228 MB a row: one at a time."""
    few, many = (NerTask(NerSettings(labels)) for labels in (("a",), tuple(f"label{i}" for i in range(217))))
    budget, cpu, lengths = TokenBudget(cpu=2048, gpu=2048), "cpu", [512] * 8
    assert len(budget.batches([few.cost(length) for length in lengths], cpu)) == 2
    assert len(budget.batches([many.cost(length) for length in lengths], cpu)) == 8
    short = [16] * 64
    assert budget.batches([many.cost(length) for length in short], cpu) == [list(range(64))]


TOKENIZER = CharTokenizer(SPECIALS)


@pytest.mark.parametrize(
    ("start", "end", "aligned"),
    [(0, 2, 1), (0, 3, 1), (5, 6, 1), (0, 1, 0), (1, 3, 0), (3, 6, 0), (2, 4, 0)],
)
def test_only_entities_on_unit_boundaries_are_aligned(start, end, aligned):
    assert len(align([Entity(start, end, "name")], TOKENIZER.encode("e\u0301x \u200b中"))) == aligned


def test_cls_sep_and_padding_are_never_found():
    logits = np.triu(np.full((2, 1, 5, 5), 9.0, np.float32))
    logits[logits == 0] = -9.0
    mask = np.array([[True] * 5, [True, True, True, False, False]])
    found = decode(logits, mask, 0.5)
    assert {(span.start, span.end) for span in found[0]} == {(i, j) for i in (1, 2, 3) for j in range(i, 4)}
    assert {(span.start, span.end) for span in found[1]} == {(1, 1)}


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.5, [0.62, 0.88]), (0.7, [0.88]), (0.9, []), (0.2, [0.27, 0.62, 0.88])]
)
def test_the_threshold_is_a_probability(threshold, expected):
    logits = np.full((1, 3, 4, 4), -9.0, np.float32)
    logits[0, :, 1, 2] = [0.5, -1.0, 2.0]  # 0.62, 0.27, 0.88
    found = decode(logits, np.ones((1, 4), np.bool_), threshold)[0]
    assert sorted(round(span.score, 2) for span in found) == expected


def test_at_most_so_many_spans_of_a_row_are_given_and_they_are_the_best():
    logits = np.triu(np.random.default_rng(0).random((2, 2, 40, 40), np.float32))
    logits[1] -= 9
    logits[1, 0, 3, 4] = 1
    mask = np.ones((2, 40), np.bool_)
    many, one = decode(logits, mask, 0.5)
    assert len(many) == MAX_SPANS
    inside = np.sort(sigmoid(logits[0, :, 1:-1, 1:-1].ravel()))[::-1]
    assert sorted((span.score for span in many), reverse=True) == pytest.approx(inside[:MAX_SPANS].tolist())
    assert [(span.label, span.start, span.end) for span in one] == [(0, 3, 4)]


def test_unwanted_labels_take_no_place_of_wanted_ones():
    logits = np.triu(np.random.default_rng(0).random((1, 2, 50, 50), np.float32))
    logits[0, 1, 3:20, 3:20] = 0.01
    mask = np.ones((1, 50), np.bool_)
    (both,) = decode(logits, mask, 0.5)
    (some,) = decode(logits, mask, 0.5, np.array([False, True]))
    assert len(both) == len(some) == MAX_SPANS
    assert {span.label for span in some} == {1}
    assert {span for span in both if span.label == 1} < set(some)


def place(span):
    return span.label, span.start, span.end


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([0.3, 0.5, 0.9]), st.integers(1, 30))
def test_what_few_labels_find_is_what_the_dense_search_finds(seed, threshold, labels):
    generator = torch.Generator().manual_seed(seed)
    factors, mask = random_factors(generator, 3, labels, 24, bias=-3.2 - labels**0.5 / 2)
    expected = decode(factors.dense(), mask, threshold)
    assert [sorted(map(place, spans)) for spans in decode(factors, mask, threshold)] == [
        sorted(map(place, spans)) for spans in expected
    ]
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
    factors, mask = random_factors(torch.Generator().manual_seed(0), 4, 50, 40, bias=1.0)
    found, scores = candidates(factors, mask, 0.5)
    counts = np.bincount(found[:, 0], minlength=4)
    assert (counts <= max_candidates(mask)).all()
    assert (counts[mask.sum(1) >= 12] > 0).all()
    assert (np.diff(found[:, 0]) >= 0).all()
    row, label, first, last = found.T
    at = factors.at(row, first, last)
    assert np.array_equal(at[np.arange(len(at)), label], scores)
    assert np.array_equal(at.max(1), scores)
    assert (first > 0).all()
    assert (last < mask.sum(1)[row] - 1).all()


@given(
    st.lists(st.integers(0, 4), max_size=30), st.integers(0, 10**6), st.lists(st.integers(0, 6), min_size=5, max_size=5)
)
def test_the_best_of_each_row(counts, seed, most):
    row = np.array(sorted(counts), np.int64)
    scores = np.random.default_rng(seed).integers(0, 9, len(row)).astype(np.float32)  # with ties
    kept = top_of_each_sequence(row, scores, np.array(most))
    expected = []
    for index in range(5):
        here = [i for i in range(len(row)) if row[i] == index]
        expected += sorted(sorted(here, key=lambda i: -scores[i])[: most[index]])
    assert kept.tolist() == expected


def test_rows_of_a_table():
    assert group_by_sequence(np.array([0, 0, 2]), 4).tolist() == [[0, 1], [-1, -1], [2, -1], [-1, -1]]
    assert group_by_sequence(np.array([], np.int64), 2).shape == (2, 0)
