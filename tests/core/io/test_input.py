"""The bytes of inputs: byte order marks, UTF-16, archives and long lines in bounded memory, files that are no text."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.input import bounded_lines, describe_source, open_input
from nlpkit.core.io.records import ErrorPolicy, read_json, read_lines, read_records
from nlpkit.errors import DataError

TEXT = "王芳在腾讯\n\n第二行 😀\n"
WIDE = {
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.fixture
def file(tmp_path):
    def write(content, name="in.txt"):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


def texts(path, **options):
    return [line.text for line in read_lines([path], **options)]


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_utf_16_and_32_are_known_by_their_mark(file, encoding, end, pack):
    path = file(pack(WIDE[encoding] + TEXT.replace("\n", end).encode(encoding)))
    assert texts(path) == TEXT.split("\n")[:-1]
    assert texts(path, encoding="utf-16" if "16" in encoding else "utf-32") == TEXT.split("\n")[:-1]
    with open_input(path) as stream:
        assert stream.read().decode() == TEXT.replace("\n", end)


@pytest.mark.parametrize("encoding", WIDE)
def test_utf_16_without_a_mark_is_read_where_it_is_named(file, encoding):
    assert texts(file(TEXT.encode(encoding)), encoding=encoding) == TEXT.split("\n")[:-1]


def test_a_line_feed_inside_a_wide_character_ends_no_line(file):
    text = "上\u0a0a不\u0d0a了"  # their bytes hold 0a and 0d
    assert texts(file(WIDE["utf-16-le"] + (text + "\n").encode("utf-16-le"))) == [text]


def test_half_a_surrogate_pair_is_a_bad_line(file):
    path = file(WIDE["utf-16-le"] + "好\n".encode("utf-16-le") + b"\x00\xd8\n\x00" + "二\n".encode("utf-16-le"))
    errors = ErrorPolicy("skip")
    assert texts(path, on_error=errors) == ["好", "二"]
    assert errors.count == 1


@pytest.mark.parametrize("number", [1, 2])
def test_the_mark_of_every_file_that_was_joined_is_dropped(file, number):
    mark = codecs.BOM_UTF8 * number
    lines = mark + "一\n二\n".encode() + mark + "三\n".encode() + mark + b"\n"
    assert texts(file(lines)) == ["一", "二", "三", ""]
    records = mark + b'{"text": "a"}\n' + mark + b'{"text": "b"}\n'
    assert [record.text for record in read_records([file(records, "a.jsonl")])] == ["a", "b"]
    with open_input(file(codecs.BOM_UTF8 + b"<a> <b> <c> .\n")) as stream:
        assert stream.read() == b"<a> <b> <c> .\n"


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line)), st.integers(1, 9), st.booleans())
def test_lines_are_read_up_to_the_limit(lines, limit, ends):
    content = b"\n".join(lines) + b"\n" * ends
    found = list(bounded_lines(io.BytesIO(content), "x", limit))
    whole = content.splitlines(keepends=True) if b"\r" not in content else list(io.BytesIO(content))
    assert len(found) == len(list(io.BytesIO(content)))
    for piece, line in zip(found, io.BytesIO(content), strict=True):
        assert piece == line or (len(line.rstrip(b"\n")) > limit and piece == line[: limit + 1])
    assert b"".join(whole) == content


def test_a_long_line_is_a_bad_record(file):
    content = "一\n".encode() + b"x" * 100 + "\n二\n".encode()
    with pytest.raises(DataError, match=r"in.txt:2: a line of more than 99 bytes; raise --max-line"):
        texts(file(content), on_error=ErrorPolicy(max_line=99))
    errors = ErrorPolicy("skip", max_line=99)
    found = [(line.text, line.number) for line in read_lines([file(content)], on_error=errors)]
    assert (found, errors.count) == ([("一", 1), ("二", 3)], 1)
    assert len(texts(file(content), on_error=ErrorPolicy(max_line=100))) == 3


def bombs():
    """A line of 20 MB in each kind of archive."""
    yield "gzip", gzip.compress(b"x" * 20_000_000, 1)
    yield "xz", lzma.compress(b"x" * 20_000_000, preset=0)
    yield "bzip2", bz2.compress(b"x" * 20_000_000, 1)
    try:
        import zstandard
    except ImportError:
        return
    yield "zstd", zstandard.ZstdCompressor(level=19).compress(b"x" * 20_000_000)


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_an_archive_that_is_a_bomb_takes_little_memory(file, policy):
    for name, content in bombs():
        path = file(content + (content if policy == "skip" else b""), name)
        del content
        tracemalloc.start()
        try:
            errors = ErrorPolicy(policy, max_line=1_000_000)
            if policy == "fail":
                with pytest.raises(DataError, match=":1: a line of more than 1,000,000 bytes"):
                    texts(path, on_error=errors)
            else:
                assert texts(path, on_error=errors) == []
                assert errors.count == 1
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()


def test_a_bomb_that_a_few_bytes_of_zstandard_hold(file):
    zstandard = pytest.importorskip("zstandard")
    path = file(zstandard.ZstdCompressor(level=3).compress(b"xy" * 15_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=":1: a line of more than 1,000,000 bytes"):
            texts(path, on_error=ErrorPolicy(max_line=1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_archives_that_were_joined(file, pack):
    assert texts(file(pack(b"a\nb") + pack(b"c\n") + pack(b"d\n"))) == ["a", "bc", "d"]


def test_frames_of_zstandard_that_were_joined(file):
    zstandard = pytest.importorskip("zstandard")
    pack = zstandard.ZstdCompressor(write_checksum=True).compress
    many = os.urandom(200_000).hex().encode()
    assert texts(file(pack(b"a\nb") + pack(b"c\n") + pack(many))) == ["a", "bc", many.decode()]
    with pytest.raises(DataError, match="cannot be read further"):
        texts(file((pack(b"a\n") + pack(many))[:-9]))


def test_padding_between_streams_of_xz(file):
    assert texts(file(lzma.compress(b"a\n") + b"\0" * 8 + lzma.compress(b"b\n") + b"\0" * 4)) == ["a", "b"]


def test_xz_that_wants_much_memory(file):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "preset": 0}]
    try:
        content = lzma.compress(b"x\n" * 10, filters=filters)
    except (MemoryError, lzma.LZMAError):
        pytest.skip("not enough memory to make it")
    with pytest.raises(DataError, match=r"cannot be read further .*[Mm]emory"):
        texts(file(content))


def hints(path, field=None, usual="text"):
    found = []
    records = list(read_records([path], field, on_error=ErrorPolicy(hint=found.append), usual_field=usual))
    return records, found


def test_json_that_is_read_as_plain_text_gives_one_hint(file):
    line = b'{"text": "a"}\n'
    records, found = hints(file(b"plain\n" + line * 3))
    assert [record.text for record in records] == ["plain"] + ['{"text": "a"}'] * 3
    (hint,) = found
    assert hint.endswith("in.txt:2: looks like JSON Lines and is read as plain text; name the text field: --field text")
    assert "--field body" in hints(file(b'{"id": 1, "body": "a"}\n'))[1][0]
    assert "--field question" in hints(file(b'{"id": 1, "question": "a"}\n'), usual="question")[1][0]
    for content, field in [(b'{"a": 1}\n{x}\n{"text\n', None), (line, "text")]:
        assert hints(file(content), field)[1] == []


def test_sources(file):
    name = os.fsdecode(b"\xb2\xe2.txt")
    assert describe_source(file(b"abc", name)) == {"name": "\\xb2\\xe2.txt", "size": 3}
    assert describe_source("-") == {"name": "-", "size": None}
    with pytest.raises(DataError, match="none: no such file"):
        describe_source("none")


def test_names_that_are_not_utf_8(file):
    path = file(b"[1]\n", os.fsdecode(b"\xb2\xe2.jsonl"))
    with pytest.raises(DataError, match=r"\\xb2\\xe2.jsonl:1: a JSON object is expected") as caught:
        list(read_json([path]))
    str(caught.value).encode()
