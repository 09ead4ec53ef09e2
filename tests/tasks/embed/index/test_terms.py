"""Terms of texts: pairs, words, and their numbers."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import texts

from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.embed.index.terms import term_code, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("天气预报", ["天气", "气预", "预报", "天气预报"]),
        ("猫", ["猫"]),
        ("我爱北京", ["我爱", "爱北", "北京", "我", "爱"]),
        ("ＧＰＴ－４", ["gpt", "4"]),
        ("iPhone手机", ["iphone", "手机"]),
        ("T恤", ["t", "恤"]),  # a word of jieba, but not of CJK characters alone
        ("臺灣", ["台湾"]),
        ("テスト", ["テス", "スト", "テ", "ス", "ト"]),
        ("한국어", ["한국", "국어", "한", "국", "어"]),
        ("naïve_Été", ["naïve", "été"]),
        ("天天天天", ["天天", "天天", "天天"]),
        ("😀！😀", ["😀", "😀"]),
        ("，。！ \t\u200b", []),
        ("", []),
        ("叶，老", ["叶", "老"]),
        ("𠮷野", ["𠮷野", "𠮷", "野"]),
    ],
)
def test_terms(text, expected):
    assert sorted(terms(text)) == sorted(map(term_code, expected))


@given(st.one_of(texts, st.text()))
def test_a_text_with_letters_has_terms_and_only_those_of_its_normal_form(text):
    found = terms(text)
    assert found == terms(normalize(text))
    normal = normalize(text)
    has_letters = any(c.isalnum() or unicodedata.category(c) == "So" for c in normal)
    assert bool(found) == has_letters
    assert all(0 <= code < 2**64 for code in found)


@given(texts, texts)
def test_terms_do_not_cross_a_comma(first, second):
    assert terms(f"{first}，{second}") == terms(first) + terms(second)


@given(st.sets(st.text("abc天气预报😀", min_size=1, max_size=4), max_size=30))
def test_terms_have_numbers_of_their_own(words):
    assert len({term_code(word) for word in words}) == len(words)


def test_numbers_stay_the_same():
    """They are stored in indexes."""
    numbers = [term_code(term) for term in ("天", "天气", "天气预报", "gpt")]
    assert numbers == [0x5929, 0x5929 << 21 | 0x6C14, 14687371812428061005, 16637965362501165202]
