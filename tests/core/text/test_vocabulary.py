"""The vocabulary builder, through the tokenizer that uses it."""

import random
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import NASTY

from nlpkit.core.text.tokenizer import RARE, SPECIALS, CharTokenizer
from nlpkit.core.text.vocabulary import MIN_PIECES, MULTIPLE, build_vocabulary, lookup_form, word_pieces

LINES = [*NASTY, "PyTorch 张量，pytorch 模型 2024 年", "Ａ股 café ＰＹ①², ㎏ 한국어 がんばる İ K ﬁ"] * 5


def ids(tokenizer, text):
    return tokenizer.encode(text).ids


def test_begins_with_what_every_text_may_need():
    tokens = build_vocabulary([], rare=3)
    assert tokens[:8] == [*SPECIALS, "[RARE0]", "[RARE1]", "[RARE2]"]
    alphanumeric = string.digits + string.ascii_lowercase
    assert tokens[8:] == [*string.punctuation, *alphanumeric, *("##" + c for c in alphanumeric)]


def test_no_ascii_text_is_unknown():
    tokenizer = CharTokenizer(build_vocabulary([]))
    chance = random.Random(0)
    for _ in range(200):
        text = "".join(chance.choices(string.printable, k=200))
        assert min(ids(tokenizer, text)) >= tokenizer.ids["!"]


def test_no_character_seen_often_enough_is_rare():
    tokenizer = CharTokenizer(build_vocabulary(LINES), normalize=True)
    lost = {*tokenizer.rare_ids, tokenizer.unk_id}
    for character in {*"".join(LINES)}:
        assert not lost & {*ids(tokenizer, character)}, (character, unicodedata.name(character, "?"))


@given(st.characters(exclude_categories=["Cs"]))
def test_any_character_is_found_under_its_form(character):
    tokenizer = CharTokenizer(build_vocabulary([character], min_count=1, rare=2), normalize=True)
    assert not {*tokenizer.rare_ids, tokenizer.unk_id} & {*ids(tokenizer, character)}


def test_a_character_below_min_count_is_shared_by_code_point():
    tokenizer = CharTokenizer(build_vocabulary(["常" * 5, "罕" * 4], rare=7))
    assert ids(tokenizer, "常罕") == [tokenizer.ids["常"], tokenizer.ids[RARE.format(ord("罕") % 7)]]


def test_forms_are_counted_together():
    assert "é" not in build_vocabulary(["é" * 9])  # e
    assert "ａ" not in build_vocabulary(["ａＡ" * 9])  # a
    assert "か" in build_vocabulary(["が" * 2, "か" * 3])
    assert [lookup_form(c) for c in "É，Ａｱ①②㎏⼀"] == [*"e，aア①②㎏一"]
    assert not {"樓", "％"} & {*build_vocabulary(["樓％" * 9])}  # 楼 %


def test_what_makes_no_unit_is_no_token():
    assert len(build_vocabulary(["\u3000\u200b\ufeff\u0301\x00\ufe0f" * 9])) == len(build_vocabulary([]))


def test_characters_by_frequency_then_code_point():
    tokens = build_vocabulary(["丙乙甲" * 5, "丁" * 9], min_count=5)
    assert tokens[len(build_vocabulary([])) :] == ["丁", *sorted("丙乙甲")]


def test_size():
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefgh", k=chance.randint(2, 7))) for _ in range(3000)]
    lines = [" ".join(words)] * 5
    tokens = build_vocabulary(lines, size=1280)
    assert len(tokens) == len({*tokens}) == 1280
    grown = build_vocabulary(lines, size=64)
    assert len(grown) % MULTIPLE == 0
    assert len(grown) >= len(build_vocabulary([])) + MIN_PIECES


def test_word_pieces_are_byte_pairs():
    # a+b 10 times, b+c 5 times; ab is then one piece, so the next pair is ab+c
    assert word_pieces({"ab": 5, "ABC": 5}, 10, 5) == ["ab", "abc"]
    assert word_pieces({"aaa": 5}, 10, 5) == ["##aa", "aaa"]  # of two equal counts the first in text order
    assert word_pieces({"abcd": 5}, 1, 5) == ["##bc"]
    assert word_pieces({"ab": 4}, 10, 5) == []


def test_frequent_words_are_one_unit():
    tokenizer = CharTokenizer(build_vocabulary(["Linux PyTorch"] * 5))
    assert [tokenizer.tokens[i] for i in ids(tokenizer, "linux PYTORCH linuxed")] == [
        *("linux", "pytorch", "linux", "##e", "##d"),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_lines_does_not_matter(seed):
    lines = LINES.copy()
    random.Random(seed).shuffle(lines)
    assert build_vocabulary(lines) == build_vocabulary(LINES)
