"""Inputs of every format, folders and patterns, as users name them."""

import gzip
import os
from pathlib import Path

import pytest
from classify_support import save_ngram, task
from support import records


@pytest.fixture(scope="module")
def ngram(tmp_path_factory):
    return save_ngram(tmp_path_factory.mktemp("ngram") / "model", task())


@pytest.fixture
def read(nlpkit, ngram):
    """Runs `nlpkit classify`; gives the fields of the input in its output."""

    def run(*arguments, text=None, code=0):
        result = nlpkit("classify", "-m", ngram, *arguments, text=text)
        assert result.exit_code == code, result.stderr
        added = ("label", "score", "labels")
        return [{name: value for name, value in each.items() if name not in added} for each in records(result)]

    return run


@pytest.fixture
def refused(fails, ngram):
    return lambda code, *arguments, **options: fails(code, "classify", "-m", ngram, *arguments, **options)


TABLE = 'id,text,title\n1,"一, ""二""",甲\n2,"三\n四",乙\n'
ROWS = [{"id": "1", "text": '一, "二"', "title": "甲"}, {"id": "2", "text": "三\n四", "title": "乙"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv", TABLE.encode()),
        ("in.csv", b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode()),
        ("in.csv", TABLE.encode("utf-16")),
        ("in.CSV.gz", gzip.compress(TABLE.encode(), mtime=0)),
    ],
)
def test_csv(read, name, content):
    Path(name).write_bytes(content)
    assert read(name) == ROWS
    Path("plain").write_bytes(content)
    assert read("plain", "--input-format", "csv") == ROWS


def test_another_column(read, refused):
    Path("in.csv").write_text(TABLE, encoding="utf-8")
    assert read("in.csv", "--field", "title") == ROWS
    line = refused(1, "in.csv", "--field", "body")
    assert line.startswith("in.csv:2: no field 'body' here (there are: id, text, title); name the text field with")


def test_tab_separated(read):
    Path("in.tsv").write_text('text\tid\n他说"好"\t1\n"引 ""文"""\t2\n', encoding="utf-8")
    assert read("in.tsv") == [{"text": '他说"好"', "id": "1"}, {"text": '引 "文"', "id": "2"}]


def test_parquet(read, refused):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    rows = [{"text": "一", "n": 1, "list": ["a"], "at": None}, {"text": "二", "n": None, "list": [], "at": {"x": 0.5}}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), "in.parquet")
    assert read("in.parquet") == rows
    Path("in.parquet").rename("in")
    assert read("in", "--input-format", "parquet") == rows
    assert refused(1, "in").startswith(
        "in: is a Parquet file; name it with the suffix .parquet, or pass --input-format"
    )
    assert refused(1, "-", "--input-format", "parquet", text="x") == (
        "<stdin>: Parquet cannot be read from a pipe; name the file"
    )
    Path("in.parquet").write_bytes(Path("in").read_bytes()[:-50])
    assert refused(1, "in.parquet").startswith("in.parquet: cannot be read as Parquet (")


def test_the_format_of_standard_input(read):
    assert read("--input-format", "csv", text="text,id\n一,7\n") == [{"text": "一", "id": "7"}]
    assert read("--input-format", "jsonl", text='{"text": "一"}\n') == [{"text": "一"}]
    assert read(text='一"\n') == [{"text": '一"'}]


def test_a_named_format_overrides_the_suffix(read, refused):
    Path("in.jsonl").write_text('{"text": "一"}\n', encoding="utf-8")
    assert read("in.jsonl", "--input-format", "text") == [{"text": '{"text": "一"}'}]
    line = refused(2, "in.jsonl", "--input-format", "text", "--field", "text")
    assert line == "--input-format text: plain text has no fields; leave out --field"


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("in.csv", "id,text\n1,a\n2\n3,c\n", 3, "1 field(s), but the first line names 2 column(s)"),
        ("in.csv", 'id,text\n1,a\n2,"b\n3,c\n', 3, "not valid CSV: a quote opens here and is not closed"),
        ("in.tsv", "id\ttext\n1\ta\n2\tb\tb\n3\tc\n", 3, "3 field(s), but the first line names 2 column(s)"),
        ("in.jsonl", '{"text": "a"}\n{"text": 5}\n{"text": "c"}\n', 2, "field 'text' is not a string"),
    ],
)
def test_a_bad_row_can_be_skipped(read, refused, name, content, line, message):
    Path(name).write_text(content)
    assert refused(1, name).startswith(f"{name}:{line}: {message}")
    assert [each["text"] for each in read(name, "--on-error", "skip", "--errors", "bad", code=3)] == ["a", "c"]
    (bad,) = records(Path("bad"))
    assert (bad["file"], bad["line"]) == (name, line)
    assert bad["error"].startswith(message)
    assert bad["record"] == content.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("head", "message"),
    [("id,", "in.csv:1: column 2 has no name"), ("text,text", "in.csv:1: two columns are named 'text'")],
)
def test_columns_without_names(refused, head, message):
    Path("in.csv").write_text(f"{head}\n1,2\n")
    assert refused(1, "in.csv", "--on-error", "skip").startswith(message)


def make(**files):
    for name, content in files.items():
        path = Path(name.replace("__", "/"))
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")


def test_folders_and_patterns(read, refused):
    make(in__b="二\n", in__a="一\n", in___c="x\n", more__d="三\n")
    Path("in/.hidden").write_text("x\n")
    assert [each["text"] for each in read("in", "more/*")] == ["一", "二", "三"]
    assert [each["text"] for each in read("[im]*/[ad]")] == ["一", "三"]
    Path("in/[a]").write_text("四\n", encoding="utf-8")
    assert [each["text"] for each in read("in/[a]")] == ["四"]
    os.remove("in/[a]")  # noqa: PTH107
    assert [each["text"] for each in read("in/[a]")] == ["一"]
    assert refused(1, "nothing*") == "nothing*: fits no file"
    Path("empty").mkdir()
    assert refused(1, "empty") == "empty: has no file to read"
    Path("in/table.csv").write_text(TABLE, encoding="utf-8")
    assert refused(1, "in").startswith("in: has files of several formats (1 csv, 2 text); name those of one")


def test_the_name_of_the_file(read, refused):
    make(in__b="二\n", in__a="一\n")
    assert read("in", "--add-file") == [{"text": "一", "file": "in/a"}, {"text": "二", "file": "in/b"}]
    assert read("--add-file", text="三\n") == [{"text": "三", "file": "<stdin>"}]
    Path("c.jsonl").write_text('{"text": "一", "file": "mine"}\n', encoding="utf-8")
    assert refused(1, "c.jsonl", "--add-file").startswith("c.jsonl:1: the field 'file' is the name of the file with")
    assert read("c.jsonl") == [{"text": "一", "file": "mine"}]
