"""Records of entities: what is checked, sorted and joined, and that it comes back from JSON."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ner_support import NAME, TEXT

from nlpkit.core.io.records import Line, dump_line
from nlpkit.errors import DataError
from nlpkit.tasks.ner.data import Entity, Example, Mention, join, labels_of, make_example, to_record
from nlpkit.tasks.ner.formats import read_examples


def test_to_record():
    entities = [Entity(0, 3, "name", 0.98765)]
    plain = {"start": 0, "end": 3, "label": "name", "text": "叶老桂"}
    assert to_record(TEXT, entities) == {"text": TEXT, "entities": [plain]}
    fields = {"id": 1, "body": TEXT}
    assert to_record(TEXT, entities, fields, scores=True) == {**fields, "entities": [{**plain, "score": 0.9877}]}


@st.composite
def annotated(draw):
    text = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
    places = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda place: place[0] < place[1])
    spans = draw(st.lists(st.tuples(places, st.text(st.characters(exclude_categories=["Cs"]), min_size=1))))
    return text, tuple(sorted({Entity(*place, label) for place, label in spans}))


@given(annotated())
def test_round_trip(tmp_path_factory, gold):
    text, entities = gold
    path = tmp_path_factory.getbasetemp() / "round_trip.jsonl"
    path.write_bytes(dump_line(to_record(text, entities, scores=True)))
    [example] = read_examples([str(path)])
    assert (example.text, example.entities) == (text, entities)


LINE = Line("", "gold", 7)


def example(text, *entities):
    return Example(text, tuple(Entity(*entity) for entity in entities), LINE)


def test_entities_are_compared_by_span_and_label():
    assert Entity(0, 3, "name", 0.5, "dict") == NAME
    assert len({Entity(0, 3, "name", 0.5), NAME}) == 1


def test_labels_are_sorted_and_at_least_one():
    letters = [(index, index + 1, letter) for index, letter in enumerate("hgfedcba")]
    assert labels_of([example(TEXT, *letters), example(TEXT, (0, 3, "b"))], []) == tuple("abcdefgh")
    with pytest.raises(DataError, match=r"^a\.jsonl, b\.jsonl: no text has an entity; add training data"):
        labels_of([example(TEXT)], ["a.jsonl", "b.jsonl"])


@settings(max_examples=20)
@given(st.lists(annotated(), min_size=1, max_size=3))
def test_joined_texts_keep_every_mention(samples):
    joined = join([Example(text, entities, LINE) for text, entities in samples])
    assert joined.text == "".join(text for text, _ in samples)
    assert [(joined.text[e.start : e.end], e.label) for e in joined.entities] == [
        (text[e.start : e.end], e.label) for text, entities in samples for e in entities
    ]
    assert joined.line is LINE


def test_mentions_are_sorted_without_duplicates():
    mentions = [Mention(4, 8, "company", "浙商银行"), Mention(0, 3, "name"), Mention(4, 8, "company", None, 0.5)]
    found = make_example(LINE, TEXT, mentions)
    assert [(e.start, e.end, e.label, e.score) for e in found.entities] == [(0, 3, "name", 1.0), (4, 8, "company", 1.0)]


@pytest.mark.parametrize(
    ("text", "mention", "message"),
    [
        (None, (0, 1, "x"), "the record has no text, or it is not a string; name the field that holds it with --field"),
        (TEXT, (0, 9, "x"), "offsets 0:9 are outside the text of 8 characters"),
        (TEXT, (0, 1, ""), "the label of 0:1 must be a non-empty string, this is ''"),
        (TEXT, (0, 1, ["x"]), r"the label of 0:1 must be a non-empty string, this is \['x'\]"),
        (TEXT, (0, 1, "x", "老"), "the text at 0:1 is '叶', but the annotation says '老'"),
        (TEXT, (0, 1, "x", None, True), "the score of 0:1 must be a number, this is True"),
    ],
)
def test_a_mention_that_does_not_fit_is_an_error(text, mention, message):
    with pytest.raises(DataError, match=f"^gold:7: {message}$"):
        make_example(LINE, text, [Mention(*mention)])


def test_the_source_is_written_only_where_there_is_one():
    (one, other) = to_record("王芳在腾讯", [Entity(0, 2, "人", 0.5), Entity(3, 5, "公司", 1.0, "dict")], {}, True)[
        "entities"
    ]
    assert one == {"start": 0, "end": 2, "label": "人", "text": "王芳", "score": 0.5}
    assert other == {"start": 3, "end": 5, "label": "公司", "text": "腾讯", "score": 1.0, "source": "dict"}


def test_labels_say_what_is_annotated(tmp_path):
    path = tmp_path / "gold"
    record = {"text": TEXT, "entities": [{"start": 0, "end": 3, "label": "name"}]}
    path.write_bytes(dump_line({**record, "labels": ["name", "address"]}) + dump_line(record))
    restricted, complete = read_examples([str(path)])
    assert (restricted.labels, complete.labels) == ({"name", "address"}, None)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("name", r'"labels" must be a list of labels, as \["name", "address"\], this is \'name\''),
        ([], r'"labels" must be a list of labels, as \["name", "address"\], this is \[\]'),
        ([1], r'"labels" must be a list of labels, as \["name", "address"\], this is \[1\]'),
        (["address"], 'an entity has the label name, which "labels" of this record does not list'),
    ],
)
def test_labels_that_do_not_fit_are_an_error(labels, message):
    with pytest.raises(DataError, match=f"^gold:7: {message}$"):
        make_example(LINE, TEXT, [Mention(0, 3, "name")], labels)


def test_only_texts_with_the_same_labels_are_joined():
    one, other = (
        Example(text, (Entity(0, 1, "name"),), LINE, labels) for text, labels in (("甲", None), ("乙", {"name"}))
    )
    assert join([one, other, one]).text == "甲甲"
    assert (join([other, one]).text, join([other, one]).labels) == ("乙", {"name"})
