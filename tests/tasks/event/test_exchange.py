"""Events as annotations of all kinds and back; what a record of events cannot hold is counted."""

import pytest

from nlpkit.core.formats.annotation import Annotation, Argument, Frame, Link, Mark, Tally
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError
from nlpkit.tasks.event import data
from nlpkit.tasks.event.data import TRIGGER, Event, Example
from nlpkit.tasks.event.exchange import from_annotation, to_annotation

TEXT = "甲公司将股份质押给乙银行"
LINE = Line("", "gold", 7)
PLEDGE = Event(
    "质押", (data.Argument(0, 3, "质押方"), data.Argument(6, 8, TRIGGER), data.Argument(6, 8, "环节", "完成"))
)
UNTRIGGERED = Event("质押", (data.Argument(9, 12, "质权方"),))


@pytest.mark.parametrize("located", [True, False])
def test_events_come_back(located):
    gold = Example(TEXT, (PLEDGE, UNTRIGGERED), LINE, located)
    annotation = to_annotation(gold, scores=True)
    assert annotation.events == (
        Frame("质押", Mark(6, 8), [Argument("质押方", Mark(0, 3)), Argument("环节", Mark(6, 8), "完成")]),
        Frame("质押", None, [Argument("质权方", Mark(9, 12))]),
    )
    assert (annotation.entities, annotation.relations, annotation.regions) == (None, None, ())
    assert from_annotation(annotation) == gold


def test_other_annotations_are_counted():
    annotation = Annotation(
        TEXT,
        LINE,
        entities=(Mark(0, 3, "公司"), Mark(9, 12, "公司")),
        relations=(Link(Mark(0, 3), "x", Mark(9, 12)),),
        events=(Frame("质押", Mark(6, 8), [Argument("质押方", Mark(0, 3))]),),
        regions=(Mark(0, 3), Mark(6, 8), Mark(4, 6)),
    )
    tally = Tally()
    (event,) = from_annotation(annotation, tally).events
    assert [a.role for a in event.arguments] == ["质押方", TRIGGER]
    assert [message.removesuffix(", first in gold:7") for message in tally.messages()] == [
        "dropped: 2 entities (records of events hold no labels of them, and only those that are part of an event)",
        "dropped: 1 region (without a label or an event)",
        "dropped: 1 relation (records of events cannot hold it)",
    ]  # fmt: skip


def test_the_role_of_the_trigger_is_not_that_of_an_argument():
    frame = Frame("质押", None, [Argument(TRIGGER, Mark(6, 8))])
    with pytest.raises(DataError, match='gold:7: an argument has the role "trigger", that of the trigger; rename it'):
        from_annotation(Annotation(TEXT, LINE, events=(frame,)))


def test_a_string_that_differs_from_the_text_is_an_error():
    frame = Frame("质押", Mark(6, 8, None, "抵押"), [])
    with pytest.raises(DataError, match="gold:7: the text at 6:8 is '质押', but the annotation says '抵押'"):
        from_annotation(Annotation(TEXT, LINE, events=(frame,)))
