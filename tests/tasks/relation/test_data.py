"""Records of relations: what is checked, sorted and joined, and that it comes back from JSON."""

import pytest

from nlpkit.core.io.records import Line
from nlpkit.errors import DataError
from nlpkit.tasks.relation.data import (
    MAX_ALTERNATIVES,
    Example,
    Mention,
    Relation,
    Span,
    Statement,
    join,
    make_example,
    predicates_of,
    to_record,
)

TEXT = "《三体》的作者是刘慈欣"
AUTHOR = Relation(Span(1, 3), "作者", Span(8, 11))
WORK = Relation(Span(8, 11), "作品", Span(1, 3))
LINE = Line("", "gold", 7)
BOOK, WRITER = Mention(1, 3, "三体"), Mention(8, 11)


def test_predicates_are_sorted_and_at_least_one():
    examples = [Example(TEXT, (WORK, AUTHOR), LINE), Example(TEXT, (AUTHOR,), LINE)]
    assert predicates_of(examples, []) == ("作品", "作者")
    with pytest.raises(
        DataError, match=r"a\.jsonl, b\.jsonl: no text has a relation; add training data with relations"
    ):
        predicates_of([Example(TEXT, (), LINE)], ["a.jsonl", "b.jsonl"])


def test_a_record_repeats_the_strings_of_the_spans():
    scored = Relation(AUTHOR.subject, "作者", AUTHOR.object, 0.98765)
    plain = {
        "subject": {"start": 1, "end": 3, "text": "三体"},
        "predicate": "作者",
        "object": {"start": 8, "end": 11, "text": "刘慈欣"},
    }
    assert to_record(TEXT, [AUTHOR]) == {"text": TEXT, "relations": [plain]}
    fields = {"id": 1, "body": TEXT}
    assert to_record(TEXT, [scored], fields, scores=True) == {**fields, "relations": [{**plain, "score": 0.9877}]}


def test_relations_are_in_text_order_without_duplicates():
    statements = [
        Statement(WRITER, "作品", BOOK),
        Statement(BOOK, "作者", WRITER),
        Statement(BOOK, "作者", WRITER, 0.5),
    ]
    found = make_example(LINE, TEXT, statements).relations
    assert found == (AUTHOR, WORK)
    assert [relation.score for relation in found] == [1.0, 1.0]
    assert Relation(Span(1, 3), "作者", Span(8, 11), 0.5) == AUTHOR


def test_joined_texts_keep_every_span():
    joined = join([Example("甲", (), LINE), Example(TEXT, (AUTHOR, WORK), LINE), Example(TEXT, (AUTHOR,), LINE)])
    assert joined.text == "甲" + TEXT * 2
    found = [[joined.text[s.start : s.end] for s in (r.subject, r.object)] for r in joined.relations]
    assert found == [["三体", "刘慈欣"], ["刘慈欣", "三体"], ["三体", "刘慈欣"]]
    assert joined.relations[2] == Relation(Span(13, 15), "作者", Span(20, 23))


def test_a_guess_keeps_its_alternatives_where_the_text_goes():
    text = "王芳。王芳的丈夫是张强。"
    example = make_example(LINE, text, [Statement(Mention(3, 5), "丈夫", Mention(9, 11))], located=False)
    pairs = ((Span(3, 5), Span(9, 11)), (Span(0, 2), Span(9, 11)))
    assert example.relations[0].pairs == example.relations[0].alternatives == pairs
    moved = join([Example("张强，", (), LINE), example]).relations[0]
    assert moved.pairs == tuple((one.shifted(3), other.shifted(3)) for one, other in pairs)
    assert AUTHOR.pairs == ((AUTHOR.subject, AUTHOR.object),)
    once = make_example(LINE, TEXT, [Statement(BOOK, "作者", WRITER)], located=False)
    assert once.relations[0].alternatives == ()  # the strings occur once
    assert (example.located, once.located) == (False, True)


def test_a_guess_has_a_limited_number_of_alternatives_and_is_the_first():
    text = "甲乙" * 9
    statement = Statement(Mention(16, 17), "x", Mention(1, 2))
    alternatives = make_example(LINE, text, [statement], located=False).relations[0].alternatives
    assert len(set(alternatives)) == MAX_ALTERNATIVES
    assert alternatives[0] == (Span(16, 17), Span(1, 2))


@pytest.mark.parametrize(
    ("text", "statement", "message"),
    [
        (None, (BOOK, "x", WRITER), "the record has no text, or it is not a string; name the field that holds it with "
                                    "--field"),
        (TEXT, (Mention(1, 3, "四体"), "x", WRITER), "the text at 1:3 is '三体', but the annotation says '四体'"),
        (TEXT, (BOOK, "x", Mention(8, 12)), "offsets 8:12 are outside the text of 11 characters"),
        (TEXT, (BOOK, "x", Mention(8, 8)), "offsets 8:8 hold no character (the end is exclusive)"),
        (TEXT, (BOOK, "", WRITER), "a predicate must be a non-empty string, this is ''"),
        (TEXT, (BOOK, 5, WRITER), "a predicate must be a non-empty string, this is 5"),
        (TEXT, (BOOK, "x", WRITER, True), "the score of x must be a number, this is True"),
    ],
)  # fmt: skip
def test_a_relation_that_does_not_fit_is_an_error(text, statement, message):
    with pytest.raises(DataError) as caught:
        make_example(LINE, text, [Statement(*statement)])
    assert str(caught.value) == f"gold:7: {message}"
