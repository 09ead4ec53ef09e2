"""The triplets that embed-base learns word order from."""

import random
from pathlib import Path

import pytest


@pytest.fixture
def word_order(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "embed-base"))
    import word_order

    return word_order


@pytest.fixture
def words():
    return [("梅西", "nr"), ("在", "p"), ("决赛", "vn"), ("击败", "v"), ("了", "ul"), ("姆巴佩", "nr")]


def test_two_words_of_one_kind_change_places(word_order, words):
    result = word_order.exchanged(words, random.Random(0))
    assert [word for word, _ in result] == ["姆巴佩", "在", "决赛", "击败", "了", "梅西"]


def test_nothing_is_exchanged_where_it_would_mean_the_same(word_order):
    assert word_order.exchanged([("姚明", "nr"), ("和", "c"), ("叶莉", "nr"), ("来", "v")], random.Random(0)) is None
    assert word_order.exchanged([("姚明", "nr"), ("认识", "v"), ("姚明", "nr")], random.Random(0)) is None


@pytest.mark.parametrize("seed", range(20))
def test_rewording_keeps_all_but_function_words(word_order, words, seed):
    kept = [word for word in word_order.reworded(words, random.Random(seed), 5) if word[0] != "了"]
    assert kept == [word for word in words if word[0] != "了"]


def test_what_is_joined_may_change_its_order(word_order):
    words = [("姚明", "nr"), ("和", "c"), ("叶莉", "nr")]
    found = {"".join(word for word, _ in word_order.reworded(words, random.Random(seed), 1)) for seed in range(50)}
    assert found == {"叶莉和姚明", "姚明与叶莉"}
