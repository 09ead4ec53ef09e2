"""Relations as annotations of all kinds and back; what a record of relations cannot hold is counted."""

import pytest

from nlpkit.core.formats.annotation import Annotation, Frame, Link, Mark, Tally
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError
from nlpkit.tasks.relation.data import Example, Relation, Span
from nlpkit.tasks.relation.exchange import from_annotation, to_annotation

TEXT = "《三体》的作者是刘慈欣"
LINE = Line("", "gold", 7)
AUTHOR = Relation(Span(1, 3), "作者", Span(8, 11), 0.5)


@pytest.mark.parametrize("scores", [True, False])
def test_relations_come_back(scores):
    gold = Example(TEXT, (AUTHOR, Relation(Span(8, 11), "作品", Span(1, 3))), LINE)
    annotation = to_annotation(gold, scores)
    assert annotation.relations == (
        Link(Mark(1, 3), "作者", Mark(8, 11), 0.5 if scores else None),
        Link(Mark(8, 11), "作品", Mark(1, 3), 1.0 if scores else None),
    )
    assert scores or to_annotation(gold).relations == annotation.relations
    assert (annotation.entities, annotation.events, annotation.regions) == (None, None, ())
    back = from_annotation(annotation)
    assert back == gold
    assert [relation.score for relation in back.relations] == [0.5 if scores else 1.0, 1.0]


def test_a_guess_of_offsets_is_one_afterwards():
    text = "王芳。王芳的丈夫是张强。"
    pairs = ((Span(3, 5), Span(9, 11)), (Span(0, 2), Span(9, 11)))
    guess = Relation(pairs[0][0], "丈夫", pairs[0][1], alternatives=pairs)
    annotation = to_annotation(Example(text, (guess,), LINE))
    assert annotation.located is False
    assert from_annotation(annotation).relations[0].alternatives == pairs


def test_other_annotations_are_counted():
    annotation = Annotation(
        TEXT,
        LINE,
        entities=(Mark(1, 3, "书"),),
        relations=(Link(Mark(1, 3, "书"), "作者", Mark(8, 11)),),
        events=(Frame("x", Mark(5, 7), []),) * 2,
        regions=(Mark(8, 11), Mark(5, 6)),
    )
    tally = Tally()
    assert from_annotation(annotation, tally).relations == (AUTHOR,)
    assert [message.removesuffix(", first in gold:7") for message in tally.messages()] == [
        "dropped: 1 entity (records of relations hold no labels of it, and only those that are part of a relation)",
        "dropped: 1 region (without a label or a relation)",
        "dropped: 2 events (records of relations cannot hold them)",
    ]


def test_a_string_that_differs_from_the_text_is_an_error():
    link = Link(Mark(1, 3, None, "四体"), "作者", Mark(8, 11))
    with pytest.raises(DataError, match="gold:7: the text at 1:3 is '三体', but the annotation says '四体'"):
        from_annotation(Annotation(TEXT, LINE, relations=(link,)))
