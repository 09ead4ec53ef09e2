"""Entities as annotations of all kinds and back; what a record of entities cannot hold is counted."""

import pytest
from ner_support import COMPANY, NAME, TEXT

from nlpkit.core.formats.annotation import Annotation, Argument, Frame, Link, Mark, Tally
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError
from nlpkit.tasks.ner.data import Entity, Example
from nlpkit.tasks.ner.exchange import from_annotation, to_annotation

LINE = Line("", "gold", 7)


@pytest.mark.parametrize(("scores", "expected"), [(True, [0.5, 1.0]), (False, [None, None])])
def test_entities_come_back(scores, expected):
    gold = Example(TEXT, (Entity(0, 3, "name", 0.5), COMPANY), LINE)
    annotation = to_annotation(gold, scores)
    assert [mark.score for mark in annotation.entities] == expected
    assert scores or to_annotation(gold).entities == annotation.entities
    assert (annotation.relations, annotation.events, annotation.regions) == (None, None, ())
    back = from_annotation(annotation)
    assert back == gold
    assert [e.score for e in back.entities] == [0.5 if scores else 1.0, 1.0]


def test_other_annotations_are_counted():
    marks = (Mark(0, 3, "name", "叶老桂"),)
    annotation = Annotation(
        TEXT,
        LINE,
        entities=marks,
        relations=(Link(Mark(0, 3), "任职", Mark(4, 8)),) * 2,
        events=(Frame("x", None, [Argument("谁", Mark(0, 3))]),),
        regions=(Mark(3, 4),),
    )
    tally = Tally()
    assert from_annotation(annotation, tally).entities == (NAME,)
    assert tally.messages() == [
        "dropped: 1 region (without a label), first in gold:7",
        "dropped: 2 relations (records of entities cannot hold them), first in gold:7",
        "dropped: 1 event (records of entities cannot hold it), first in gold:7",
    ]


def test_a_text_without_entities_and_one_without_text():
    assert from_annotation(Annotation(TEXT, LINE)).entities == ()
    with pytest.raises(DataError, match="gold:7: the record has no text"):
        from_annotation(Annotation(None, LINE))
