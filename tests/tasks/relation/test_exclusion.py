"""Relations that exclude each other: how often they do, and what that does to their scores."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.records import Line
from nlpkit.tasks.relation.data import Example, Relation, Span
from nlpkit.tasks.relation.exclusion import count_shares, exclude

TEXT = "甲的父亲是乙还是丙？甲和丁"
A, AGAIN, B, C, D = (Span(at, at + 1) for at in (0, 10, 5, 8, 12))


def scores(relations, shares):
    return [relation.score for relation in exclude(TEXT, relations, shares)]


def test_shares_count_the_partners_of_each_string_in_each_text():
    line = Line("", "gold", 1)
    two = Example(TEXT, (Relation(A, "友", B), Relation(A, "友", C), Relation(AGAIN, "友", B)), line)
    one = Example(TEXT, (Relation(A, "友", B), Relation(D, "师", B)), line)
    shares = count_shares([two, one, Example(TEXT, (), line)])
    # subjects: 甲 has two, then one; objects: 乙 has one in each text, 丙 one; three pairs and four
    # relations of 友, none overlaps
    assert shares == {"友": (2 / 4, 4 / 5, 4 / 5, 5 / 6), "师": (2 / 3,) * 4}
    both = Example(TEXT, (Relation(A, "友", B), Relation(A, "师", B)), line)
    assert count_shares([both, one])["友"] == (3 / 4, 3 / 4, 2 / 4, 3 / 4)
    assert count_shares([]) == {}


def test_the_less_probable_of_two_fathers_becomes_much_less_so():
    relations = [Relation(A, "父亲", B, 0.9), Relation(A, "父亲", C, 0.8)]
    odds = 4 * math.sqrt(0.01 / 0.99)
    assert scores(relations, {"父亲": (0.99, 0.5, 0.5, 0.5)}) == pytest.approx([0.9, odds / (1 + odds)])
    assert odds / (1 + odds) == pytest.approx(0.29, abs=0.005)


def test_objects_have_one_subject_likewise_and_both_count():
    relations = [Relation(A, "p", B, 0.9), Relation(D, "p", B, 0.5), Relation(D, "p", C, 0.6)]
    once, twice = 1 / (1 + 2), 1 / (1 + 2 * 3)  # odds of 1, times √(1/4), times √(1/9)
    assert scores(relations, {"p": (0.1, 0.8, 0.1, 0.1)}) == pytest.approx([0.9, once, 0.6])
    assert scores(relations, {"p": (0.9, 0.8, 0.1, 0.1)}) == pytest.approx([0.9, twice, 0.6])


def test_a_man_is_not_both_parents():
    relations = [Relation(A, "父亲", B, 0.8), Relation(A, "母亲", B, 0.5), Relation(B, "母亲", A, 0.4)]
    shares = {"父亲": (0.5, 0.5, 0.5, 0.5), "母亲": (0.5, 0.5, 0.99, 0.5)}
    once = math.sqrt(1 / 99)
    assert scores(relations, shares) == pytest.approx([0.8, once / (1 + once), 0.4])


def test_of_two_boundaries_one_relation_is_left():
    text = "姚明的妻子叶莉也是球员，叶莉的丈夫"
    wife, longer, later, husband = Span(5, 7), Span(5, 8), Span(12, 14), Span(0, 2)
    relations = [
        Relation(husband, "妻子", wife, 0.8),
        Relation(husband, "妻子", longer, 0.7),
        Relation(husband, "妻子", later, 0.6),  # no overlap, and the same strings
        Relation(Span(0, 1), "妻子", wife, 0.5),
        Relation(longer, "丈夫", husband, 0.5),  # another predicate
    ]
    shares = dict.fromkeys(("妻子", "丈夫"), (0.5, 0.5, 0.5, 0.99))
    found = [relation.score for relation in exclude(text, relations, shares)]
    assert found == pytest.approx([0.8, (7 / 3 / 99) / (1 + 7 / 3 / 99), 0.6, (1 / 99) / (1 + 1 / 99), 0.5])
    example = Example(text, tuple(relations), Line("", "gold", 1))
    assert count_shares([example])["妻子"][3] == (1 + 1) / (4 + 2)
    assert count_shares([example])["丈夫"][3] == (1 + 1) / (1 + 2)


@pytest.mark.parametrize(
    ("relations", "shares"),
    [
        ([Relation(A, "p", B, 0.9), Relation(A, "p", C, 0.8)], {}),  # an unknown predicate
        ([Relation(A, "p", B, 0.9), Relation(A, "p", C, 0.8)], {"p": (0.5, 0.9, 0.9, 0.9)}),  # half have several
        (
            [Relation(A, "p", B, 0.9), Relation(A, "q", C, 0.8)],
            {"p": (0.9, 0.9, 0.9, 0.9), "q": (0.9, 0.9, 0.9, 0.9)},
        ),  # others
        ([Relation(A, "p", B, 0.9), Relation(AGAIN, "p", B, 0.8)], {"p": (0.9, 0.9, 0.9, 0.9)}),  # the same strings
        ([Relation(A, "p", B, 0.8), Relation(A, "p", C, 0.8)], {"p": (0.9, 0.9, 0.9, 0.9)}),  # none is more probable
    ],
)
def test_other_relations_keep_their_scores(relations, shares):
    assert exclude(TEXT, relations, shares) == relations
    assert scores(relations, shares) == [relation.score for relation in relations]


spans = st.sampled_from([A, AGAIN, B, C, D])
share = st.floats(0.01, 0.99)


@given(
    st.lists(st.builds(Relation, spans, st.sampled_from("pq"), spans, st.floats(0, 1)), max_size=8),
    st.dictionaries(st.sampled_from("pq"), st.tuples(share, share, share, share)),
)
def test_no_score_rises_and_the_best_keeps_its_own(relations, shares):
    found = scores(relations, shares)
    assert all(0 <= new <= old.score * (1 + 1e-9) for new, old in zip(found, relations, strict=True))
    assert max(found, default=math.inf) == max((relation.score for relation in relations), default=math.inf)
