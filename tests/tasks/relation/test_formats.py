"""Every relation format through `read_examples`: what it gives, and what it says of a bad record."""

import json

import pytest

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.relation.data import Relation, Span, predicates_of, to_record
from nlpkit.tasks.relation.formats import FORMATS, read_examples, read_schema

TEXT = "《三体》的作者是刘慈欣"
AUTHOR = Relation(Span(1, 3), "作者", Span(8, 11))
NLPKIT = {
    "text": TEXT,
    "relations": [
        {
            "subject": {"start": 1, "end": 3, "text": "三体"},
            "predicate": "作者",
            "object": {"start": 8, "end": 11},
            "score": 0.5,
        }
    ],
}
DUIE = {
    "text": TEXT,
    "spo_list": [
        {
            "subject": "三体",
            "subject_type": "图书作品",
            "predicate": "作者",
            "object": {"@value": "刘慈欣"},
            "object_type": {"@value": "人物"},
        }
    ],
}


@pytest.fixture
def read(tmp_path):
    def read(record, format="nlpkit", on_error=None, field=None):
        path = tmp_path / "gold.jsonl"
        content = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
        path.write_text(content + "\n", encoding="utf-8")
        return list(read_examples([str(path)], format, on_error=on_error, field=field))

    return read


def triple(**fields):
    return {"text": TEXT, "spo_list": [{**DUIE["spo_list"][0], **fields}]}


@pytest.mark.parametrize(
    ("format", "record"),
    [("nlpkit", NLPKIT), ("duie", DUIE), ("cmeie", DUIE), ("duie", triple(object="刘慈欣"))],
)
def test_formats(read, format, record):
    (example,) = read(record, format)
    assert (example.text, example.relations) == (TEXT, (AUTHOR,))
    assert read(to_record(example.text, example.relations))[0].relations == (AUTHOR,)


def test_slots_are_relations_of_their_own(read):
    text = "张智尧在《楚留香新传》里饰演楚留香"
    slots = {"@value": "楚留香", "inWork": "楚留香新传", "onDate": ""}
    spo = {"subject": "张智尧", "predicate": "饰演", "object": slots}
    (example,) = read({"text": text, "spo_list": [spo]}, "duie")
    found = {(r.predicate, text[r.object.start : r.object.end], r.object.start) for r in example.relations}
    assert found == {("饰演", "楚留香", 5), ("饰演.inWork", "楚留香新传", 5)}


def test_the_nearest_occurrences_are_taken(read):
    text = "王芳和李娜。王芳的丈夫是张强。"
    spo = {"subject": "王芳", "predicate": "丈夫", "object": {"@value": "张强"}}
    (example,) = read({"text": text, "spo_list": [spo, spo]}, "duie")
    assert example.relations == (Relation(Span(6, 8), "丈夫", Span(12, 14)),)
    pairs = ((Span(6, 8), Span(12, 14)), (Span(0, 2), Span(12, 14)))
    assert example.relations[0].alternatives == pairs
    record = to_record(text, example.relations)
    assert record["located"] is False
    assert read(record)[0].relations[0].alternatives == pairs
    del record["located"]
    assert read(record)[0].relations[0].alternatives == ()  # known offsets


def relation(**fields):
    return {"text": TEXT, "relations": [{**NLPKIT["relations"][0], **fields}]}


@pytest.mark.parametrize(
    ("format", "record", "words"),
    [
        ("nlpkit", "{", ["not valid JSON"]),
        ("nlpkit", {"text": TEXT}, ['"relations": []']),
        ("nlpkit", {"text": 1, "relations": []}, ["no text"]),
        ("nlpkit", relation(subject={"start": 1}), ["not a record like"]),
        ("nlpkit", relation(object=None), ["not a record like"]),
        ("nlpkit", relation(subject={"start": 1, "end": 3, "text": "四体"}), ["1:3", "三体", "四体"]),
        ("nlpkit", relation(object={"start": 8, "end": 12}), ["8:12", "outside"]),
        ("nlpkit", relation(predicate=""), ["predicate", "non-empty"]),
        ("nlpkit", relation(score="1"), ["score", "number"]),
        ("nlpkit", {**NLPKIT, "located": "no"}, ['"located"', "true or false", "'no'"]),
        ("duie", {"text": TEXT}, ["spo_list", "without gold"]),
        ("duie", triple(object={"@value": "刘慈"}, subject="四体"), ["四体", "作者", "does not occur"]),
        ("duie", triple(object={"@value": ""}), ["does not occur"]),
        ("duie", triple(object={"@value": 1}), ["not a record like"]),
        ("duie", {"text": None, "spo_list": DUIE["spo_list"]}, ["no text"]),
        ("duie", {"text": TEXT, "spo_list": [{"subject": "三体"}]}, ["not a record like"]),
    ],
)
def test_a_bad_record_is_named(read, tmp_path, format, record, words):
    with pytest.raises(DataError) as caught:
        read(record, format)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'gold.jsonl'}:1: ")
    assert all(word in message for word in words), message
    skipping = ErrorPolicy("skip")
    assert read(record, format, skipping) == []
    assert skipping.count == 1


def test_an_unknown_format_is_refused(read):
    with pytest.raises(UsageError, match="cmeie"):
        read(NLPKIT, "ace")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"predicate": "作者"}', ("作者",)),
        ('[{"predicate": "饰演", "object_type": {"inWork": "影视作品", "@value": "人物"}},\n {"predicate": "作者"}]',
         ("饰演", "饰演.inWork", "作者")),
        ('{"predicate": "作者", "object_type": "人物"}', ("作者",)),
    ],
)  # fmt: skip
def test_schemas(tmp_path, content, expected):
    (tmp_path / "schema.json").write_text(content, encoding="utf-8")
    assert read_schema(str(tmp_path / "schema.json"), ("作者", "饰演", "饰演.inWork")) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"predicate": "作者"}\n{"predicate": "首都"}', [":2: ", "首都", "作者"]), ("{}", [":1: ", "not a record like"])],
)
def test_bad_schemas_are_named(tmp_path, content, words):
    (tmp_path / "schema.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_schema(str(tmp_path / "schema.json"), ("作者",))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.data
def test_published_data(data):
    examples = list(read_examples([str(data / "relation/duie2_sample/train_5000.json")], "duie"))
    assert set(FORMATS) == {"nlpkit", "duie", "cmeie", "doccano", "labelstudio", "brat"}
    assert (len(examples), sum(len(e.relations) for e in examples)) == (5000, 9281)
    assert len(predicates_of(examples, [])) == 53
