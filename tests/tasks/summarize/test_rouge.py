"""ROUGE by hand, and against definitions."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kgqa_support import lcs

from nlpkit.tasks.summarize.rouge import rouge


def scores(*pairs):
    found = rouge(pairs)
    assert list(found) == ["rouge_l", "rouge_1", "rouge_2"]
    return tuple(found.values())


@pytest.mark.parametrize(
    ("summary", "reference", "expected"),
    [
        ("甲乙丙", "甲丙", (0.8, 0.8, 0)),
        ("甲乙丙丁", "甲乙丙丁", (1, 1, 1)),
        ("甲乙丙丁", "丁丙乙甲", (0.25, 1, 0)),  # order counts in the subsequence: one character of four
        ("甲甲甲", "甲", (0.5, 0.5, 0)),  # a repeated character counts once
        ("甲乙甲乙", "甲乙", (4 / 6, 4 / 6, 2 / 4)),
        ("今天下雨", "今天有雨", (0.75, 0.75, 2 / 6)),
        ("甲", "乙", (0, 0, 0)),
        ("甲", "甲", (1, 1, 0)),  # no pairs of characters
        ("", "甲", (0, 0, 0)),
        ("", "", (0, 0, 0)),
        ("ＡＢＣ 紅樓夢", "abc红楼梦", (1, 1, 1)),
        ("甲 乙\n丙", "甲乙丙", (1, 1, 1)),
    ],
)
def test_by_hand(summary, reference, expected):
    assert scores((summary, reference)) == pytest.approx(expected)


def test_the_mean_over_texts():
    assert scores(("甲乙丙", "甲丙"), ("甲乙", "甲乙"), ("甲", "乙")) == pytest.approx((1.8 / 3, 1.8 / 3, 1 / 3))
    assert scores() == (0, 0, 0)


strings = st.text("ab甲乙 ", max_size=14)


@given(strings, strings)
def test_the_definitions(summary, reference):
    one, other = summary.replace(" ", ""), reference.replace(" ", "")

    def f1(common, first, second):
        precision, recall = common / first if first else 0, common / second if second else 0
        return 2 * precision * recall / (precision + recall) if common else 0

    def overlap(n):
        grams = [Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (one, other)]
        return f1(
            sum(min(count, grams[1][gram]) for gram, count in grams[0].items()), *(sum(g.values()) for g in grams)
        )

    expected = (f1(lcs(one, other), len(one), len(other)), overlap(1), overlap(2))
    assert scores((summary, reference)) == pytest.approx(expected)
    assert scores((reference, summary)) == pytest.approx(expected)
