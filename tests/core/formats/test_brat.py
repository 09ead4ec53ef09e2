"""brat's standoff format: spans, events and attributes, folders, bad lines, and what is written."""

import pytest
from formats_support import ALI, EVENT, LI, LINES, TEXT

from nlpkit.core.formats.annotation import Annotation, Argument, Frame, Link, Mark, Sink, Tally
from nlpkit.core.formats.brat import write_folder
from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError, OutputError, UsageError
from nlpkit.tasks.event.formats import read_examples as read_events
from nlpkit.tasks.ner.formats import read_examples
from nlpkit.tasks.relation.formats import read_examples as read_relations


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


def test_a_file_of_brat_that_is_too_long(brat):
    with pytest.raises(DataError, match=r"d\.txt: a file of more than 10 bytes; raise --max-line"):
        brat(TEXT, on_error=ErrorPolicy(max_line=10))


def test_files_that_cannot_be_read(brat, tmp_path):
    with pytest.raises(DataError, match=r"d\.txt: not valid gb18030 at byte 3; try another --encoding"):
        brat("甲", encoding="gb18030")
    with pytest.raises(UsageError, match="unknown encoding 'klingon'; try utf-8 or gb18030"):
        brat(TEXT, encoding="klingon")
    (tmp_path / "e.ann").mkdir()
    (tmp_path / "e.txt").touch()
    with pytest.raises(DataError, match=r"e\.ann: cannot be read \(Is a directory\)"):
        list(read_examples([str(tmp_path / "e.txt")], "brat"))


# --- writing ----------------------------------------------------------------------------------------------------------

LINE = Line("", "gold", 7)
WORKS = Frame(
    "任职", Mark(2, 4), [Argument("谁", Mark(0, 2)), Argument("谁", Mark(5, 9)), Argument("级", Mark(2, 4), "高")]
)


def written(folder, *annotations):
    """The content of each file by name, and the messages."""
    tally = Tally()
    write_folder(annotations, Sink(tally=tally), folder)
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}, tally.messages()


def test_a_document_is_two_files_and_labels_are_in_the_configuration(tmp_path):
    marks = (Mark(0, 2, "人名"),)
    links = (Link(Mark(0, 2), "任职", Mark(5, 9)),)
    files, messages = written(tmp_path, Annotation(TEXT, LINE, marks, links, (WORKS,)), Annotation("", LINE, ()))
    assert messages == []
    assert (files["0000001.txt"], files["0000002.txt"], files["0000002.ann"]) == (TEXT, "", "")
    assert files["0000001.ann"].split("\n") == [
        "T1\t人名 0 2\t李娜",
        "T2\tunlabelled 5 9\t阿里巴巴",
        "R1\t任职 Arg1:T1 Arg2:T2",
        "T3\t任职 2 4\t任职",
        "E1\t任职:T3 谁:T1 谁2:T2",
        "A1\t级 E1 高",
        "",
    ]
    assert files["annotation.conf"].split("\n") == [
        *("[entities]", "人名", "unlabelled", ""),
        *("[relations]", "任职\tArg1:<ENTITY>, Arg2:<ENTITY>", ""),
        *("[events]", "任职\t谁*:<ENTITY>", ""),
        *("[attributes]", "级\tArg:<EVENT>, Value:高", ""),
    ]


def test_a_span_over_a_line_end_has_a_gap_and_events_without_a_trigger_are_counted(tmp_path):
    event = Frame("x", None, [Argument("谁", Mark(0, 2))])
    files, messages = written(tmp_path, Annotation("李\r\n娜", LINE, (Mark(0, 4, "人名"),), None, (event,)))
    assert files["0000001.ann"] == "T1\t人名 0 1;3 4\t李 娜\n"
    assert messages == ["dropped: 1 event (it has no trigger, without which brat has none), first in gold:7"]


@pytest.mark.parametrize(
    ("text", "parts", "message"),
    [
        (
            TEXT,
            {"entities": (Mark(0, 2, "人 名"),)},
            "the label '人 名' has white space, which brat cannot hold; rename",
        ),
        ("李\n", {"entities": (Mark(0, 2, "x"),)}, r"'李\n' (x) begins or ends with a line end; brat cannot hold it"),
        (TEXT, {"relations": (Link(Mark(0, 2), "a b", Mark(5, 9)),)}, "the label 'a b' has white space"),
        (
            TEXT,
            {"events": (Frame("a:b", Mark(2, 4), []),)},
            "the type or role 'a:b' has a colon, which brat cannot hold",
        ),
        (
            TEXT,
            {"events": (Frame("x", Mark(2, 4), [Argument("谁:", Mark(0, 2))]),)},
            "the type or role '谁:' has a colon",
        ),
        (
            TEXT,
            {"events": (Frame("x", Mark(2, 4), [Argument("谁", Mark(0, 2)), Argument("谁2", Mark(5, 9))]),)},
            "the role '谁2' looks like a numbered one, which brat cannot hold; rename it",
        ),
        (
            TEXT,
            {"events": (Frame("x", Mark(2, 4), [Argument("级", Mark(0, 2), "高")]),)},
            "the value of 级 is not at the trigger, which brat cannot hold",
        ),
    ],
)
def test_what_brat_cannot_hold_is_one_line(tmp_path, text, parts, message):
    with pytest.raises(DataError) as caught:
        written(tmp_path, Annotation(text, LINE, **parts))
    assert str(caught.value).startswith(f"gold:7: {message}")
    errors = ErrorPolicy("skip")
    write_folder([Annotation(text, LINE, **parts), Annotation("甲", LINE, ())], Sink(errors), tmp_path)
    assert errors.count == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000001.ann", "0000001.txt", "annotation.conf"]


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="none: cannot be written"):
        written(tmp_path / "none", Annotation(TEXT, LINE, ()))
