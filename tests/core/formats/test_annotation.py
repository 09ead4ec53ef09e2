"""Annotations of all kinds, the counts of what is dropped, and the options of readers."""

import pytest

from nlpkit.core.formats.annotation import (
    Annotation,
    Argument,
    Format,
    Frame,
    Link,
    Mark,
    Place,
    Reader,
    Source,
    Tally,
    check_options,
    check_unit,
    json_lines,
    loose_regions,
)
from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError, UsageError

LINE = Line("", "a.jsonl", 7)
TEXT = "李娜任职于阿里巴巴"
LI, WORKS, ALI, IN = Mark(0, 2), Mark(2, 4), Mark(5, 9), Mark(4, 5)


def test_a_tally_counts_each_kind_and_names_its_first_line():
    tally = Tally()
    tally.drop("relation", "conll cannot hold {them}", LINE)
    tally.drop("relation", "conll cannot hold {them}", Line("", "b.jsonl", 1), count=2)
    tally.drop("entity", "conll cannot hold {them}", Line("", "b.jsonl", 2))
    tally.drop("annotation by further annotators", "only the first is taken", LINE, count=2)
    tally.drop("event", "never", LINE, count=0)
    tally.repair("region", "offsets that count words", Place("", "c.json", 3, name="task 5: "))
    tally.warn("record", "look at {them}", LINE)
    assert tally.messages() == [
        "dropped: 3 relations (conll cannot hold them), first in a.jsonl:7",
        "dropped: 1 entity (conll cannot hold it), first in b.jsonl:2",
        "dropped: 2 annotations by further annotators (only the first is taken), first in a.jsonl:7",
        "repaired: 1 region (offsets that count words), first in c.json:3: task 5",
        "check: 1 record (look at it), first in a.jsonl:7",
    ]


def test_an_error_names_the_part_of_the_line():
    assert str(Place("", "c.json", 3, name="task 5: ").error("no text")) == "c.json:3: task 5: no text"


def test_spans_scores_and_loose_regions():
    annotation = Annotation(
        TEXT,
        LINE,
        entities=(Mark(0, 2, "人名", score=0.5), Mark(5, 9, "公司")),
        relations=(Link(LI, "任职", ALI, 0.9),),
        events=(Frame("任职", WORKS, [Argument("谁", LI)]), Frame("任职", None, [Argument("里", ALI)])),
        regions=(LI, IN, WORKS, Mark(8, 9)),
    )
    assert list(annotation.spans()) == [LI, ALI, WORKS, LI, ALI]
    assert annotation.scores() == 2
    assert loose_regions(annotation) == 2  # 于 and 巴 are in no relation and no event
    bare = Annotation(TEXT, LINE)
    assert (list(bare.spans()), bare.scores(), loose_regions(bare)) == ([], 0, 0)


def parse(line, fields, field):
    if "bad" in fields:
        raise line.error("a bad record")
    return line.number, fields, field


def test_json_lines_gives_line_object_and_field(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "中"}\n\n{"bad": 1}\n{}\n', encoding="utf-8")
    errors = ErrorPolicy("skip")
    read = Reader({"mine": json_lines(parse)})([str(path)], "mine", on_error=errors, field="body")
    assert (list(read), errors.count) == ([(1, {"a": "中"}, "body"), (4, {}, "body")], 1)
    with pytest.raises(DataError, match=r"a\.jsonl:3: a bad record"):
        list(Reader({"mine": json_lines(parse)})([str(path)], "mine"))


def test_an_unknown_format_is_an_error():
    formats = {name: Format(read=lambda source: iter(())) for name in ("one", "two")}
    with pytest.raises(UsageError, match="unknown format 'three'; there are: one, two"):
        Reader(formats)([], "three")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"field": "body"}, "--field body: the format cmeee is not JSON and has no fields; leave it out"),
        (
            {"annotator": "17"},
            "--annotator 17: the format cmeee does not name annotators; only labelstudio does; leave it out",
        ),
        (
            {"offsets": "utf16"},
            "--offsets utf16: the offsets of the format cmeee are known; only those of doccano may differ; "
            "leave it out",
        ),
    ],
)
def test_an_option_that_a_format_lacks_is_an_error(option, message):
    with pytest.raises(UsageError) as caught:
        check_options("cmeee", frozenset(), Source([], **option))
    assert str(caught.value) == message
    check_options("cmeee", frozenset(option), Source([], **option))


@pytest.mark.parametrize("annotator", ["17", "b@example.org", "#1", "#999999", "王芳"])
def test_annotators(annotator):
    check_options("labelstudio", frozenset({"annotator"}), Source([], annotator=annotator))


@pytest.mark.parametrize("annotator", ["", "#", "#0", "#01", "#x", "#1234567", "##1"])
def test_annotators_that_are_none(annotator):
    with pytest.raises(UsageError, match=f"--annotator {annotator}: an id, an e-mail address, or #2 for the second"):
        check_options("labelstudio", frozenset({"annotator"}), Source([], annotator=annotator))


def test_units_of_offsets():
    for unit in (None, "codepoint", "utf16", "grapheme"):
        check_unit(unit)
    with pytest.raises(UsageError, match="--offsets crlf: one of codepoint, utf16, grapheme"):
        check_unit("crlf")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label": "stars"}, "--label stars: the format x has no named fields; leave it out"),
        ({"pair": "b"}, "--pair b: the format x has no named fields; leave it out"),
        ({"field": "t", "pair": "b"}, "--field t: the format x is not JSON and has no fields; leave it out"),
    ],
)
def test_options_of_named_fields(given, message):
    source = Source([], **given)
    with pytest.raises(UsageError) as caught:
        check_options("x", frozenset(), source)
    assert str(caught.value) == message
    assert check_options("x", frozenset({"field", "label", "pair"}), source) is None
