"""Which units of a text a summary was made of."""

from hypothesis import given
from hypothesis import strategies as st

from nlpkit.tasks.summarize.matching import matched

UNITS = ["法院查明原告借款十万元", "被告未到庭", "法院认为借款合同有效", "判决被告还款十万元", "案件受理费由被告负担"]


def test_a_clause_is_matched_with_the_most_similar_unit():
    assert matched(UNITS, ["被告还款十万元"]) == [3]
    assert matched(UNITS, ["原告借款", "合同有效", "被告还款十万元"]) == [0, 2, 3]


def test_matches_ascend_even_if_a_unit_before_is_more_similar():
    """The longest clause is matched first; the one behind it may not go back."""
    assert matched(UNITS, ["判决被告还款十万元", "被告未到庭"]) == [3, 3]


def test_an_empty_summary_matches_nothing():
    assert matched(UNITS, []) == []


texts = st.lists(st.text("甲乙丙丁戊", min_size=1, max_size=6), min_size=1, max_size=6)


@given(texts, texts)
def test_every_clause_has_a_match_and_the_matches_ascend(units, summary):
    found = matched(units, summary)
    assert len(found) == len(summary)
    assert found == sorted(found)
    assert set(found) <= set(range(len(units)))
