"""Pairs as one sequence: what is kept of texts that are too long, and which tokens it has."""

import pytest
from classify_support import TOKENIZER
from hypothesis import given
from hypothesis import strategies as st
from support import texts

from nlpkit.core.text.padding import pad_windows
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.tasks.classify.network.codec import PairDocument, shared_budget

TINY = CharTokenizer([*SPECIALS, *"甲乙丙丁戊己"])
lengths = st.integers(0, 60)


@given(lengths, lengths, lengths)
def test_the_budget_is_kept_and_used(first, second, budget):
    found = shared_budget(first, second, budget)
    assert all(0 <= kept <= length for kept, length in zip(found, (first, second), strict=True))
    assert sum(found) == min(first + second, budget)


@given(lengths, lengths, lengths)
def test_the_longer_text_is_cut_first(first, second, budget):
    """A text loses tokens only if it has at least as many as the other one keeps, but for an odd one."""
    kept_first, kept_second = shared_budget(first, second, budget)
    if kept_first < first:
        assert kept_first >= kept_second - 1
    if kept_second < second:
        assert kept_second >= kept_first


@pytest.mark.parametrize(
    ("first", "second", "budget", "expected"),
    [
        (3, 4, 7, (3, 4)),
        (3, 9, 10, (3, 7)),
        (9, 3, 10, (7, 3)),
        (9, 9, 7, (3, 4)),
        (9, 9, 0, (0, 0)),
        (0, 9, 4, (0, 4)),
    ],
)
def test_budgets_by_hand(first, second, budget, expected):
    assert shared_budget(first, second, budget) == expected


def tokens(document, tokenizer=TINY):
    ids, mask = pad_windows([(document.encoding, window) for window in document.windows], tokenizer)
    assert mask.all()
    (row,) = ids
    return [tokenizer.tokens[token] for token in row]


def test_a_pair_is_one_sequence_with_a_separator():
    document = PairDocument.of_pair(("甲乙", "丙丁戊"), TINY, 8)
    assert tokens(document) == ["[CLS]", *"甲乙", "[SEP]", *"丙丁戊", "[SEP]"]
    assert not document.truncated
    assert document.text == "甲乙"
    assert document.encoding.starts == [0, 1, 2, 0, 1, 2]
    assert document.encoding.ends == [1, 2, 2, 1, 2, 3]
    assert tokens(PairDocument.of_pair(("", ""), TINY, 3)) == ["[CLS]", "[SEP]", "[SEP]"]


def test_a_pair_that_is_too_long_is_cut_at_the_end_of_its_texts():
    cut = PairDocument.of_pair(("甲乙丙丁", "戊己"), TINY, 8)
    assert (tokens(cut), cut.truncated) == (["[CLS]", *"甲乙丙", "[SEP]", *"戊己", "[SEP]"], True)
    both = PairDocument.of_pair(("甲乙丙丁", "戊己甲乙丙"), TINY, 8)
    assert (tokens(both), both.truncated) == (["[CLS]", *"甲乙", "[SEP]", *"戊己甲", "[SEP]"], True)


@given(texts, texts, st.integers(3, 40))
def test_any_pair_is_one_window_within_the_limit(first, second, limit):
    document = PairDocument.of_pair((first, second), TOKENIZER, limit)
    (window,) = document.windows
    assert len(window) == len(document.encoding) <= limit - 2
    whole = len(TOKENIZER.encode(first)) + len(TOKENIZER.encode(second)) + 1
    assert document.truncated == (whole > limit - 2)
    assert document.encoding.ids.count(TOKENIZER.sep_id) >= 1
    assert len(document.encoding.starts) == len(document.encoding.ends) == len(document.encoding)
