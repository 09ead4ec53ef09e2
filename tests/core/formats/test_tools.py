"""Annotation tools' formats: offsets, what is dropped or repaired, and malformed records, through the readers."""

import copy
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.core.formats.annotation import Annotation, Mark, Sink, Source, Tally
from nlpkit.core.formats.offsets import boundaries, recount, span
from nlpkit.core.formats.tools import TOOLS
from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError, NlpkitError, UsageError
from nlpkit.tasks.event.formats import read_examples as read_events
from nlpkit.tasks.ner.data import Entity
from nlpkit.tasks.ner.formats import read_examples
from nlpkit.tasks.relation.formats import read_examples as read_relations

TEXT = "李娜任职于阿里巴巴"
LI, ALI = Entity(0, 2, "人名"), Entity(5, 9, "公司")


def region(start, end, *labels, text=None, kind="labels", id="a", **more):
    value = {"start": start, "end": end, kind: list(labels), **more}
    return {"id": id, "type": kind, "value": value if text is None else {**value, "text": text}}


def link(one, other, *labels, **more):
    return {"type": "relation", "from_id": one, "to_id": other, "labels": list(labels), **more}


def task(*results, text=TEXT, **more):
    return {"id": 3, "data": {"text": text}, "annotations": [{"id": 1, "result": list(results)}], **more}


@pytest.fixture
def read(tmp_path):
    """The examples of one record, and the messages about it."""

    def run(record, format="labelstudio", reader=read_examples, **options):
        path = tmp_path / "gold.json"
        path.write_bytes(record if isinstance(record, bytes) else orjson.dumps(record))
        tally = Tally()
        (example,) = reader([str(path)], format, tally=tally, **options)
        return example, [message.replace(f"{path}:1", "HERE") for message in tally.messages()]

    return run


@pytest.fixture
def brat(tmp_path):
    """The examples of a text with its lines of standoff, and the messages about them."""

    def run(text, *lines, reader=read_examples, **options):
        (tmp_path / "d.txt").write_bytes(text.encode())
        (tmp_path / "d.ann").write_bytes("".join(f"{line}\n" for line in lines).encode())
        tally = Tally()
        examples = list(reader([str(tmp_path / "d.ann")], "brat", tally=tally, **options))
        return examples[0], [message.replace(str(tmp_path / "d.ann"), "HERE") for message in tally.messages()]

    return run


# --- offsets ----------------------------------------------------------------------------------------------------------


@given(st.text(st.sampled_from("中a\r\n😀𠮷e\u0301 👨\u200d👩"), max_size=12))
def test_boundaries_are_those_of_other_encodings(text):
    utf16 = boundaries(text, "utf16")
    assert len(utf16) == len(text.encode("utf-16-le")) // 2 + 1
    for start in range(len(utf16)):
        for end in range(start + 1, len(utf16)):
            place = span(utf16, start, end)
            if place is not None:
                units = text.encode("utf-16-le")[2 * start : 2 * end]
                assert text[place[0] : place[1]] == units.decode("utf-16-le")
    assert len(boundaries(text, "crlf")) == len(text.replace("\r\n", "\n")) + 1
    assert len(boundaries(text, "collapsed")) == len(" ".join(f"|{text}|".split())) - 2 + 1 or text != text.strip()
    assert boundaries(text, "codepoint") == list(range(len(text) + 1))


def test_what_does_not_fit_or_fits_twice_is_not_guessed():
    assert recount("𠮷甲乙", [(2, 3, "甲")], ("codepoint", "utf16")) == ("utf16", [(1, 2)])
    assert recount("𠮷甲乙", [(1, 2, "甲")], ("codepoint", "utf16")) == ("codepoint", [(1, 2)])
    assert recount("𠮷甲乙", [(1, 2, "丙")], ("codepoint", "utf16")) is None
    assert recount("𠮷\r\n甲甲甲", [(5, 6, "乙")], ("codepoint", "utf16", "crlf")) is None
    assert recount("𠮷\r\n乙甲甲", [(4, 5, "乙"), (5, 6, "甲")], ("codepoint", "utf16")) == ("utf16", [(3, 4), (4, 5)])


@pytest.mark.parametrize(
    ("text", "results", "entities", "said"),
    [
        ("😀李娜", [region(1, 3, "人名", text="李娜")], [(1, 3)], None),
        ("😀李娜", [region(2, 4, "人名", text="李娜")], [(1, 3)], "repaired: 1 region (offsets that count UTF-16 code"),
        ("甲\r\n李娜", [region(3, 5, "人名", text="李娜")], [(3, 5)], None),
        (
            "甲\r\n李娜",
            [region(2, 4, "人名", text="李娜")],
            [(3, 5)],
            "repaired: 1 region (offsets that count characters",
        ),
        ("𠮷\r\n李娜", [region(3, 5, "人名", text="李娜")], [(3, 5)], None),
        (
            "𠮷𠮷\r\n李娜",
            [region(5, 7, "人名", text="李娜")],
            [(4, 6)],
            "repaired: 1 region (offsets that count UTF-16",
        ),
        ("甲  李\t\t娜", [region(3, 7, "人名", text="李 娜")], [(3, 7)], "repaired: 1 region (its string has other"),
        (
            "甲   李娜",
            [region(2, 4, "人名", text="李娜")],
            [(4, 6)],
            "repaired: 1 region (offsets that count characters, a",
        ),
        ("李\n娜", [region(0, 3, "人名", text="李\\n娜")], [(0, 3)], "repaired: 1 region (its string has other white"),
        ("甲\r\n李娜", [region(2, 4, "人名")], [(2, 4)], None),  # nothing to check it against
    ],
)
def test_offsets_of_label_studio(read, text, results, entities, said):
    example, messages = read([task(*results, text=text)])
    assert [(e.start, e.end) for e in example.entities] == entities
    assert example.text == text
    assert [message[: len(said or "")] for message in messages] == ([said] if said else [])


@pytest.mark.parametrize("text", ["李四", "李 ", "娜任"])
def test_a_region_with_another_string_shows_both(read, text):
    with pytest.raises(DataError, match=f"task 3: the text at 0:2 is '李娜', but the annotation says '{text}'"):
        read([task(region(0, 2, "人名", text=text))])


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


# --- Label Studio -----------------------------------------------------------------------------------------------------


def test_regions_of_every_kind_that_marks_text(read):
    offsets = {"startOffset": 0, "endOffset": 2, "globalOffsets": {"start": 0, "end": 2}}
    html = region("/p[1]/text()[1]", "/p[1]/text()[1]", "人名", kind="hypertextlabels", text="李娜", **offsets)
    bold = {**offsets, "globalOffsets": {"start": 5, "end": 9}}
    more = region("/b", "/b", "公司", kind="hypertextlabels", text="阿里巴巴", **bold)
    example, messages = read([task(html, more, text="<p>李娜任职于<b>阿里</b>巴巴&amp;</p><script>x</script>")])
    assert (example.text, example.entities) == (f"{TEXT}&", (LI, ALI))
    assert messages == [
        "repaired: 1 text (read without its HTML tags; offsets are those of the visible text), first in HERE: task 3"
    ]
    assert read([task(region(0, 2, "人名", kind="namedlabels"))])[0].entities == (LI,)


def test_a_dialogue(read):
    turns = [{"author": "甲", "text": "你好"}, {"author": "乙", "text": TEXT}]
    first = region("1", "1", "人名", kind="paragraphlabels", text="李娜", startOffset=0, endOffset=2)
    example, _ = read([task(first, data={"dialogue": turns})])
    assert (example.text, example.entities) == (f"你好\n{TEXT}", (Entity(3, 5, "人名"),))


def test_what_does_not_mark_text_is_counted(read):
    box = {"id": "b", "type": "rectanglelabels", "value": {"x": 1, "y": 2, "rectanglelabels": ["车"]}}
    choice = {"id": "c", "type": "choices", "value": {"choices": ["好"]}}
    results = [region(0, 2, "人名"), box, choice, choice, link("a", "b", "画"), region(2, 4, id="e")]
    example, messages = read([task(*results)])
    assert example.entities == (LI,)
    assert [message.split(", first in ")[0] for message in messages] == [
        "dropped: 1 result of type rectanglelabels (it does not mark text)",
        "dropped: 2 results of type choices (it does not mark text)",
        "dropped: 1 relation (it has an end that does not mark text)",
        "dropped: 1 region (without a label)",
    ]
    assert all(message.endswith(", first in HERE: task 3") for message in messages)


def test_relations_of_label_studio(read):
    ends = [region(0, 2, "人名"), region(5, 9, id="b"), region(2, 4, "x", id="free"), region(3, 4, id="none")]
    links = [
        link("a", "b", "任职", "在", direction="right"),
        link("a", "b", "雇", direction="left"),
        link("a", "b", "认识", direction="bi"),
        link("a", "b"),
    ]
    example, messages = read([task(*ends, *links)], reader=read_relations)
    found = [(r.subject.start, r.predicate, r.object.start) for r in example.relations]
    assert found == sorted([(0, "任职", 5), (0, "在", 5), (5, "雇", 0), (0, "认识", 5), (5, "认识", 0)])
    assert [message.split(" (")[0] for message in messages] == [
        "dropped: 1 relation",
        "dropped: 2 entities",
        "dropped: 1 region",
    ]
    example, messages = read([task(*ends, *links)])
    assert [message.split(" (")[0] for message in messages[1:]] == ["dropped: 2 regions", "dropped: 5 relations"]
    with pytest.raises(DataError, match=r"task 3: a relation with a region 'z' that the task does not have"):
        read([task(region(0, 2, "人名"), link("a", "z", "任职"))])


def several():
    annotations = [
        {"completed_by": 17, "result": [region(0, 2, "人名")]},
        {"completed_by": {"id": 23, "email": "b@example.org"}, "result": [region(5, 9, "公司")]},
        {"completed_by": 23, "was_cancelled": True, "result": []},
    ]
    return task(annotations=annotations)


@pytest.mark.parametrize(
    ("annotator", "entities", "why"),
    [
        (None, (LI,), "the first of each task is taken; pass --annotator for another"),
        ("17", (LI,), "only that of 17 is taken"),
        ("23", (ALI,), "only that of 23 is taken"),
        ("b@example.org", (ALI,), "only that of b@example.org is taken"),
        ("#2", (ALI,), "only that of #2 is taken"),
    ],
)
def test_several_annotators(read, annotator, entities, why):
    example, messages = read([several()], annotator=annotator)
    assert example.entities == entities
    assert messages == [
        "dropped: 1 annotation (cancelled by the annotator), first in HERE: task 3",
        f"dropped: 1 annotation by further annotators ({why}), first in HERE: task 3",
    ]


def test_tasks_without_the_annotator_are_counted(read, tmp_path):
    _, messages = read([several(), task(region(0, 2, "人名"))], annotator="23")
    assert "dropped: 1 task (no annotation by 23), first in HERE: task 3" in messages
    for annotator in ("2", "#3"):
        with pytest.raises(DataError, match=f"no task has an annotation by {annotator}; there are those of: 17, 23"):
            read([several()], annotator=annotator)
    for wrong in ("", "#0", "#x"):
        with pytest.raises(UsageError, match="an id, an e-mail address, or #2"):
            read([several()], annotator=wrong)


def test_predictions_are_read_where_a_task_has_no_annotations(read):
    imported = {
        "data": {"text": TEXT},
        "predictions": [{"result": [{**region(0, 2, "人名"), "score": 0.5}]}, {"result": []}],
    }
    example, messages = read([imported])
    assert [e.score for e in example.entities] == [0.5]
    assert messages[0].startswith("dropped: 1 prediction (only the first of a task is taken)")
    with pytest.raises(DataError, match="no annotation, or only cancelled ones"):
        read([{**imported, "annotations": []}])


# --- doccano ----------------------------------------------------------------------------------------------------------


def doccano(**changes):
    entities = [
        {"id": 4, "label": "人名", "start_offset": 0, "end_offset": 2},
        {"id": 9, "label": "公司", "start_offset": 5, "end_offset": 9},
    ]
    return {
        "text": TEXT,
        "entities": entities,
        "relations": [{"id": 1, "from_id": 4, "to_id": 9, "type": "任职"}],
        **changes,
    }


def test_relations_of_doccano(read):
    (example, messages) = read(doccano(), "doccano", read_relations)
    assert [(r.subject.start, r.predicate, r.object.start) for r in example.relations] == [(0, "任职", 5)]
    assert messages[0].startswith("dropped: 2 entities (records of relations hold no labels")
    example, messages = read(doccano(), "doccano")
    assert example.entities == (LI, ALI)
    assert messages == ["dropped: 1 relation (records of entities cannot hold it), first in HERE"]
    with pytest.raises(DataError, match=r"gold\.json:1: relation 1: no entity has the id 5"):
        read(doccano(relations=[{"id": 1, "from_id": 4, "to_id": 5, "type": "任职"}]), "doccano")


# --- brat -------------------------------------------------------------------------------------------------------------

LINES = ("T1\t人名 0 2\t李娜", "T2\t公司 5 9\t阿里巴巴", "R1\t任职 Arg1:T1 Arg2:T2", "T3\t任职 2 4\t任职")
EVENT = ("E1\t任职:T3 谁:T1 谁2:T2 里2:T2", "A1\t方式 E1 全职")


def test_entities_relations_and_events_of_brat(brat):
    example, messages = brat(TEXT, *LINES, *EVENT)
    assert example.entities == (LI, ALI)  # and not the trigger
    assert [message.split(" (")[0] for message in messages] == ["dropped: 1 relation", "dropped: 1 event"]
    example, _ = brat(TEXT, *LINES, *EVENT, reader=read_relations)
    assert [(r.subject.start, r.predicate, r.object.start) for r in example.relations] == [(0, "任职", 5)]
    example, _ = brat(TEXT, *LINES, *EVENT, reader=read_events)
    (event,) = example.events
    assert event.type == "任职"
    assert {(a.role, a.start, a.value) for a in event.arguments} == {
        ("trigger", 2, ""),
        ("谁", 0, ""),
        ("谁", 5, ""),
        ("里2", 5, ""),
        ("方式", 2, "全职"),
    }


def test_what_brat_has_and_nlpkit_lacks_is_counted(brat):
    lines = (
        *LINES,
        *EVENT,
        "A2\tNegation E1",
        "A3\tSure T1 high",
        "N1\tReference T1 Wikipedia:1\tLi Na",
        "#1\tAnnotatorNotes T1\tnot sure",
        "*\tEquiv T1 T2",
        "E2\t任职:T3 谁:E1",
        "R2\t因果 Arg1:E1 Arg2:T1",
    )
    _, messages = brat(TEXT, *lines, reader=read_events)
    assert [message.split(" (")[0] for message in messages] == [
        "dropped: 1 normalisation",
        "dropped: 1 note",
        "dropped: 1 equivalence",
        "dropped: 1 relation",
        "dropped: 2 attributes",
        "dropped: 1 argument",
        "dropped: 2 entities",
        "dropped: 1 relation",
    ]


@pytest.mark.parametrize(
    ("text", "line", "place", "said"),
    [
        ("李娜\n任职", "T1\tx 0 2;3 5\t李娜 任职", (0, 5), None),
        ("李娜\n任职", "T1\tx 0 5\t李娜 任职", (0, 5), None),
        ("李娜 任职", "T1\tx 0 2;3 5\t李娜 任职", (0, 5), "repaired: 1 span (a gap of spaces is closed)"),
        ("😀李娜", "T1\tx 1 3\t李娜", (1, 3), None),
        ("甲\r\n李娜", "T1\tx 3 5\t李娜", (3, 5), None),
        ("甲\r\n李娜", "T1\tx 2 4\t李娜", (3, 5), "repaired: 1 span (offsets that count characters, a line end"),
        ("甲乙", "T1\tx 0 1", (0, 1), None),
    ],
)
def test_offsets_of_brat(brat, text, line, place, said):
    example, messages = brat(text, line)
    assert [(e.start, e.end) for e in example.entities] == [place]
    assert [message[: len(said or "")] for message in messages] == ([said] if said else [])


def test_folders_of_brat(tmp_path):
    inner = tmp_path / "all" / "inner"
    inner.mkdir(parents=True)
    for name, folder in (("b", inner), ("a", inner.parent), ("c", inner.parent)):
        (folder / f"{name}.txt").write_text(name, encoding="utf-8")
        if name != "c":
            (folder / f"{name}.ann").write_text("", encoding="utf-8")
    tally = Tally()
    assert [e.text for e in read_examples([str(tmp_path / "all")], "brat", tally=tally)] == ["a", "b"]
    assert tally.messages() == [f"dropped: 1 text (there is no .ann file for it), first in {tmp_path / 'all'}:1"]
    assert [e.text for e in read_examples([str(inner / "b.txt"), str(inner / "b")], "brat")] == ["b", "b"]
    with pytest.raises(DataError, match=r"no such file; brat needs a \.txt and an \.ann file"):
        list(read_examples([str(tmp_path / "all" / "c.txt")], "brat"))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"none: no \.ann files in this folder"):
        list(read_examples([str(tmp_path / "none")], "brat"))
    with pytest.raises(UsageError, match="brat is a pair of files"):
        list(read_examples(["-"], "brat"))


BAD_BRAT = [
    ("T1\tx 0 5;7 9\t李娜任职于巴巴", "T1 has a gap (0 5;7 9: '李娜任职于巴巴'), which nlpkit cannot hold"),
    ("T1\tx 0 2;2 4\t李娜 任职", "T1 has a gap (0 2;2 4"),
    ("T1\tx 0 2\t李四", "the text at 0:2 is '李娜', but the annotation says '李四'"),
    ("T1\tx 8 12\t巴", "offsets 8:12 are outside the text of 9 characters"),
    ("T1\tx 2 2\t", "offsets 2:2 hold no character"),
    ("T1\tx 0\t李", "not a line of brat's standoff format"),
    ("T1 x 0 2 李娜", "not a line of brat's standoff format"),
    ("T1\tx 0 2\t李娜\nT1\ty 0 2\t李娜", "T1 is there twice"),
    ("R1\tx Arg1:T1 Arg2:T2", "there is no T1"),
    ("R1\tx Arg1:T1", "not a line of brat's standoff format"),
    ("E1\tx:T8 谁:T1", "there is no T8"),
    ("E1\tx 谁:T1", "E1 has no trigger"),
    ("T1\tx 0 2\t李娜\nE1\ty:T1", "E1 is of the type y, but its trigger T1 of x"),
    ("T1\tx 0 " + "9" * 5000 + "\t李", "not a line of brat's standoff format"),
    ("???", "not a line of brat's standoff format"),
]


@pytest.mark.parametrize(("lines", "message"), BAD_BRAT)
def test_a_bad_line_of_brat_is_named(brat, tmp_path, lines, message):
    with pytest.raises(DataError) as caught:
        brat(TEXT, *lines.split("\n"))
    number = lines.count("\n") + 1
    assert str(caught.value).startswith(f"{tmp_path / 'd.ann'}:{number}: {message}")


# --- malformed records ------------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 12), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["id", "text"]), inner)),
    max_leaves=4,
)
PREDICTED = {"data": {"text": TEXT}, "predictions": [{"result": [region(0, 2, "人名")]}]}
DIALOGUE = region("0", "0", "人名", kind="paragraphlabels", text="李娜", startOffset=0, endOffset=2)
HTML = region("/p", "/p", "人名", kind="hypertextlabels", text="李娜", globalOffsets={"start": 0, "end": 2})
WHOLE = {
    "labelstudio": [
        task(
            region(0, 2, "人名", text="李娜"), region(5, 9, "公司", id="b"), link("a", "b", "任职", direction="right")
        ),
        several(),
        PREDICTED,
        task(DIALOGUE, data={"dialogue": [{"text": TEXT}]}),
        task(HTML, text=f"<p>{TEXT}</p>"),
    ],
    "doccano": [doccano(), {"text": TEXT, "label": [[0, 2, "人名"]]}, {"data": TEXT, "labels": [[0, 2, "人名"]]}],
}


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def spoilt(value, path, junk, remove):
    value = copy.deepcopy(value)
    if not path:
        return junk
    *head, last = path
    inner = value
    for key in head:
        inner = inner[key]
    if remove:
        del inner[last]
    else:
        inner[last] = junk
    return value


def error_of(action):
    """The message of the only kind of error that an action may have; None where it has none."""
    try:
        action()
    except NlpkitError as error:
        message = str(error)
        return message if "\n" not in message else "several lines"
    return None


@settings(max_examples=150)
@given(st.data())
def test_a_record_that_is_spoilt_anywhere_is_one_line_with_its_place(tmp_path_factory, data):
    format = data.draw(st.sampled_from(sorted(WHOLE)))
    record = data.draw(st.sampled_from(WHOLE[format]))
    bad = spoilt(record, data.draw(st.sampled_from(list(places(record)))), data.draw(JUNK), data.draw(st.booleans()))
    path = tmp_path_factory.getbasetemp() / "spoilt.jsonl"
    path.write_text(json.dumps(bad) + "\n", encoding="utf-8")
    for reader in (read_examples, read_relations):
        for annotator in (None, "17") if format == "labelstudio" else (None,):
            found = error_of(lambda read=reader, by=annotator: list(read([str(path)], format, annotator=by)))
            assert found is None or found.startswith(f"{path}:1: ") or "no task has an annotation" in found


@settings(max_examples=150)
@given(st.lists(st.sampled_from([*LINES, *EVENT, "A2\tX T1", "#1\tN T1\tx"]), max_size=8), st.data())
def test_standoff_that_is_spoilt_anywhere_is_one_line_with_its_place(tmp_path_factory, lines, data):
    content = "\n".join(lines)
    if content:
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + data.draw(st.text(max_size=2)) + content[at + data.draw(st.integers(0, 3)) :]
    folder = tmp_path_factory.getbasetemp()
    (folder / "s.txt").write_text(TEXT, encoding="utf-8")
    (folder / "s.ann").write_bytes(content.encode("utf-8", "replace"))
    errors = ErrorPolicy("skip")
    for reader in (read_examples, read_relations, read_events):
        found = error_of(lambda read=reader: list(read([str(folder / "s.ann")], "brat")))
        assert found is None or found.startswith(f"{folder / 's.ann'}:")
        list(reader([str(folder / "s.ann")], "brat", on_error=errors))


def test_a_file_of_brat_that_is_too_long(brat):
    with pytest.raises(DataError, match=r"d\.txt: a file of more than 10 bytes; raise --max-line"):
        brat(TEXT, on_error=ErrorPolicy(max_line=10))


@pytest.mark.parametrize("format", ["doccano", "brat"])
def test_the_label_of_spans_without_one_cannot_be_that_of_an_entity(tmp_path, format):
    annotation = Annotation(TEXT, Line("", "gold", 7), entities=(Mark(0, 2, "unlabelled"),))
    tool = TOOLS[format]
    action = (lambda: tool.write_folder([annotation], Sink(), tmp_path)) if format == "brat" else None
    action = action or (lambda: tool.write(annotation, Sink()))
    with pytest.raises(DataError, match="gold:7: the label unlabelled is kept for spans without a label; rename it"):
        action()


def test_every_tool_can_be_read_and_written():
    assert all(format.write or format.write_folder for format in TOOLS.values())
    assert all(callable(format.read) and format.holds for format in TOOLS.values())
    assert list(TOOLS["doccano"].read(Source([]))) == []
