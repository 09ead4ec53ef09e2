"""Texts with labels: what a record may hold, and what is said of a bad one."""

import pytest
from classify_support import example

from nlpkit.core.io.records import Line
from nlpkit.errors import DataError
from nlpkit.tasks.classify.data import labels_of, make_example, to_record

LINE = Line("", "gold", 7)


@pytest.mark.parametrize(
    ("labels", "expected", "multiple"),
    [
        ("好评", ("好评",), False),
        (" 好评\t", ("好评",), False),
        (3, ("3",), False),
        (-1, ("-1",), False),
        ({"label": "好评", "score": 0.5}, ("好评",), False),
        ([], (), True),
        (["裁员"], ("裁员",), True),
        (["裁员", 3, "裁员", " 裁员"], ("裁员", "3"), True),
        ([{"label": "裁员", "score": 0.9}, {"label": "起诉"}], ("裁员", "起诉"), True),
        (("裁员", "起诉"), ("裁员", "起诉"), True),
    ],
)
def test_a_label_is_a_string_or_a_whole_number_and_a_list_has_several(labels, expected, multiple):
    made = make_example(LINE, "房间", labels)
    assert (made.text, made.second, made.line) == ("房间", None, LINE)
    assert (made.labels, made.multiple) == (expected, multiple)


def test_what_a_predictor_reads():
    assert make_example(LINE, "花呗", "1").input == "花呗"
    assert make_example(LINE, "花呗", "1", "还款", pair=True).input == ("花呗", "还款")
    assert make_example(LINE, "花呗", "1", "还款").input == "花呗"
    assert make_example(LINE, "", "1", "", pair=True).input == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, "1"), "the record has no text, or it is not a string; name the field that holds it with --field"),
        ((5, "1"), "the record has no text"),
        (("房间", None), "the label is null; name one, or leave the record out"),
        (("房间", True), "a label must be a string, this is True"),
        (("房间", 1.5), r"a label must be a string, this is 1\.5"),
        (("房间", [["a"]]), r"a label must be a string, this is \['a'\]"),
        (("房间", {}), "the label is null; name one"),
        (("房间", ""), "the label is empty; name one, or leave the record out"),
        (("房间", " \u3000"), "the label is empty"),
        (("房间", ["a", ""]), "the label is empty"),
    ],
)
def test_a_bad_record_is_named(arguments, message):
    with pytest.raises(DataError, match=f"^gold:7: {message}"):
        make_example(LINE, *arguments)


@pytest.mark.parametrize("second", [None, 5, ["还款"]])
def test_a_pair_without_a_second_text_is_named(second):
    with pytest.raises(DataError, match=r"^gold:7: the record has no second text, .*--pair$"):
        make_example(LINE, "花呗", "1", second, pair=True)


@pytest.mark.parametrize(
    ("made", "record"),
    [
        (example("房间", "好"), {"text": "房间", "label": "好"}),
        (example("花呗", "1", second="还款"), {"text": "花呗", "second": "还款", "label": "1"}),
        (example("房间", "好", "坏", multiple=True), {"text": "房间", "labels": ["好", "坏"]}),
        (example("房间", multiple=True), {"text": "房间", "labels": []}),
    ],
)
def test_the_record_of_an_example(made, record):
    assert list(to_record(made).items()) == list(record.items())
    labels = record.get("labels", record.get("label"))
    assert make_example(made.line, made.text, labels, made.second, pair=made.second is not None) == made


def test_the_labels_of_a_set_are_sorted_and_counted():
    found = labels_of([example("甲", "b"), example("乙", "a", "b"), example("丙"), example("丁", "10")], [])
    assert list(found.items()) == [("10", 1), ("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([example("甲", "b"), example("乙", "b")], r"^x, y: all examples have the label 'b'; a classifier needs two"),
        ([example("甲"), example("乙")], "^x, y: no example has a label; a classifier needs two labels or more$"),
        ([], "^x, y: no example has a label"),
    ],
)
def test_fewer_than_two_labels_are_an_error(examples, message):
    with pytest.raises(DataError, match=message):
        labels_of(examples, ["x", "y"])
