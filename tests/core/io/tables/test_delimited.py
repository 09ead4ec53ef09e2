"""CSV and tab-separated tables by the names of their columns."""

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.lines import ErrorPolicy, Line
from nlpkit.core.io.records import read_records
from nlpkit.core.io.tables.delimited import read_table
from nlpkit.errors import DataError


def rows(text, format, errors=None):
    """(number of the line, fields) of the rows of a text."""
    lines = [Line(line, "in", number) for number, line in enumerate(text.split("\n"), 1)]
    return [(line.number, fields) for line, fields in read_table(lines, format, errors or ErrorPolicy())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,text\n1,好\n2,坏", [(2, {"id": "1", "text": "好"}), (3, {"id": "2", "text": "坏"})]),
        ('text\n"a,b"', [(2, {"text": "a,b"})]),
        ('text,id\n"说""好""了",1', [(2, {"text": '说"好"了', "id": "1"})]),
        ('id,text\n1,"一\n二"\n2,三', [(2, {"id": "1", "text": "一\n二"}), (4, {"id": "2", "text": "三"})]),
        ('"id","text"\n"1",""', [(2, {"id": "1", "text": ""})]),
        ("id,text\n,\n\n3,c", [(2, {"id": "", "text": ""}), (4, {"id": "3", "text": "c"})]),
        (" id , text\n 1, a ", [(2, {"id": " 1", "text": " a "})]),
        ("text\n好", [(2, {"text": "好"})]),
        ("id,text", []),
        ("", []),
        ("\n\nid,text\n1,a", [(4, {"id": "1", "text": "a"})]),
    ],
)
def test_csv(text, expected):
    assert rows(text, "csv") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id\ttext\n1\t好\n2\t坏", [(2, {"id": "1", "text": "好"}), (3, {"id": "2", "text": "坏"})]),
        ('text\tid\n他说"好"\t1', [(2, {"text": '他说"好"', "id": "1"})]),
        ('text\tid\n"引文\t1', [(2, {"text": '"引文', "id": "1"})]),
        ('text\tid\n"好"，他说\t1', [(2, {"text": '"好"，他说', "id": "1"})]),
        ('text\tid\n"他说""好"""\t1', [(2, {"text": '他说"好"', "id": "1"})]),
        ('text\tid\n"好"\t""', [(2, {"text": "好", "id": ""})]),
        ('text\tid\n"a"b"\t"', [(2, {"text": '"a"b"', "id": '"'})]),
        ("text\tid\na,b\t 1 ", [(2, {"text": "a,b", "id": " 1 "})]),
        ("text\tid\n\t\n\nx\ty", [(4, {"text": "x", "id": "y"})]),
        ("", []),
    ],
)
def test_tab_separated(text, expected):
    assert rows(text, "tsv") == expected


@pytest.mark.parametrize(("format", "separator"), [("csv", ","), ("tsv", "\t")])
def test_a_row_with_another_number_of_fields_is_a_bad_record(format, separator):
    text = "id,text\n1,a\n2\n3,b,c\n4,d".replace(",", separator)
    with pytest.raises(DataError) as found:
        rows(text, format)
    assert str(found.value) == "in:3: 1 field(s), but the first line names 2 column(s)"
    reported = []
    errors = ErrorPolicy("skip", reported.append)
    assert [number for number, _ in rows(text, format, errors)] == [2, 5]
    assert [(error.line, error.record) for error in reported] == [(3, "2"), (4, f"3{separator}b{separator}c")]


@pytest.mark.parametrize(("format", "separator"), [("csv", ","), ("tsv", "\t")])
@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("id,,text", "column 2 has no name"),
        ("id, ,text", "column 2 has no name"),
        ("id,text,id", "two columns are named 'id'"),
        ("id, id", "two columns are named 'id'"),
        ("", "column 1 has no name"),
    ],
)
def test_columns_have_names_of_their_own(format, separator, head, message):
    """Even if bad records are skipped: no row can be read."""
    text = (head or ",").replace(",", separator) + "x" * (not head and format == "tsv")
    for errors in (ErrorPolicy(), ErrorPolicy("skip")):
        with pytest.raises(DataError) as found:
            rows(text + "\n1,2,3", format, errors)
        assert str(found.value) == (f"in:1: {message}; name the columns in the first line, or pass --input-format text")


cells = st.text(st.sampled_from('中a ,"\n\t，'), max_size=8)


@given(st.lists(st.tuples(cells, cells, cells), max_size=6))
def test_what_python_writes_as_csv(table):
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b", "c"), *table])
    found = rows(stream.getvalue().removesuffix("\n"), "csv")
    assert [tuple(fields.values()) for _, fields in found] == table


plain = st.text(st.sampled_from('中a ,"，'), max_size=8)


@given(st.lists(st.tuples(plain, plain.map(lambda text: "x" + text)), max_size=6))
def test_what_python_writes_as_tab_separated(table):
    stream = io.StringIO(newline="")
    csv.writer(stream, "excel-tab", lineterminator="\n").writerows([("a", "b"), *table])
    found = rows(stream.getvalue().removesuffix("\n"), "tsv")
    assert [tuple(fields.values()) for _, fields in found] == table


TABLE = 'id,text,备注\n1,"好, 很好",x\n2,坏,\n'
RECORDS = [
    ("好, 很好", {"id": "1", "text": "好, 很好", "备注": "x"}, 2),
    ("坏", {"id": "2", "text": "坏", "备注": ""}, 3),
]


def read(path, **options):
    return [(record.text, record.fields, record.line.number) for record in read_records([str(path)], **options)]


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("in.csv", TABLE.encode(), {}),
        ("IN.CSV", TABLE.replace("\n", "\r\n").encode(), {}),
        ("in.csv", b"\xef\xbb\xbf" + TABLE.encode(), {}),
        ("in.csv.gz", gzip.compress(TABLE.encode(), mtime=0), {}),
        ("in.csv", gzip.compress(TABLE.encode(), mtime=0), {}),
        ("in.csv", TABLE.encode("utf-16"), {}),
        ("in.csv", TABLE.encode("utf-16-be"), {"encoding": "utf-16-be"}),
        ("in.csv", TABLE.encode("gb18030"), {"encoding": "gb18030"}),
        ("in.txt", TABLE.encode(), {"format": "csv"}),
    ],
)
def test_a_file_of_any_encoding(tmp_path, name, content, options):
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name, **options) == RECORDS
    assert [text for text, *_ in read(tmp_path / name, text_field="备注", **options)] == ["x", ""]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_tab_separated_file(tmp_path, mark):
    (tmp_path / "in.tsv").write_bytes(mark + 'text\tlabel\n他说"好"\tpos\n'.encode())
    assert read(tmp_path / "in.tsv") == [('他说"好"', {"text": '他说"好"', "label": "pos"}, 2)]


def test_a_column_that_is_not_there(tmp_path):
    (tmp_path / "in.csv").write_text("id,body\n1,x\n")
    with pytest.raises(DataError, match=r"in\.csv:2: no field 'text' here \(there are: id, body\); .*--field$"):
        read(tmp_path / "in.csv")


def test_an_open_quote_costs_one_row(tmp_path):
    (tmp_path / "in.csv").write_text('id,text\n1,"a\n2,b\n3,c\n')
    errors = ErrorPolicy("skip")
    assert [text for text, *_ in read(tmp_path / "in.csv", on_error=errors)] == ["b", "c"]
    assert errors.count == 1


def test_an_undecodable_line_of_a_table(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"id,text\n1,\xff\n2,b\n")
    with pytest.raises(DataError, match=r"in\.csv:2: not valid utf-8 at byte 3"):
        read(tmp_path / "in.csv")
    assert [number for *_, number in read(tmp_path / "in.csv", on_error=ErrorPolicy("skip"))] == [3]
