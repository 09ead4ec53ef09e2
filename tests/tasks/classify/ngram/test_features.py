"""Hashed n-grams against a slow account of them, for any text."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import NASTY, texts

from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.classify.ngram.features import features

MULTIPLIER, FINAL, WORD = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 1 << 64
any_texts = st.one_of(texts, st.text(st.characters(), max_size=9))  # lone surrogates included


def bucket(gram, bits):
    """The hash of one n-gram, in whole numbers of any size."""
    found = 0
    for character in gram:
        found = (found + ord(character)) * MULTIPLIER % WORD
        found ^= found >> 29
    return found * FINAL % WORD >> (64 - bits)


def slow_features(found, bits):
    pairs = []
    for index, text in enumerate(found):
        marked = f"\x02{normalize(text)}\x03"
        grams = {marked[i : i + n] for n in (1, 2, 3) for i in range(len(marked) - n + 1)}
        pairs += [(index, place) for place in sorted({bucket(gram, bits) for gram in grams})]
    return pairs


@pytest.mark.parametrize("bits", [1, 8, 18, 24])
@given(found=st.lists(any_texts, max_size=4))
@example(found=list(NASTY))
@example(found=["\ud800", "", "\udfff\ud800x", "𠮷"])
def test_any_text_has_the_features_of_a_slow_account(bits, found):
    text_indices, buckets = features(found, bits)
    assert text_indices.dtype == buckets.dtype == np.int64
    assert list(zip(text_indices.tolist(), buckets.tolist(), strict=True)) == slow_features(found, bits)


def test_the_empty_text_has_features():
    """Its begin and its end, so no text is without any."""
    text_indices, buckets = features(["", "好", ""], 18)
    marks = sorted(bucket(gram, 18) for gram in ("\x02", "\x03", "\x02\x03"))
    assert buckets[text_indices == 0].tolist() == buckets[text_indices == 2].tolist() == marks
    assert [len(found) for found in features([], 18)] == [0, 0]


def test_hashes_are_the_same_on_all_machines():
    """Stored weights depend on them."""
    assert features(["好"], 18)[1].tolist() == sorted(
        bucket(gram, 18) for gram in ("\x02", "好", "\x03", "\x02好", "好\x03", "\x02好\x03")
    )
    assert [bucket(gram, 18) for gram in ("好", "不好", "不太好")] == [48732, 240687, 34681]


def test_texts_in_other_forms_have_the_same_features():
    for one, other in (("ＡＢＣ", "abc"), ("紅樓夢", "红楼梦"), ("a\u3000b", "a b")):
        assert features([one], 18)[1].tolist() == features([other], 18)[1].tolist()
    assert features(["红楼梦"], 18)[1].tolist() != features(["梦楼红"], 18)[1].tolist()
