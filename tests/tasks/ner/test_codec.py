"""Entities to spans of the pointer and back: nothing changes on the way, in one window or in many."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import SENTENCE, texts

from nlpkit.core.spans.spans import SpanIndex, collate, decode
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.core.text.windows import Window, split
from nlpkit.tasks.ner.codec import assemble, combine, encode, flatten
from nlpkit.tasks.ner.data import Entity

TOKENIZER = CharTokenizer(SPECIALS)
LABELS = ("company", "name", "time")
IDS = {label: index for index, label in enumerate(LABELS)}


def perfect_logits(targets, sizes):
    """+10 at the targets of `collate`, −10 elsewhere, and the lowest number at padding."""
    s = max(sizes) + 2
    positives = collate(targets, len(LABELS), s)
    logits = np.full((len(targets), len(LABELS), s * s), -10.0, np.float32)
    for row, label in product(range(len(targets)), range(len(LABELS))):
        chosen = positives[row, label]
        logits[row, label, chosen[chosen >= 0]] = 10.0
    mask = np.arange(s) < np.array(sizes)[:, None] + 2
    allowed = mask[:, None, :, None] & mask[:, None, None, :]
    logits = logits.reshape(len(targets), len(LABELS), s, s)
    return np.where(allowed, logits, np.finfo(np.float32).min), mask


def round_trip(text, entities, limit=512):
    encoding = TOKENIZER.encode(text)
    document = Document(text, encoding, split(text, encoding, limit))
    targets = [encode(entities, encoding, window, IDS) for window in document.windows]
    found = decode(*perfect_logits(targets, [len(window) for window in document.windows]), 0.5)
    return assemble(document, found, LABELS, 0.5)


@st.composite
def annotated(draw, longest=60, most=8):
    """A text and entities on token boundaries, of at most `longest` tokens."""
    text = draw(texts)
    encoding = TOKENIZER.encode(text)
    entities = set()
    for _ in range(draw(st.integers(0, most)) if len(encoding) else 0):
        begin = draw(st.integers(0, len(encoding) - 1))
        last = draw(st.integers(begin, min(len(encoding), begin + longest) - 1))
        entities.add(Entity(encoding.starts[begin], encoding.ends[last], draw(st.sampled_from(LABELS))))
    return text, sorted(entities)


@given(annotated())
def test_nested_entities_come_back(sample):
    text, entities = sample
    assert round_trip(text, entities) == entities


@given(annotated())
def test_flat_entities_come_back(sample):
    text, entities = sample
    entities = flatten(entities)
    assert flatten(round_trip(text, entities)) == sorted(entities)


@given(annotated(longest=4), st.integers(16, 24))
def test_entities_come_back_across_windows(sample, limit):
    text, entities = sample
    assert round_trip(text, entities, limit) == entities


def test_an_entity_longer_than_the_overlap_comes_back_where_a_window_holds_it():
    text = "中" * 100
    assert round_trip(text, [Entity(20, 30, "name")], 32) == [Entity(20, 30, "name")]
    assert round_trip(text, [Entity(0, 100, "name")], 32) == []


def test_cells():
    encoding = TOKENIZER.encode("在 浙商银行")  # tokens 在浙商银行, spans (0,1) (2,3) (3,4) …
    entities = [Entity(2, 6, "company"), Entity(2, 4, "name")]
    assert encode(entities, encoding, Window(0, 5), IDS) == [SpanIndex(0, 2, 5), SpanIndex(1, 2, 3)]
    assert encode(entities, encoding, Window(1, 4), IDS) == [SpanIndex(1, 1, 2)]
    assert encode(entities, encoding, Window(2, 5), IDS) == []
    assert collate([[SpanIndex(0, 2, 5), SpanIndex(0, 1, 1)], [SpanIndex(1, 1, 2)]], 2, 7).tolist() == [
        [[2 * 7 + 5, 1 * 7 + 1], [-1, -1]],
        [[-1, -1], [1 * 7 + 2, -1]],
    ]
    assert collate([[], []], 2, 7).shape == (2, 2, 0)


def test_what_two_windows_find_is_taken_once_from_the_better_view():
    encoding = TOKENIZER.encode(SENTENCE)
    document = Document(SENTENCE, encoding, [Window(0, 12), Window(6, 21)])
    shortened = SpanIndex(1, 10, 12)  # of 10:14 the first window sees 10:12
    found = [[SpanIndex(0, 6, 9, 0.6), shortened], [SpanIndex(0, 0 + 1, 3, 0.9)]]
    assert assemble(document, found, LABELS, 0.5) == [Entity(5, 9, "company")]
    assert assemble(document, found, LABELS, 0.5)[0].score == 0.6


@pytest.mark.parametrize(
    ("entities", "kept"),
    [
        ([(0, 4, 0.9), (2, 6, 0.8)], [(0, 4)]),
        ([(0, 4, 0.8), (2, 6, 0.9)], [(2, 6)]),
        ([(0, 4, 0.9), (4, 6, 0.8)], [(0, 4), (4, 6)]),
        ([(0, 2, 0.9), (0, 4, 0.9)], [(0, 4)]),
        ([(0, 2, 0.7), (1, 3, 0.8), (2, 4, 0.9)], [(0, 2), (2, 4)]),
        ([(0, 9, 0.9), (1, 2, 0.8), (8, 9, 0.7)], [(0, 9)]),
        ([], []),
    ],
)
def test_flattening_keeps_the_best(entities, kept):
    flat = flatten(Entity(start, end, "name", score) for start, end, score in entities)
    assert [(entity.start, entity.end) for entity in flat] == kept


@given(annotated(most=15), st.data())
def test_flat_entities_do_not_overlap_and_leave_no_room(sample, data):
    scored = [Entity(e.start, e.end, e.label, data.draw(st.sampled_from([0.5, 0.7, 0.9]))) for e in sample[1]]
    flat = flatten(scored)
    assert all(a.end <= b.start for a, b in pairwise(flat))
    for entity in scored:
        assert any(e.start < entity.end and entity.start < e.end and e.score >= entity.score for e in flat)


MODEL = [Entity(0, 4, "公司", 0.9), Entity(6, 8, "人", 0.6)]


NAMES = [Entity(0, 2, "公司", 1.0, "dict"), Entity(6, 8, "地", 1.0, "dict"), Entity(9, 11, "地", 1.0, "dict")]


NEAR = [Entity(0, 4, "公司", 0.9), Entity(2, 6, "地", 0.8)]


@pytest.mark.parametrize(
    ("found", "mode", "nested", "expected"),
    [
        (MODEL, "join", False, [(0, 4, "公司"), (6, 8, "人"), (9, 11, "地")]),
        (MODEL, "override", False, [(0, 2, "公司"), (6, 8, "地"), (9, 11, "地")]),
        (MODEL, "join", True, [(0, 2, "公司"), (0, 4, "公司"), (6, 8, "人"), (6, 8, "地"), (9, 11, "地")]),
        (MODEL, "override", True, [(0, 2, "公司"), (0, 4, "公司"), (6, 8, "地"), (9, 11, "地")]),
        (NEAR, "override", False, [(0, 2, "公司"), (2, 6, "地"), (6, 8, "地"), (9, 11, "地")]),
        (NEAR, "join", False, [(0, 4, "公司"), (6, 8, "地"), (9, 11, "地")]),
        ([Entity(8, 10, "人", 0.99)], "join", False, [(0, 2, "公司"), (6, 8, "地"), (8, 10, "人")]),
        ([Entity(1, 2, "人", 0.99)], "join", False, [(0, 2, "公司"), (6, 8, "地"), (9, 11, "地")]),
    ],
)
def test_names_join_or_override_the_model(found, mode, nested, expected):
    combined = combine(found, NAMES, mode, nested)
    assert [(e.start, e.end, e.label) for e in combined] == expected
    assert all((e.source == "dict") == (e in NAMES and e.score == 1.0) for e in combined)
