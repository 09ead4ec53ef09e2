"""Every format of labelled texts: what it gives, and what it says of a bad record."""

import json

import pytest
from support import write_jsonl

from nlpkit.core.formats.annotation import Tally
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.classify.formats import FORMATS, read_examples


@pytest.fixture
def read(tmp_path):
    """Reads a text, or records, in a format; gives the examples."""

    def read(content, format="nlpkit", **options):
        path = tmp_path / "gold"
        if isinstance(content, list):
            write_jsonl(path, content)
        else:
            path.write_text(content, encoding=options.get("encoding", "utf-8"))
        return list(read_examples([str(path)], format, **options))

    return read


def summary(examples):
    return [(e.text, e.labels) if e.second is None else (e.text, e.second, e.labels) for e in examples]


ONE = [("房间好", ("好",)), ("房间坏", ("坏",))]
PAIRS = [("花呗", "还款", ("1",)), ("天气", "还款", ("0",))]


@pytest.mark.parametrize(
    ("format", "content", "options", "expected"),
    [
        ("nlpkit", [{"text": "房间好", "label": "好"}, {"text": "房间坏", "label": "坏"}], {}, ONE),
        ("nlpkit", [{"q": "房间好", "c": "好"}, {"q": "房间坏", "c": "坏"}], {"field": "q", "label": "c"}, ONE),
        ("nlpkit", [{"text": "花呗", "b": "还款", "label": 1}, {"text": "天气", "b": "还款", "label": 0}],
         {"pair": "b"}, PAIRS),
        ("nlpkit", [{"text": "甲", "labels": ["a", "b"]}, {"text": "乙", "labels": []}], {},
         [("甲", ("a", "b")), ("乙", ())]),
        ("nlpkit", [{"text": "甲", "label": "a", "labels": [{"label": "a"}, {"label": "b"}]}], {}, [("甲", ("a",))]),
        ("nlpkit", [{"text": "甲", "label": "a", "labels": ["b", "c"]}], {"label": "labels"}, [("甲", ("b", "c"))]),
        ("clue", [{"sentence": "房间好", "label": "102", "label_desc": "好", "keywords": ""}], {}, ONE[:1]),
        ("clue", [{"sentence": "房间好", "label": "102", "label_des": "好"}], {}, ONE[:1]),
        ("clue", [{"sentence": "房间好", "label": "102"}], {}, [("房间好", ("102",))]),
        ("clue", [{"sentence1": "花呗", "sentence2": "还款", "label": "1"}], {}, PAIRS[:1]),
        ("tsv", "房间好\t好\n\n房间坏\t坏\n", {}, ONE),
        ("tsv", "甲\t乙\t好\n", {}, [("甲\t乙", ("好",))]),
        ("label-tsv", "好\t房间好\n \n坏\t房间坏", {}, ONE),
        ("label-tsv", "好\t甲\t乙\n", {}, [("甲\t乙", ("好",))]),
        ("pair-tsv", "花呗\t还款\t1\n天气\t还款\t0\n", {}, PAIRS),
        ("fasttext", "__label__好 房间好\n__label__坏 房间坏\n", {}, ONE),
        ("fasttext", "__label__a __label__b 甲 乙\n__label__a 丙\n丁 __label__b\n", {},
         [("甲 乙", ("a", "b")), ("丙", ("a",)), ("丁 __label__b", ())]),
        ("csv", "label,text\n好,房间好\n\n坏,房间坏\n", {}, ONE),
        ("csv", 'label,text\n好,"房间,""好""\n不坏"\n', {}, [('房间,"好"\n不坏', ("好",))]),
        ("csv", "id\ttext\tlabel\n1\t房间好\t好\n\n2\t房间坏\t坏\n", {}, ONE),
        ("csv", 'text\tlabel\n"房间\t好\n', {}, [('"房间', ("好",))]),
        ("csv", "a,b,c\n花呗,还款,1\n天气,还款,0\n", {"field": "a", "pair": "b", "label": "c"}, PAIRS),
        ("csv", "text,label\n", {}, []),
        ("tsv", "房间好\t好\n", {"encoding": "gb18030"}, ONE[:1]),
        ("csv", "text,label\n房间好,好\n", {"encoding": "gb18030"}, ONE[:1]),
    ],
)  # fmt: skip
def test_formats(read, format, content, options, expected):
    assert summary(read(content, format, **options)) == expected


def test_all_formats_are_tested_above():
    assert set(FORMATS) == {"nlpkit", "clue", "tsv", "label-tsv", "pair-tsv", "fasttext", "csv"}


def test_only_a_list_makes_a_record_multi_label(read):
    found = read([{"text": "甲", "labels": ["a"]}, {"text": "乙", "label": "a"}, {"text": "丙", "labels": "a"}])
    assert [example.multiple for example in found] == [True, False, False]


def test_fasttext_texts_are_multi_label_if_one_has_another_number_of_labels(read):
    single = "__label__a 甲\n__label__b 乙\n"
    assert [example.multiple for example in read(single, "fasttext")] == [False, False]
    for more in ("丙\n", "__label__a __label__b 丙\n"):
        assert [example.multiple for example in read(single + more, "fasttext")] == [True] * 3
    assert [example.multiple for example in read("__label__a __label__a 甲\n", "fasttext")] == [False]


def test_lines_of_tables_are_numbered(read):
    found = read('label,text\na,"甲\n乙"\nb,丙\n', "csv")
    assert [example.line.number for example in found] == [2, 4]
    assert [example.line.number for example in read("text\tlabel\n\n甲\ta\n", "csv")] == [3]


def test_every_table_has_its_own_columns(tmp_path):
    (tmp_path / "a").write_text("text,label\n甲,a\n", encoding="utf-8")
    (tmp_path / "b").write_text("id\tlabel\ttext\n1\tb\t乙\n", encoding="utf-8")
    found = read_examples([str(tmp_path / "a"), str(tmp_path / "b")], "csv")
    assert summary(found) == [("甲", ("a",)), ("乙", ("b",))]


def test_clue_records_without_a_majority_are_dropped_and_counted(read):
    tally, label = Tally(), {"label": "-"}
    records = [
        {"sentence1": "甲", "sentence2": "乙", **label},
        {"sentence1": "甲", "sentence2": "丙", "label": "neutral"},
    ]
    found = read([*records, records[0]], "clue", tally=tally)
    assert summary(found) == [("甲", "丙", ("neutral",))]
    (message,) = tally.messages()
    assert message.startswith("dropped: 2 records (its label is -, without a majority of the annotators), first in ")
    assert message.endswith("gold:1")
    assert read([{"text": "甲", "label": "-"}])[0].labels == ("-",)  # of other formats it is a label


def test_a_text_with_a_tab_is_worth_a_look(read):
    tally = Tally()
    read("甲\ta\n乙\t丙\tb\n", "tsv", tally=tally)
    (message,) = tally.messages()
    assert message.startswith("check: 1 text (has a TAB itself; pairs of texts are read with --format pair-tsv)")
    assert message.endswith("gold:2")


@pytest.mark.parametrize(
    ("format", "content", "message"),
    [
        ("nlpkit", "{\n", "1: not valid JSON"),
        ("nlpkit", '{"text": "甲"}', r"1: no field 'label' and no field 'labels' here \(there are: text\); .*--label"),
        ("nlpkit", '{"label": "a"}', "1: the record has no text"),
        ("nlpkit", '{"text": "甲", "label": ""}', "1: the label is empty"),
        ("nlpkit", '{"text": "", "label": null, "labels": []}', "1: the label is null"),
        ("clue", '{"sentence": "甲"}', '1: no "label" here; a test split without gold cannot be used'),
        ("clue", '{"text": "甲", "label": "1"}', '1: neither "sentence" nor "sentence1" here'),
        ("clue", '{"sentence1": "甲", "label": "1"}', "1: the record has no second text"),
        ("tsv", "甲\ta\n乙\n", r"2: no TAB here; a line is text<TAB>label"),
        ("tsv", "甲\t \n", "1: the label is empty"),
        ("label-tsv", "甲", "1: no TAB here; a line is label<TAB>text"),
        ("label-tsv", "\t甲", "1: the label is empty"),
        ("pair-tsv", "甲\t1\n", r"1: 2 column\(s\); a line is first text<TAB>second text<TAB>label"),
        ("pair-tsv", "甲\t乙\t1\t2\n", r"1: 4 column\(s\)"),
        ("fasttext", "__label__a 甲\n__label__ 乙\n", "2: the label is empty"),
        ("csv", "text,label\n甲,a\n乙\n", "3: 1 columns, but the first line has 2"),
        ("csv", "text\tlabel\n甲\ta\tb\n", "2: 3 columns, but the first line has 2"),
        ("csv", 'text,label\n"甲,a\n', "2: not valid CSV"),
        ("csv", "text,label\n甲,\n", "2: the label is empty"),
    ],
)
def test_a_bad_record_is_named_or_skipped(read, tmp_path, format, content, message):
    with pytest.raises(DataError, match=f"gold:{message}"):
        read(content, format)
    errors = ErrorPolicy("skip")
    good = len(read(content, format, on_error=errors))
    assert errors.count == 1
    assert good == (content.startswith(("甲\ta", "__label__a", "text,label\n甲,a")))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,label\n甲,a\n", {}, r"gold:1: no column 'text' \(there are: a, label\); name it with --field"),
        ("text,b\n甲,a\n", {}, r"gold:1: no column 'label' \(there are: text, b\); name it with --label"),
        ("text,label\n甲,a\n", {"pair": "x"}, "gold:1: no column 'x' .* name it with --pair"),
        ("text,label\n甲,a\n", {"field": "x"}, "gold:1: no column 'x' .* name it with --field"),
        ("text,label\n甲,a\n", {"label": "x"}, "gold:1: no column 'x' .* name it with --label"),
        ("", {}, "gold: the file is empty; a table has the names of its columns in the first line"),
    ],
)
def test_a_table_without_its_columns_is_an_error_even_where_bad_records_are_skipped(read, content, options, message):
    with pytest.raises(DataError, match=message):
        read(content, "csv", on_error=ErrorPolicy("skip"), **options)


@pytest.mark.parametrize("format", ["clue", "tsv", "label-tsv", "pair-tsv", "fasttext"])
@pytest.mark.parametrize("option", ["field", "label", "pair"])
def test_formats_without_named_fields_refuse_the_options(read, format, option):
    with pytest.raises(UsageError, match=f"^--{option} x: the format {format} .*; leave it out$"):
        read("", format, **{option: "x"})


def test_a_missing_field_of_the_user_is_named(read):
    with pytest.raises(DataError, match=r"no field 'c' here \(there are: text, label\); name it with --label"):
        read([{"text": "甲", "label": "a"}], label="c")
    with pytest.raises(UsageError, match="unknown format 'ace'; there are: nlpkit, clue, tsv"):
        read("", "ace")


def test_the_output_of_the_command_is_read_again(read):
    one = {"text": "甲", "label": "a", "score": 0.7, "labels": [{"label": "a", "score": 0.7}]}
    several = {"text": "乙", "labels": [{"label": "a", "score": 0.7}, {"label": "b", "score": 0.6}]}
    assert summary(read(json.dumps(one) + "\n" + json.dumps(several))) == [("甲", ("a",)), ("乙", ("a", "b"))]
