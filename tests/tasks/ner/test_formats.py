"""Every NER format through `read_examples`: what it gives, and what it says of a bad record."""

import gzip
import json
from pathlib import Path

import pytest
from ner_support import BIO, COMPANY, NAME, TEXT, columns, dumped, summary

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.ner.data import Entity, Example
from nlpkit.tasks.ner.formats import FORMATS, read_examples

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def labelstudio(text=TEXT, labels=("name",), start=0, end=3, said="叶老桂", **task):
    value = {"start": start, "end": end, "labels": list(labels), "text": said}
    result = [{"type": "choices", "value": {"choices": ["x"]}}, {"type": "labels", "value": value}]
    cancelled = {"was_cancelled": True, "result": []}
    return {"id": 7, "data": {"text": text}, "annotations": [cancelled, {"result": result}], **task}


GOOD = {
    "nlpkit": (
        "nlpkit",
        dumped(
            {
                "text": TEXT,
                "id": 1,
                "entities": [
                    {"start": 4, "end": 8, "label": "company", "text": "浙商银行"},
                    {"start": 0, "end": 3, "label": "name", "extra": 1},
                ],
            }
        ),
    ),
    "cluener": (
        "cluener",
        dumped({"text": TEXT, "label": {"company": {"浙商银行": [[4, 7]]}, "name": {"叶老桂": [[0, 2]]}}}),
    ),
    "conll tabs": ("conll", columns(BIO)),
    "conll spaces": ("conll", columns(BIO, separator="  ")),
    "conll underscore": ("conll", columns(BIO.replace("-", "_"))),
    "conll BIOES": ("conll", columns("B-name I-name E-name O B-company I-company I-company E-company")),
    "conll BMES": ("conll", columns("B-name M-name E-name O B-company M-company M-company E-company")),
    "conll middle column": ("conll", columns(BIO, separator="\tNN\t")),
    "conll words": ("conll", "叶\tB-name\n老桂\tI-name\n在\tO\n浙商\tB-company\n银行\tI-company\n"),
    "conll no end": ("conll", columns(BIO).rstrip("\n")),
    "conll dos": ("conll", columns(BIO).replace("\n", "\r\n")),
    "weibo": ("weibo", "".join(f"{c}{i}\t{t}\n" for i, (c, t) in enumerate(zip(TEXT, BIO.split(), strict=True)))),
    "cmeee": ("cmeee", f"{TEXT}|||0    2    name|||4    7    company|||\r\n"),
    "doccano label": ("doccano", dumped({"text": TEXT, "label": [[0, 3, "name"], [4, 8, "company"]]})),
    "doccano labels": ("doccano", dumped({"data": TEXT, "labels": [[0, 3, "name"], [4, 8, "company"]]})),
    "doccano entities": (
        "doccano",
        dumped(
            {
                "text": TEXT,
                "relations": [],
                "entities": [
                    {"id": 1, "start_offset": 0, "end_offset": 3, "label": "name"},
                    {"id": 2, "start_offset": 4, "end_offset": 8, "label": "company"},
                ],
            }
        ),
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_formats_agree(read, case):
    format, content = GOOD[case]
    assert summary(read(content, format)) == [(TEXT, [NAME, COMPANY], 1)]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (dumped([labelstudio(), labelstudio()]), [1, 1]),
        (dumped([labelstudio(), labelstudio()], indent=1), None),
        ("\n" + dumped(labelstudio()) + "\n\n" + dumped(labelstudio(data={"body": TEXT, "n": 3})), [2, 4]),
    ],
    ids=["array", "indented array", "JSON Lines"],
)
def test_labelstudio(read, content, lines):
    lines = lines or [number for number, line in enumerate(content.splitlines(), 1) if line == " {"]
    assert summary(read(content, "labelstudio")) == [(TEXT, [NAME], number) for number in lines]


def test_labelstudio_region_with_two_labels(read):
    [example] = read(dumped([labelstudio(labels=["name", "boss"])]), "labelstudio")
    assert example.entities == (Entity(0, 3, "boss"), Entity(0, 3, "name"))


@pytest.mark.parametrize(
    ("format", "record"),
    [
        ("nlpkit", {"text": 7, "body": TEXT, "entities": [{"start": 0, "end": 3, "label": "name"}]}),
        ("cluener", {"body": TEXT, "label": {"name": {"叶老桂": [[0, 2]]}}}),
        ("doccano", {"text": "甲", "body": TEXT, "label": [[0, 3, "name"]]}),
        ("labelstudio", labelstudio(data={"text": "甲", "body": TEXT})),
    ],
)
def test_the_text_in_another_field(tmp_path, format, record):
    path = tmp_path / "gold"
    path.write_text(dumped(record), encoding="utf-8")
    assert summary(read_examples([str(path)], format, field="body")) == [(TEXT, [NAME], 1)]
    with pytest.raises(DataError, match=r"the record has no text, .*; name the field that holds it with --field"):
        list(read_examples([str(path)], format, field="none"))


@pytest.mark.parametrize("format", ["conll", "weibo", "cmeee"])
def test_formats_without_fields(format):
    with pytest.raises(UsageError, match=f"--field body: the format {format} is not JSON"):
        read_examples([], format, field="body")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "brat"])  # which is two files
def test_an_empty_file_has_no_examples(read, format):
    assert read("\n\n", format) == []


def test_nested_entities_and_duplicates(read):
    example = read("甲乙丙|||0    2    a|||1    1    b|||0    2    a|||0    2    c|||", "cmeee")[0]
    assert example.entities == (Entity(0, 3, "a"), Entity(0, 3, "c"), Entity(1, 2, "b"))


def record(**entity):
    return dumped({"text": "叶老桂在浙商银", "entities": [{"start": 0, "end": 3, "label": "name", **entity}]})


BAD = [
    ("nlpkit", record(start=5, end=9), 1, "offsets 5:9 are outside the text of 7 characters"),
    ("nlpkit", record(start=-1), 1, "offsets -1:3 are outside the text of 7 characters"),
    ("nlpkit", record(start=3), 1, "offsets 3:3 hold no character (the end is exclusive)"),
    ("nlpkit", record(start=True), 1, "offsets must be whole numbers, these are True and 3"),
    ("nlpkit", record(end=3.0), 1, "offsets must be whole numbers, these are 0 and 3.0"),
    ("nlpkit", record(label=""), 1, "the label of 0:3 must be a non-empty string, this is ''"),
    ("nlpkit", record(text="叶老"), 1, "the text at 0:3 is '叶老桂', but the annotation says '叶老'"),
    ("nlpkit", record(score="high"), 1, "the score of 0:3 must be a number, this is 'high'"),
    ("nlpkit", '\n{"text": "x"}', 2, 'no "entities" here'),
    ("nlpkit", '{"entities": []}', 1, "the record has no text, or it is not a string"),
    ("nlpkit", '{"text": "x", "entities": [[0, 1, "a"]]}', 1, "not a record like"),
    ("cluener", '{"id": 0, "text": "x"}', 1, 'no "label" here; a test split without gold cannot be used'),
    ("cluener", '{"text": "甲乙", "label": {"a": {"甲": [[1, 1]]}}}', 1, "the text at 1:2 is '乙', but the annotation"),
    ("cluener", '{"text": "甲乙", "label": {"a": ["甲"]}}', 1, "not a record like"),
    ("cmeee", "甲乙\n", 1, "no ||| here; a test split without gold cannot be used"),
    ("cmeee", "\n甲乙|||0    1    a", 2, "the line does not end with |||"),
    ("cmeee", "甲乙|||0    a|||", 1, "'0    a' is not an annotation"),
    ("cmeee", "甲乙|||1    0    a|||", 1, "offsets 1:1 hold no character"),
    ("cmeee", "甲乙|||0    2    a|||", 1, "offsets 0:3 are outside the text of 2 characters"),
    ("doccano", '{"text": "甲乙"}', 1, 'no list "label", "labels" or "entities" here'),
    ("doccano", '{"text": "甲乙", "label": [[0, 1]]}', 1, "not a record like"),
    ("doccano", '{"text": "甲乙", "label": [[0, 3, "a"]]}', 1, "offsets 0:3 are outside the text of 2 characters"),
    ("labelstudio", dumped([labelstudio(end=2)]), 1, "task 7: the text at 0:2 is '叶老', but the"),
    ("labelstudio", f"[\n{dumped(labelstudio(annotations=[]))}\n]", 2, "task 7: no annotation, or only cancelled ones"),
    ("labelstudio", dumped(labelstudio(data={"a": "甲", "b": "乙"})), 1, "task 7: the record has no text"),
    ("labelstudio", "[\n1]", 2, "not a record like"),
    ("labelstudio", '[{"id": 1},\n{"id": 2]', 2, "not a valid JSON array"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "content", "number", "message"), BAD)
def test_a_bad_record_is_refused(read, tmp_path, format, content, number, message):
    with pytest.raises(DataError) as caught:
        read(content, format)
    assert str(caught.value).startswith(f"{tmp_path / 'gold'}:{number}: {message}")


@pytest.mark.parametrize(
    ("format", "bad", "good"),
    [
        ("nlpkit", record(end=99) + "\n", record()),
        ("conll", "甲\tI-x\n乙\tI-x\n\n", "丙\tB-x\n"),
        ("cmeee", "甲|||\n乙||| |||\n", "丙|||0 0 x|||"),
        ("labelstudio", "[" + dumped(labelstudio(end=2)) + ",", dumped(labelstudio()) + "]"),
    ],
)
def test_skip_leaves_out_the_whole_record(read, format, bad, good):
    on_error = ErrorPolicy("skip")
    examples = read(bad + good, format, on_error)
    assert (examples[-1].entities[0].start, on_error.count) == (0, 1)
    assert len(examples) == (2 if format == "cmeee" else 1)


def test_an_array_that_lost_a_line_is_refused_under_skip_too(read):
    with pytest.raises(DataError, match="gold:1: a JSON array cannot be read without its lines"):
        read(b'[\n{"data": "\xff"},\n{}]', "labelstudio", ErrorPolicy("skip"))


def test_compression_encoding_and_many_files(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(columns(BIO).encode("gb18030")))
    (tmp_path / "b").write_bytes(columns(BIO).encode("gb18030"))
    paths = [str(tmp_path / "a.gz"), str(tmp_path / "b")]
    examples = list(read_examples(paths, "conll", "gb18030"))
    assert [(e.text, e.line.source) for e in examples] == [(TEXT, path) for path in paths]


def test_unknown_format():
    with pytest.raises(UsageError, match="unknown format 'xml'; there are: nlpkit, cluener, doccano, labelst"):
        read_examples([], "xml")


def spans_are_mentions(example: Example, fields: dict):
    found = sorted((example.text[e.start : e.end], e.label) for e in example.entities)
    labels = fields["label"].items()
    return found == sorted((m, label) for label, ms in labels for m, spans in ms.items() for _ in spans)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "format", "examples", "entities", "skipped"),
    [
        ("cluener/dev.json", "cluener", 1343, 3072, []),
        ("ner/cmeee/val_data.txt", "cmeee", 5000, 20300, []),
        ("ner/weibo/weiboNER_2nd_conll.dev", "weibo", 270, 389, []),
        ("ner/cmeee/train_data.txt", "cmeee", 14998, 61788, [6052, 6422]),  # their last offset is before the first
    ],
)
def test_published_data(file, format, examples, entities, skipped):
    if not (DATA / file).exists():
        pytest.skip(f"{DATA / file} is not there")
    errors = []
    found = list(read_examples([str(DATA / file)], format, on_error=ErrorPolicy("skip", errors.append)))
    assert [error.line for error in errors] == skipped
    assert (len(found), sum(len(example.entities) for example in found)) == (examples, entities)
    if format == "cluener":
        assert all(spans_are_mentions(example, json.loads(example.line.text)) for example in found)
