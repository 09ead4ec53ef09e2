"""Files of artefacts through a `Reader`: every problem is one error with the name of the file and what to do."""

import errno
import hashlib
import json
import os
import zlib

import numpy as np
import pytest

from nlpkit.core.io.artefacts import FileEntry, Reader, file_entry, to_json
from nlpkit.core.io.json_shapes import Count
from nlpkit.errors import DataError, ModelError

CURE = "build it again"


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / "artefact"
    folder.mkdir()
    return Reader(folder, DataError, CURE)


def fails(reader, name, problem):
    """The context of a call that must fail about a file."""
    place = reader.folder / name if name else reader.folder
    return pytest.raises(reader.error_type, match=rf"^{place}: {problem}; {CURE}$")


def test_what_is_there_is_read(reader):
    (reader.folder / "a.json").write_text('{"甲": [1, 2]}', encoding="utf-8")
    assert reader.read("a.json").decode() == '{"甲": [1, 2]}'
    assert reader.json("a.json", dict[str, list[Count]]) == {"甲": [1, 2]}
    with reader.open("a.json") as stream:
        assert json.load(stream) == {"甲": [1, 2]}


def test_the_error_is_of_the_kind_of_the_reader(tmp_path):
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"a\.json: broken \(.+\); copy it"):
        Reader(tmp_path, ModelError, "copy it").json("a.json", dict)


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/etc/passwd", "a/b", "a\0b", "\ud800"])
def test_a_path_is_not_a_name(reader, name):
    with fails(reader, "", "names a file '.*', which is not the name of a file in it"):
        reader.open(name)


def test_a_name_that_is_too_long(reader):
    with fails(reader, "n" * 256, r"cannot be read \(File name too long\)"):
        reader.open("n" * 256)


def test_a_missing_file(reader):
    for call in (reader.open, reader.read, lambda name: reader.json(name, dict)):
        with pytest.raises(FileNotFoundError):
            call("none")
    for call in (reader.mapped, lambda name: reader.array(name, ["<u4"], (None,))):
        with fails(reader, "none", "no such file"):
            call("none")


def test_links_stay_inside_unless_they_may_leave(reader, tmp_path):
    (tmp_path / "outside").write_bytes(b"secret")
    (reader.folder / "real").write_bytes(b"content")
    (reader.folder / "inside").symlink_to("real")
    (reader.folder / "out").symlink_to(tmp_path / "outside")
    (reader.folder / "loop").symlink_to("loop")
    assert reader.read("inside") == b"content"
    for name in ("out", "loop"):
        with fails(reader, name, "is a link that leads out of its folder"):
            reader.read(name)
    assert Reader(reader.folder, ModelError, CURE, outside=True).read("out") == b"secret"


def test_only_regular_files_are_read(reader):
    os.mkfifo(reader.folder / "fifo")
    (reader.folder / "folder").mkdir()
    for name in ("fifo", "folder"):
        with fails(reader, name, "is not a regular file"):
            reader.read(name)


def test_a_file_that_fails_while_it_is_read(reader, monkeypatch):
    class Broken:
        def read(self, size):
            raise OSError(errno.EIO, "Input/output error")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(os, "fdopen", lambda descriptor, mode: os.close(descriptor) or Broken())
    (reader.folder / "a").touch()
    with fails(reader, "a", r"cannot be read \(Input/output error\)"):
        reader.read("a")


def test_json_is_limited(reader):
    (reader.folder / "a.json").write_text("[[[[1]]]]", encoding="utf-8")
    assert len(reader.read("a.json", limit=9)) == 9
    with fails(reader, "a.json", "is larger than 8 bytes"):
        reader.json("a.json", list, limit=8)
    for depth in (65, 100_000):
        (reader.folder / "deep.json").write_text("[" * depth + "]" * depth, encoding="utf-8")
        with fails(reader, "deep.json", "is nested too deeply"):
            reader.json("deep.json", list)
    (reader.folder / "deep.json").write_text('{"a":' * 63 + "{}" + "}" * 63, encoding="utf-8")
    assert list(reader.json("deep.json", dict)) == ["a"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", r"broken \(Expecting .+\)"),
        (b"\xff", r"broken \('utf-8' codec can't decode .+\)"),
        (b"[]", r"broken or of another version \(it must be an object, not a list\)"),
        (b'{"a": -1}', r"broken or of another version \(a must be 0 or more, not -1\)"),
    ],
)
def test_json_of_another_shape(reader, content, problem):
    (reader.folder / "a.json").write_bytes(content)
    with fails(reader, "a.json", problem):
        reader.json("a.json", dict[str, Count])


def test_a_problem_is_one_line_of_bounded_length(reader):
    message = str(reader.failure("a", "two\nlines  " + "x" * 1000))
    assert message.startswith(f"{reader.folder / 'a'}: two lines xxx")
    assert message.endswith(f"x…; {CURE}")
    assert len(message) == len(f"{reader.folder / 'a'}: ") + 301 + len(f"; {CURE}")
    assert "…" not in str(reader.failure("a", "x" * 300))


VALUES = np.arange(12, dtype="<u4").reshape(4, 3)


@pytest.mark.parametrize("shape", [(4, 3), (None, 3), (None, None)])
def test_an_array_is_mapped(reader, shape):
    np.save(reader.folder / "a.npy", VALUES)
    found = reader.array("a.npy", ["<f4", "<u4"], shape)
    assert np.array_equal(found, VALUES)
    assert not found.flags.writeable


def test_an_empty_array_and_empty_bytes(reader):
    np.save(reader.folder / "a.npy", VALUES[:0])
    assert reader.array("a.npy", ["<u4"], (None, 3)).shape == (0, 3)
    (reader.folder / "empty").touch()
    (reader.folder / "bytes").write_bytes(b"\x01\x02")
    assert reader.mapped("empty").tolist() == []
    assert reader.mapped("bytes").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("dtypes", "shape", "problem"),
    [
        (["<f4"], (4, 3), r"holds <u4 \[4, 3\], not <f4 \[4, 3\]"),
        (["<f4", "<f2"], (None, 3), r"holds <u4 \[4, 3\], not <f4 or <f2 \[n, 3\]"),
        (["<u4"], (None, 2), r"holds <u4 \[4, 3\], not <u4 \[n, 2\]"),
        (["<u4"], (None,), r"holds <u4 \[4, 3\], not <u4 \[n\]"),
    ],
)
def test_an_array_of_another_type_or_shape(reader, dtypes, shape, problem):
    np.save(reader.folder / "a.npy", VALUES)
    with fails(reader, "a.npy", problem):
        reader.array("a.npy", dtypes, shape)


def test_an_array_of_another_size(reader):
    path = reader.folder / "a.npy"
    np.save(path, VALUES)
    whole = path.read_bytes()
    for content in (whole[:-1], whole + b"\0"):
        path.write_bytes(content)
        with fails(reader, "a.npy", f"has {len(content)} bytes, not {len(whole)}"):
            reader.array("a.npy", ["<u4"], (4, 3))
    path.write_bytes(b"no array")
    with fails(reader, "a.npy", r"not a \.npy file.*"):
        reader.array("a.npy", ["<u4"], (4, 3))


def test_an_array_behind_a_header_of_an_odd_length(reader):
    """A memoryview of unaligned data cannot be indexed."""
    np.save(reader.folder / "a.npy", VALUES)
    whole = (reader.folder / "a.npy").read_bytes()
    length = int.from_bytes(whole[8:10], "little")
    odd = whole[:8] + (length + 1).to_bytes(2, "little") + b" " + whole[10:]
    (reader.folder / "a.npy").write_bytes(odd)
    with fails(reader, "a.npy", "has a header of another length than numpy writes"):
        reader.array("a.npy", ["<u4"], (4, 3))


def test_an_array_of_objects_is_not_unpickled(reader):
    np.save(reader.folder / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with fails(reader, "a.npy", ".+"):
        reader.array("a.npy", ["|O"], (1,))


def test_the_entry_of_a_file_has_its_checksums(tmp_path):
    content = bytes(range(256)) * 9000  # more than is read at once
    (tmp_path / "a").write_bytes(content)
    expected = FileEntry(len(content), hashlib.sha256(content).hexdigest(), zlib.crc32(content))
    assert file_entry(tmp_path / "a") == expected


@pytest.fixture
def entries(reader):
    """Files of 1, 2, 3 and 4 bytes with their entries."""
    for name, content in (("a", b"1"), ("b", b"22"), ("c", b"333"), ("d", b"4444")):
        (reader.folder / name).write_bytes(content)
    return {name: file_entry(reader.folder / name) for name in "abcd"}


def test_whole_files_pass(reader, entries):
    reader.check(entries)
    reader.verify(entries)


@pytest.mark.parametrize("old", [False, True], ids=["crc32", "sha256"])
def test_a_file_that_changed_is_found(reader, entries, old):
    """A manifest of an old version has no CRC-32."""
    if old:
        entries = {name: FileEntry(entry.bytes, entry.sha256) for name, entry in entries.items()}
    (reader.folder / "c").write_bytes(b"334")
    for call in (reader.check, reader.verify):
        with fails(reader, "c", r"is damaged \(its checksum differs\)"):
            call(entries)


def test_a_file_that_is_missing_or_of_another_size_is_found(reader, entries):
    (reader.folder / "b").write_bytes(b"2")
    with fails(reader, "b", "has 1 bytes, not 2"):
        reader.check(entries)
    (reader.folder / "b").unlink()
    for call in (reader.check, reader.verify):
        with fails(reader, "b", "no such file"):
            call(entries)


def test_on_opening_the_first_and_the_smallest_files_are_compared(reader, entries):
    for name, content in (("c", b"33x"), ("d", b"444x")):
        (reader.folder / name).write_bytes(content)
    reader.check(entries, checked_bytes=3)  # a and b
    with fails(reader, "c", "is damaged .+"):
        reader.check(entries, checked_bytes=6)
    with fails(reader, "d", "is damaged .+"):
        reader.check(entries, first=["d"], checked_bytes=0)
    with fails(reader, "c", "is damaged .+"):
        reader.verify(entries)


def test_json_is_indented_and_restores_names_that_are_not_utf_8():
    value = {"文件": os.fsdecode(b"\xb2\xe2.txt"), "数": [1, None]}
    text = to_json(value)
    text.encode()
    assert json.loads(text) == value
    assert text.startswith('{\n  "文件": "')
    assert text.endswith("}\n")
