"""The official metric of KgCLUE, in small examples worked out by hand."""

import pytest

from nlpkit.tasks.kgqa.metric import is_right, normalize_text, scores


def test_case_and_white_space_do_not_count():
    assert normalize_text("  A\tb\u3000 C ") == "a b c"
    found = scores([(("甲", "名称", "New  York"), ("甲", "名称", "new york"))])
    assert found["em"] == found["f1"] == found["score"] == found["em_all"] == 1.0


def test_the_score_is_of_the_object_and_all_needs_the_three():
    gold = ("甲（书）", "作者", "老舍")
    found = scores([(gold, ("甲（书）", "作者", "老舍")), (gold, ("甲", "作者", "老子")), (gold, ("", "", ""))])
    assert found["em"] == pytest.approx(1 / 3)
    assert found["f1"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["score"] == pytest.approx((1 / 3 + 0.5) / 2)
    assert found["em_subject"] == pytest.approx(1 / 3)
    assert found["em_predicate"] == pytest.approx(2 / 3)
    assert found["em_all"] == pytest.approx(1 / 3)
    assert found["f1_subject"] == pytest.approx((1 + 2 / 5 + 0) / 3)
    assert found["f1_all"] == pytest.approx((1 + 2 * 4 / 13 + 0) / 3)


def test_nothing_to_score():
    assert scores([])["score"] == 0.0


@pytest.mark.parametrize("column", range(3))
def test_an_answer_is_right_if_all_three_are(column):
    gold = ("三体", "作者", "Liu  Cixin")
    assert is_right(gold, ("三体", "作者", "liu cixin"))
    assert not is_right(gold, tuple("x" if index == column else text for index, text in enumerate(gold)))
