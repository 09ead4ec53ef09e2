"""Lines and records in, JSON Lines out: every encoding and archive, and what is said of the bad ones."""

import bz2
import gzip
import io
import lzma
import os
import sys

import pytest

from nlpkit.core.io.records import (
    ErrorPolicy,
    dump_line,
    is_json_name,
    read_json,
    read_lines,
    read_records,
    write_json,
)
from nlpkit.errors import DataError, OutputError, UsageError

LINES = ["你好，世界", "", "第三行 ", "尾"]


@pytest.fixture
def file(tmp_path):
    def write(content, name="in.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def texts(path, **options):
    return [line.text for line in read_lines([path], **options)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_lose_their_ends_and_blank_ones_stay(file, end, last):
    path = file(end.join(LINES) + end * last)
    lines = list(read_lines([path]))
    assert [line.text for line in lines] == LINES
    assert [line.number for line in lines] == [1, 2, 3, 4]
    assert sum(line.size for line in lines) == os.path.getsize(path)  # noqa: PTH202


@pytest.mark.parametrize("text", ["a\x00b", "a\x85b\u2028c\x0bd\x0ce", "a\rb", "　", "中\ufeff", "\u200b"])
def test_only_newlines_end_a_line(file, text):
    assert texts(file("首\n" + text + "\n")) == ["首", text]


def test_a_byte_order_mark_is_dropped(file):
    assert texts(file("\ufeff你好\n")) == ["你好"]


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "big5", "latin-1", "utf-8-sig"])
def test_encodings(file, encoding):
    text = "café" if encoding == "latin-1" else "中文"
    assert texts(file(f"{text}\n\n{text}".encode(encoding)), encoding=encoding) == [text, "", text]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_archives_are_known_by_content(file, pack):
    assert texts(file(pack("\n".join(LINES).encode()))) == LINES


def test_zstandard(file):
    zstandard = pytest.importorskip("zstandard")
    assert texts(file(zstandard.compress("\n".join(LINES).encode()))) == LINES


def test_stdin(monkeypatch, file):
    with open(file("一\n二\n"), encoding="utf-8") as stream:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", stream)
        lines = list(read_lines(["-"]))
    assert [(line.text, line.source, line.number) for line in lines] == [("一", "<stdin>", 1), ("二", "<stdin>", 2)]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("三".encode())))
    assert texts("-") == ["三"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="<stdin>: is closed"):
        texts("-")


def test_several_files_number_their_own_lines(file):
    paths = [file("一\n二\n", "a"), file("三\n", "b")]
    assert [(line.text, line.number) for line in read_lines(paths)] == [("一", 1), ("二", 2), ("三", 1)]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("好\n中文\n".encode("gb18030"), {}, r"in.txt:1: not valid utf-8 at byte 1 .*\(0xba\); .*--encoding gb18030"),
        ("好\n".encode() + b"ab\xff\n", {}, r"in.txt:2: not valid utf-8 at byte 3 of the line \(0xff\)"),
        (b"\xff\n", {"encoding": "gb18030"}, r"in.txt:1: not valid gb18030 .*; try another --encoding"),
        (gzip.compress(b"a\nb\n" * 9999, mtime=0)[:60], {}, r"in.txt:\d+: cannot be read further"),
        (gzip.compress(b"a" * 99, mtime=0)[:-4] + b"nope", {}, r"in.txt:\d+: cannot be read further"),
        (gzip.compress(b"a\n" * 99, mtime=0)[:12] + b"\xff" * 40, {}, r"in.txt:1: cannot be read further"),
        (lzma.compress(b"a\n" * 99)[:-20], {}, r"in.txt:\d+: cannot be read further"),
    ],
)
def test_unreadable(file, content, options, message):
    with pytest.raises(DataError, match=message):
        texts(file(content), **options)


def test_broken_zstandard(file):
    zstandard = pytest.importorskip("zstandard")
    content = zstandard.compress(b"a\n" * 99)
    with pytest.raises(DataError, match=r"in.txt:\d+: cannot be read further"):
        texts(file(content[:4] + b"\xff" * 40))


@pytest.mark.parametrize(("name", "message"), [("none.txt", "no such file"), ("", "is a directory"), ("f/x", "opened")])
def test_no_file(tmp_path, file, name, message):
    file("", "f")
    with pytest.raises(DataError, match=message) as caught:
        texts(str(tmp_path / name))
    assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "\udcb2"])
def test_unusable_encodings(file, encoding):
    with pytest.raises(UsageError, match=r"unknown encoding '.+'; try utf-8 or gb18030"):
        texts(file("a"), encoding=encoding)


def test_skipping_reports_counts_and_goes_on(file):
    found = []
    errors = ErrorPolicy("skip", found.append)
    assert texts(file("一\n".encode() + b"\xff\n" + "三\n".encode()), on_error=errors) == ["一", "三"]
    assert (errors.count, [error.line for error in found]) == (1, [2])


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
