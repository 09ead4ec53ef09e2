"""Lines of text: every encoding and archive, parts of files, and what is said of the bad ones."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.input import Part
from nlpkit.core.io.lines import ErrorPolicy, Line, read_lines
from nlpkit.errors import DataError, UsageError

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
    ("line", "record"),
    [
        (b"ab\xff\xe5", "ab\\xff\\xe5"),
        ("中文".encode("gb18030"), "\\xd6\\xd0\\xce\\xc4"),
        (b"a" * 2000, "a" * 1025),
        (("长" * 2000).encode(), ("长" * 341) + "\\xe9\\x95"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_bad_line_is_kept_with_its_error(file, line, record, end):
    found = []
    errors = ErrorPolicy("skip", found.append, max_line=1024)
    assert texts(file(b"good\n" + line + end), on_error=errors) == ["good"]
    ((place, kept),) = [((error.source, error.line), error.record) for error in found]
    assert place == (found[0].source, 2)
    assert kept == record


def test_an_error_of_a_line_has_its_place_and_its_text():
    error = Line("某行", "in.txt", 7).error("is bad")
    assert (str(error), error.message) == ("in.txt:7: is bad", "is bad")
    assert (error.source, error.line, error.record) == ("in.txt", 7, "某行")


NUMBERS = st.lists(st.integers(0, 400), max_size=5)
CONTENTS = st.binary(max_size=40) | st.text(st.sampled_from("中文a\n\r\ufeff😀"), max_size=60).map(str.encode)


@given(CONTENTS, NUMBERS, st.sampled_from(["utf-8", "gb18030", "latin-1"]))
def test_the_parts_of_a_file_have_the_lines_of_the_whole(content, cuts, encoding):
    def read(paths):
        found = []
        errors = ErrorPolicy("skip", lambda error: found.append((error.message, error.line, error.record)))
        lines = list(read_lines(paths, encoding, errors))
        return [(line.text, line.number, line.source) for line in lines], found

    content = b"x" + content  # begins with no mark of another kind of file
    ends = [0, *(content.find(b"\n", cut % len(content)) + 1 for cut in sorted(cuts)), len(content)]
    ends = sorted(set(ends))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in"
        path.write_bytes(content)
        parts = [Part(str(path), start, end, 1 + content[:start].count(b"\n")) for start, end in pairwise(ends)]
        assert read(parts) == read([str(path)])


def test_a_part_may_go_on_to_the_end(file):
    path = file("一\n二\n三")
    lines = list(read_lines([Part(path, 4, None, 2), Part(path)]))
    assert [(line.text, line.number) for line in lines] == [("二", 2), ("三", 3), ("一", 1), ("二", 2), ("三", 3)]


def test_a_part_has_the_limit_of_a_line(file):
    path = file(b"a\n" + b"b" * 100 + b"\nc\n")
    with pytest.raises(DataError, match=r"in\.txt:2: a line of more than 50 bytes"):
        list(read_lines([Part(path, 2, 105, 2)], on_error=ErrorPolicy(max_line=50)))
    errors = ErrorPolicy("skip", max_line=50)
    assert [(line.text, line.number) for line in read_lines([Part(path, 2, 105, 2)], on_error=errors)] == [("c", 3)]
