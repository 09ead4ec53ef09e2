"""Records in, JSON Lines out: the format of each file, the fields of its records, and what is said of the bad ones."""

import os
import pickle
import sys

import pytest

from nlpkit.core.io.input import Part
from nlpkit.core.io.records import (
    ErrorPolicy,
    dump_line,
    input_format,
    is_json_name,
    read_json,
    read_records,
    write_json,
)
from nlpkit.errors import DataError, OutputError, UsageError


@pytest.fixture
def file(tmp_path):
    def write(content, name="in.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ('{"a": 1} {"b": 2}', "not valid JSON"),
        ('{"a": NaN}', "not valid JSON"),
        ('{"text": "\\ud800"}', "not valid JSON"),
        ("[1]", "a JSON object is expected, this is list"),
        ('"text"', "a JSON object is expected, this is str"),
        ("null", "a JSON object is expected, this is NoneType"),
    ],
)
def test_bad_json(file, line, message):
    path = file('{"a": 1}\n\n' + line + '\n{"a": 2}\n')
    with pytest.raises(DataError, match=f"in.txt:3: {message}"):
        list(read_json([path]))
    errors = ErrorPolicy("skip")
    assert [value for _, value in read_json([path], on_error=errors)] == [{"a": 1}, {"a": 2}]
    assert errors.count == 1


def test_plain_records_are_all_lines(file):
    found = list(read_records([file("一\n\n三")]))
    assert [(record.text, record.fields) for record in found] == [(t, {"text": t}) for t in ("一", "", "三")]


@pytest.mark.parametrize(("name", "field"), [("in.jsonl", None), ("in.json", "text"), ("in.txt", "text")])
def test_json_records(file, name, field):
    path = file('{"id": 7, "text": "一"}\n\n{"text": "二"}\n', name)
    found = [(record.text, record.fields, record.line.number) for record in read_records([path], field)]
    assert found == [("一", {"id": 7, "text": "一"}, 1), ("二", {"text": "二"}, 3)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"title": "x", "id": 1}', r"no field 'text' here \(there are: title, id\); .*--field"),
        ("{}", r"no field 'text' here \(there are: none\)"),
        ('{"text": 5}', "field 'text' is not a string"),
        ('{"text": null}', "field 'text' is not a string"),
    ],
)
def test_records_without_a_text(file, line, message):
    with pytest.raises(DataError, match=f"in.jsonl:1: {message}"):
        list(read_records([file(line, "in.jsonl")]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(name, True) for name in ("a.jsonl", "a.JSON", "b/a.ndjson", "a.jsonl.gz", "a.2024.json.zst", "a.txt.jsonl")],
        *[(name, False) for name in ("a.txt", "a", "-", "a.gz", "a.jsonl.txt", "a.json/b", "jsonl", "a.tsv.gz")],
    ],
)
def test_json_names(name, expected):
    assert is_json_name(name) is expected


@pytest.mark.parametrize(
    "number",
    ["0", "-1", *map(str, (2**64 - 1, 2**64, -(2**63), -(2**63) - 1)), "9" * 300],
)
def test_whole_numbers_stay_whole(file, number):
    line = f'{{"text":"好","id":{number},"more":[{number},1.5,"{number}"]}}'
    (record,) = read_records([file(line.encode(), "a.jsonl")])
    assert dump_line(record.fields).decode() == line + "\n"


def test_a_long_number_nested_too_deep(file):
    path = file('{"id":' + "[" * 1000 + "9" * 20 + "]" * 1000 + "}\n")
    refused = DataError if sys.version_info < (3, 12) else OutputError  # newer versions read it, but it is not written
    with pytest.raises(refused, match="JSON"):
        write_json(os.devnull, (fields for _, fields in read_json([path])))


def test_chinese_is_written_as_chinese():
    assert dump_line({"文": "中\u2028😀\n"}).decode() == '{"文":"中\u2028😀\\n"}\n'


@pytest.mark.parametrize("name", ["in.jsonl", "in.txt"])
def test_pairs_are_json_lines(file, name):
    path = file('{"text": "一", "b": "二", "id": 7}\n\n{"b": "", "text": ""}\n', name)
    found = [(record.text, record.second, record.fields) for record in read_records([path], second_field="b")]
    assert found == [("一", "二", {"text": "一", "b": "二", "id": 7}), ("", "", {"b": "", "text": ""})]
    (other, _) = read_records([path], "b", second_field="text")
    assert (other.text, other.second) == ("二", "一")
    assert [record.second for record in read_records([file('{"text": "一"}', "a.jsonl")])] == [None]


@pytest.mark.parametrize(
    ("line", "options", "message"),
    [
        ('{"text": "一"}', {}, r"no field 'b' here \(there are: text\); name the text field with --pair$"),
        ('{"text": "一", "c": 1}', {"second_option": "--summary"}, r".* \(there are: text, c\); .* with --summary$"),
        ('{"text": "一", "b": 5}', {}, "field 'b' is not a string$"),
        ('{"text": "一", "b": null}', {}, "field 'b' is not a string$"),
        ('{"b": "二"}', {}, r"no field 'text' here \(there are: b\); name the text field with --field$"),
        ('{"text": 5, "b": 5}', {}, "field 'text' is not a string$"),
        ("一", {}, "not valid JSON"),
    ],
)
def test_records_without_a_second_text(file, line, options, message):
    path = file(line + '\n{"text": "一", "b": "二"}\n')
    with pytest.raises(DataError, match=f"in.txt:1: {message}"):
        list(read_records([path], second_field="b", **options))
    errors = ErrorPolicy("skip")
    assert [record.second for record in read_records([path], on_error=errors, second_field="b", **options)] == ["二"]
    assert errors.count == 1


@pytest.mark.parametrize(
    ("name", "has_field", "expected"),
    [
        *[(name, False, "text") for name in ("a.txt", "a", "-", "a.gz", "a.log", "<stdin>", "a.csv.txt", "csv")],
        *[(name, True, "jsonl") for name in ("a.txt", "a", "-", "a.gz", "a.jsonl")],
        *[(name, False, "jsonl") for name in ("a.jsonl", "a.JSON", "a.ndjson.zst", "dir.csv/a.json")],
        *[("a.csv", each, "csv") for each in (True, False)],
        *[("A.TSV.GZ", each, "tsv") for each in (True, False)],
        *[("a.parquet", each, "parquet") for each in (True, False)],
    ],
)
def test_the_format_of_a_file(name, has_field, expected):
    assert input_format(name, has_field) == expected


def contents(paths, *args, **options):
    return [(record.text, record.fields) for record in read_records(paths, *args, **options)]


def test_each_file_is_read_by_its_suffix(file):
    paths = [
        file('{"text": "一", "id": 1}\n', "a.jsonl"), file("id,text\n2,二\n", "b.csv"),
        file("text\tid\n三\t3\n", "c.tsv"), file("四\n", "d.txt"),
    ]  # fmt: skip
    assert contents(paths) == [
        ("一", {"text": "一", "id": 1}), ("二", {"id": "2", "text": "二"}), ("三", {"text": "三", "id": "3"}),
        ("四", {"text": "四"}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("text", ['{"id": "x", "text": "y"}']),
        ("jsonl", ["y"]),
        ("csv", []),
        ("tsv", []),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a"])
def test_a_format_that_is_named_overrides_the_suffix(file, name, format, expected):
    path = file('{"id": "x", "text": "y"}\n', name)
    assert [text for text, _ in contents([path], format=format)] == expected


@pytest.mark.parametrize("options", [{"text_field": "text"}, {"second_field": "b"}])
def test_plain_text_has_no_fields(file, options):
    with pytest.raises(UsageError, match=r"^--input-format text: plain text has no fields; leave out --field$"):
        contents([file("一\n")], format="text", **options)


def test_the_name_of_the_file_as_a_field(file):
    first, second = file("一\n", "a.txt"), file('{"text": "二"}\n', "b.jsonl")
    assert contents([first, second], file_field="file") == [
        ("一", {"text": "一", "file": first}), ("二", {"text": "二", "file": second})
    ]  # fmt: skip
    assert contents([Part(first, 0, 4)], file_field="source") == [("一", {"text": "一", "source": first})]


def test_a_field_is_not_replaced_by_the_name_of_the_file(file):
    path = file('{"text": "一", "file": "mine"}\n{"text": "二"}\n', "a.jsonl")
    with pytest.raises(DataError, match=r"a\.jsonl:1: the field 'file' is the name of the file with --add-file; renam"):
        contents([path], file_field="file")
    errors = ErrorPolicy("skip")
    assert [text for text, _ in contents([path], file_field="file", on_error=errors)] == ["二"]
    assert errors.count == 1


def test_pairs_of_a_table(file):
    path = file("b,text,id\n二,一,7\n", "a.csv")
    (record,) = read_records([path], second_field="b")
    assert (record.text, record.second, record.fields["id"]) == ("一", "二", "7")
    with pytest.raises(DataError, match=r"a\.csv:2: no field 'c' here \(there are: b, text, id\); .* with --pair$"):
        contents([path], second_field="c")


@pytest.mark.parametrize("number", ["9" * 30, "-" + "9" * 30, "7"])
def test_a_record_can_be_sent_to_another_process(file, number):
    line = f'{{"text":"一","id":{number},"more":[{number}]}}\n'
    (record,) = read_records([file(line, "a.jsonl")])
    assert dump_line(pickle.loads(pickle.dumps(record)).fields).decode() == line
