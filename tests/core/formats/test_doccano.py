"""doccano's JSON Lines: units of offsets, relations, and what is written."""

import orjson
import pytest
from formats_support import ALI, LI, TEXT, doccano

from nlpkit.core.formats.annotation import Annotation, Link, Mark, Sink
from nlpkit.core.formats.doccano import write
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.relation.formats import read_examples as read_relations


@pytest.mark.parametrize(
    ("unit", "text", "label", "entity"),
    [
        (None, "😀李娜", [1, 3], (1, 3)),
        ("codepoint", "😀李娜", [1, 3], (1, 3)),
        ("utf16", "😀李娜", [2, 4], (1, 3)),
        ("grapheme", "👨\u200d👩李娜", [1, 3], (3, 5)),
        ("grapheme", "甲\r\n李娜", [2, 4], (3, 5)),
        ("utf16", "甲\r\n李娜", [3, 5], (3, 5)),
        (None, "甲\r\n李娜", [3, 5], (3, 5)),
    ],
)
def test_offsets_of_doccano(read, unit, text, label, entity):
    example, messages = read({"text": text, "label": [[*label, "人名"]]}, "doccano", offsets=unit)
    assert [(e.start, e.end) for e in example.entities] == [entity]
    assert bool(messages) == (unit is None)
    assert all(message.startswith("check: 1 record with emoji, rare characters or \\r\\n (") for message in messages)


def test_doccano_is_not_checked_where_all_units_agree(read):
    assert read({"text": TEXT + "\n😀", "label": [[0, 2, "人名"]]}, "doccano")[1] == []


@pytest.mark.parametrize("label", [[2, 4], [2, 5]])
def test_an_entity_of_doccano_at_a_line_end_shows_both_readings(read, label):
    text = "甲\r\n李娜来"
    with pytest.raises(DataError) as caught:
        read({"text": text, "label": [[*label, "人名"]]}, "doccano")
    assert repr(text[label[0] : label[1]]) in str(caught.value)
    assert repr(text[label[0] + 1 : label[1] + 1]) in str(caught.value)


def test_offsets_that_a_unit_does_not_have(read):
    with pytest.raises(DataError, match=r":1: offsets 1:3 do not fit a text of 4 UTF-16 code units"):
        read({"text": "😀李娜", "label": [[1, 3, "人名"]]}, "doccano", offsets="utf16")
    for options in ({"offsets": "bytes"}, {"annotator": "1"}):
        with pytest.raises(UsageError):
            read({"text": "😀李娜", "label": []}, "doccano", **options)


def test_relations_of_doccano(read):
    (example, messages) = read(doccano(), "doccano", read_relations)
    assert [(r.subject.start, r.predicate, r.object.start) for r in example.relations] == [(0, "任职", 5)]
    assert messages[0].startswith("dropped: 2 entities (records of relations hold no labels")
    example, messages = read(doccano(), "doccano")
    assert example.entities == (LI, ALI)
    assert messages == ["dropped: 1 relation (records of entities cannot hold it), first in HERE"]
    with pytest.raises(DataError, match=r"gold\.json:1: relation 1: no entity has the id 5"):
        read(doccano(relations=[{"id": 1, "from_id": 4, "to_id": 5, "type": "任职"}]), "doccano")


# --- writing ----------------------------------------------------------------------------------------------------------


def written(text, *marks, relations=None, offsets=None):
    line = Line("", "gold", 7)
    return orjson.loads(write(Annotation(text, line, marks, relations), Sink(offsets=offsets)))


def test_entities_are_labels():
    marks = (Mark(5, 9, "公司"), Mark(0, 2, "人名"), Mark(0, 2, "人名"))
    assert written(TEXT, *marks) == {"text": TEXT, "label": [[0, 2, "人名"], [5, 9, "公司"]]}


def test_relations_are_links_of_numbered_entities():
    links = (Link(Mark(0, 2), "任职", Mark(5, 9)), Link(Mark(0, 2), "做", Mark(2, 4)))
    record = written(TEXT, Mark(5, 9, "公司"), Mark(0, 2, "人名"), relations=links)
    assert [(e["id"], e["start_offset"], e["end_offset"], e["label"]) for e in record["entities"]] == [
        (0, 0, 2, "人名"),
        (1, 2, 4, "unlabelled"),
        (2, 5, 9, "公司"),
    ]
    assert record["relations"] == [
        {"id": 0, "from_id": 0, "to_id": 2, "type": "任职"},
        {"id": 1, "from_id": 0, "to_id": 1, "type": "做"},
    ]


@pytest.mark.parametrize(
    ("unit", "offsets"), [(None, [2, 4]), ("codepoint", [2, 4]), ("utf16", [4, 6]), ("grapheme", [2, 4])]
)
def test_offsets_are_written_in_the_unit_of_the_project(unit, offsets):
    assert written("😀𠮷李娜", Mark(2, 4, "人名"), offsets=unit)["label"] == [[*offsets, "人名"]]


def test_offsets_that_cannot_be_written():
    with pytest.raises(DataError, match=r"gold:7: 'e' \(x\) cuts a character as grapheme clusters count them; doccano"):
        written("e\u0301", Mark(0, 1, "x"), offsets="grapheme")
    with pytest.raises(DataError, match=r"gold:7: the offsets of '\\n李' \(x\), at a line end .* pass --offsets"):
        written("\r\n李娜", Mark(1, 3, "x"))
    assert written("\r\n李娜", Mark(1, 3, "x"), offsets="codepoint")["label"] == [[1, 3, "x"]]
