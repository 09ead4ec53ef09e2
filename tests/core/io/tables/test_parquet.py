"""Parquet: columns of any type as fields that JSON has, and files that are none."""

import datetime
import decimal
import json
import sys

import pytest

from nlpkit.core.io.input import Part
from nlpkit.core.io.lines import ErrorPolicy
from nlpkit.core.io.records import dump_line, read_records
from nlpkit.core.io.tables.parquet import read_parquet
from nlpkit.errors import DataError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 600)
UTC = datetime.UTC
COLUMNS = [
    ("int8", pa.int8(), [-1, None], [-1, None]),
    ("uint64", pa.uint64(), [2**64 - 1, 0], [2**64 - 1, 0]),
    ("float", pa.float32(), [0.5, None], [0.5, None]),
    ("half", pa.float16(), [0.5, None], [0.5, None]),
    ("nan", pa.float64(), [float("nan"), float("inf")], [None, None]),
    ("bool", pa.bool_(), [True, None], [True, None]),
    ("null", pa.null(), [None, None], [None, None]),
    ("string", pa.large_string(), ["中😀", ""], ["中😀", ""]),
    ("category", pa.dictionary(pa.int8(), pa.string()), ["体育", None], ["体育", None]),
    ("bytes", pa.binary(), [b"\xff\x00", b""], ["/wA=", ""]),
    ("fixed", pa.binary(2), [b"ab", None], ["YWI=", None]),
    ("decimal", pa.decimal128(20, 3), [decimal.Decimal("12345678901234567.2"), None], ["12345678901234567.200", None]),
    ("date", pa.date32(), [MOMENT.date(), None], ["2026-01-02", None]),
    ("time", pa.time64("us"), [MOMENT.time(), None], ["03:04:05.000600", None]),
    ("second", pa.timestamp("s"), [MOMENT.replace(microsecond=0), None], ["2026-01-02T03:04:05", None]),
    ("micro", pa.timestamp("us"), [MOMENT, None], ["2026-01-02T03:04:05.000600", None]),
    ("zone", pa.timestamp("us", "UTC"), [MOMENT.replace(tzinfo=UTC), None], ["2026-01-02T03:04:05.000600+00:00", None]),
    ("duration", pa.duration("us"), [datetime.timedelta(1, 2), None], ["1 day, 0:00:02", None]),
    ("list", pa.list_(pa.int64()), [[1, None], []], [[1, None], []]),
    ("struct", pa.struct([("a", pa.date32()), ("b", pa.list_(pa.string()))]), [{"a": MOMENT.date(), "b": ["x"]}, None],
     [{"a": "2026-01-02", "b": ["x"]}, None]),
    ("map", pa.map_(pa.string(), pa.binary()), [[("k", b"a")], []], [[["k", "YQ=="]], []]),
]  # fmt: skip


def save(path, columns, **options):
    table = pa.table({name: pa.array(values, type) for name, type, values in columns})
    parquet.write_table(table, path, **options)
    return str(path)


def read(path, **options):
    return [(record.text, record.fields, record.line.number) for record in read_records([path], **options)]


@pytest.mark.parametrize(("name", "type", "values", "expected"), COLUMNS, ids=[column[0] for column in COLUMNS])
def test_every_type_becomes_json(tmp_path, name, type, values, expected):
    path = save(tmp_path / "in.parquet", [("text", pa.string(), ["一", "二"]), (name, type, values)])
    found = [json.loads(dump_line(record.fields)) for record in read_records([path])]
    assert found == [{"text": text, name: value} for text, value in zip("一二", expected, strict=True)]


@pytest.mark.parametrize(
    ("type", "value", "expected"),
    [
        (pa.timestamp("ns"), 1767323045000001999, "2026-01-02T03:04:05.000001"),
        (pa.timestamp("ns", "UTC"), 1767323045000000999, "2026-01-02T03:04:05+00:00"),
        (pa.time64("ns"), 3600 * 10**9 + 1999, "01:00:00.000001"),
        (pa.duration("ns"), 1999, "0:00:00.000001"),
        (pa.list_(pa.timestamp("ns")), [1999, None], ["1970-01-01T00:00:00.000001", None]),
        (pa.struct([("a", pa.list_(pa.duration("ns"))), ("b", pa.int64())]), {"a": [1999], "b": 7},
         {"a": ["0:00:00.000001"], "b": 7}),
    ],
    ids=str,
)  # fmt: skip
def test_times_are_read_in_microseconds(tmp_path, type, value, expected):
    """Also those in nanoseconds, as pandas writes them, without pandas."""
    path = save(tmp_path / "in.parquet", [("text", pa.string(), ["一", "二"]), ("at", type, [value, None])])
    assert [fields["at"] for _, fields, _ in read(path)] == [expected, None]


@pytest.mark.parametrize("options", [{}, {"row_group_size": 7}, {"compression": "zstd"}, {"data_page_version": "2.0"}])
def test_rows_come_in_order_with_their_numbers(tmp_path, options):
    columns = [("text", pa.string(), [f"第{number}行" for number in range(3000)]), ("n", pa.int64(), range(3000))]
    path = save(tmp_path / "in.parquet", columns, **options)
    expected = [(f"第{number}行", {"text": f"第{number}行", "n": number}, number + 1) for number in range(3000)]
    assert read(path) == expected


def test_a_part_is_a_range_of_row_groups(tmp_path):
    path = save(tmp_path / "in.parquet", [("text", pa.string(), list("abcdefgh"))], row_group_size=3)
    parts = [Part(path, 0, 1, 1), Part(path, 1, 2, 4), Part(path, 2, None, 7)]
    found = [[(record.text, record.line.number) for record in read_records([part])] for part in parts]
    assert found == [
        [("a", 1), ("b", 2), ("c", 3)], [("d", 4), ("e", 5), ("f", 6)], [("g", 7), ("h", 8)]
    ]  # fmt: skip
    assert [record.text for record in read_records(parts)] == list("abcdefgh")


def test_a_row_without_a_text_is_a_bad_record(tmp_path):
    path = save(tmp_path / "in.parquet", [("text", pa.string(), ["a", None, "c"]), ("n", pa.int64(), [1, 2, 3])])
    with pytest.raises(DataError, match=r"in\.parquet:2: field 'text' is not a string"):
        read(path)
    errors = ErrorPolicy("skip")
    assert [(text, number) for text, _, number in read(path, on_error=errors)] == [("a", 1), ("c", 3)]
    assert errors.count == 1
    with pytest.raises(DataError, match=r"in\.parquet:1: field 'n' is not a string"):
        read(path, text_field="n")
    with pytest.raises(DataError, match=r"in\.parquet:1: no field 'body' here \(there are: text, n\)"):
        read(path, text_field="body")


def test_without_rows(tmp_path):
    assert read(save(tmp_path / "in.parquet", [("text", pa.string(), [])])) == []


def test_the_name_may_be_any_if_the_format_is_named(tmp_path):
    path = save(tmp_path / "part-00000", [("text", pa.string(), ["一"])])
    assert [text for text, *_ in read(path, format="parquet")] == ["一"]
    with pytest.raises(DataError, match=r"is a Parquet file; .*pass --input-format parquet"):
        read(path)


def broken(path):
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 3] = bytes(len(content) // 3 - 4)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read as Parquet ("),
        (lambda path: path.write_bytes(b"no Parquet at all, but text"), "cannot be read as Parquet (Parquet magic"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "cannot be read as Parquet ("),
        (lambda path: path.write_bytes(path.read_bytes()[50:]), "cannot be read as Parquet ("),
        (broken, "cannot be read as Parquet ("),
        (lambda path: path.unlink(), "no such file"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(tmp_path, damage, message):
    path = tmp_path / "in.parquet"
    save(path, [("text", pa.string(), [f"第{number}行" for number in range(999)])])
    damage(path)
    for errors in (ErrorPolicy(), ErrorPolicy("skip")):
        with pytest.raises(DataError) as found:
            read(str(path), on_error=errors)
        assert str(found.value).startswith(f"{path}: {message}")
        assert len(str(found.value).splitlines()) == 1


def test_a_text_that_is_not_utf_8(tmp_path):
    array = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a", b"\xff"], pa.binary()).buffers())
    parquet.write_table(pa.table({"text": array}), tmp_path / "in.parquet")
    with pytest.raises(DataError, match=r"in\.parquet: cannot be read as Parquet \(.*utf-8"):
        read(str(tmp_path / "in.parquet"))


def test_stdin_is_refused():
    with pytest.raises(DataError, match=r"^<stdin>: Parquet cannot be read from a pipe; name the file$"):
        list(read_parquet("-"))


def test_pyarrow_that_is_not_installed(tmp_path, monkeypatch):
    path = save(tmp_path / "in.parquet", [("text", pa.string(), ["一"])])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"is a Parquet file; install the reader: pip install 'nlpkit\[parquet\]'"):
        read(path)
