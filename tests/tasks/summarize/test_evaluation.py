"""Scores of summaries, and of the floors: by hand."""

import pytest

from nlpkit.tasks.summarize.data import Example
from nlpkit.tasks.summarize.evaluation import evaluate
from nlpkit.tasks.summarize.summarizer import Summarizer

NEWS = "今天开会。会上讨论了南山银行的贷款。有人迟到。南山银行的贷款利率下降。散会了。"


def test_scores_and_floors_by_hand():
    """The summary is the reference; the first unit has 5 characters, none of 13 of the reference but its full stop."""
    found = evaluate(Summarizer(13), [Example(NEWS, "会上讨论了南山银行的贷款。")])
    speed = found.pop("texts_per_second")
    floors = found.pop("floors")
    assert found == {"rouge_l": 1.0, "rouge_1": 1.0, "rouge_2": 1.0, "characters": 13.0, "texts": 1}
    assert speed is None or speed > 0
    assert list(floors) == ["first_unit", "first_characters"]
    # 今天开会。 has 会 and the full stop in common, in this order.
    assert floors["first_unit"] == pytest.approx({"rouge_l": 4 / 18, "rouge_1": 4 / 18, "rouge_2": 0.0})
    # 今天开会。会上讨论了南山银 has 8 characters of the reference at its end.
    first = floors["first_characters"]
    assert (first["rouge_l"], first["rouge_2"]) == pytest.approx((2 * 8 / 26, 2 * 7 / 24))


def test_the_mean_over_texts():
    found = evaluate(Summarizer(20), [Example("甲乙。", "甲乙。"), Example("甲乙。", "丙丁"), Example("", "丙丁")])
    assert (found["rouge_l"], found["characters"], found["texts"]) == pytest.approx((1 / 3, 2.0, 3))
    assert found["floors"]["first_unit"]["rouge_1"] == pytest.approx(1 / 3)


def test_the_first_unit_is_cut_and_has_no_comma():
    text = "南山银行的贷款下降，存款上升，他没有来。"
    (floor, _) = evaluate(Summarizer(12), [Example(text, "南山银行的贷款下降")])["floors"].values()
    assert floor["rouge_l"] == 1.0
    (floor, _) = evaluate(Summarizer(4), [Example(text, "南山银行")])["floors"].values()
    assert floor["rouge_l"] == 1.0
