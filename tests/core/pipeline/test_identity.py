"""The digest of what a job depends on: it changes with any content, and with nothing else."""

import os

import pytest

from nlpkit.core.pipeline.identity import content_digest


def fill(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


FILES = {"nlpkit.json": b"{}", "model.safetensors": b"\0" * 99, "1_Pooling/config.json": b"[]"}
CHANGES = [
    {"nlpkit.json": b"{ }"},
    {"model.safetensors": b"\0" * 98 + b"\1"},
    {"model.safetensors": b"\0" * 100},
    {"1_Pooling/config.json": b"{}"},
    {"1_Pooling/other.json": b""},
    {"new": b""},
]


def test_the_same_content_elsewhere_has_the_same_digest(tmp_path):
    first, second = fill(tmp_path / "a", FILES), fill(tmp_path / "b", dict(reversed(FILES.items())))
    assert content_digest(first) == content_digest(str(second)) != content_digest(tmp_path)
    os.utime(first / "nlpkit.json", (0, 0))
    (first / "nlpkit.json").chmod(0o600)
    assert content_digest(first) == content_digest(second)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_any_change_of_a_folder_changes_it(tmp_path, change):
    digest = content_digest(fill(tmp_path, FILES))
    assert content_digest(fill(tmp_path, change)) != digest


def test_names_and_contents_are_not_mixed_up(tmp_path):
    folders = [
        fill(tmp_path / str(number), files)
        for number, files in enumerate([{"ab": b"c"}, {"a": b"bc"}, {"a": b"", "b": b"c"}, {"a": b"c", "b": b""}, {}])
    ]
    assert len(set(map(content_digest, folders))) == 5


def test_what_training_and_tools_leave_is_not_part_of_a_model(tmp_path):
    digest = content_digest(fill(tmp_path, FILES))
    assert content_digest(fill(tmp_path, {"training/log.jsonl": b"x", ".git/HEAD": b"x", "a/.cache/x": b"x"})) == digest


def test_a_file(tmp_path):
    fill(tmp_path, {"a": b"x", "b": b"x", "c": b"y"})
    assert content_digest(tmp_path / "a") == content_digest(tmp_path / "b") != content_digest(tmp_path / "c")


def test_a_link_is_what_it_leads_to(tmp_path):
    fill(tmp_path, {"a": b"x", "folder/b": b"x"})
    (tmp_path / "link").symlink_to("a")
    assert content_digest(tmp_path / "link") == content_digest(tmp_path / "a")
    digest = content_digest(tmp_path / "folder")
    (tmp_path / "folder" / "b").unlink()
    (tmp_path / "folder" / "b").symlink_to("../a")
    assert content_digest(tmp_path / "folder") == digest


def test_a_special_file_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert content_digest(tmp_path / "fifo") == content_digest(tmp_path / "missing")
    folder = fill(tmp_path / "folder", FILES)
    digest = content_digest(folder)
    os.mkfifo(folder / "fifo")
    assert content_digest(folder) == digest


def test_names_that_are_not_utf_8(tmp_path):
    for name in (b"\xff", b"\xfe"):
        (tmp_path / os.fsdecode(name) / "x").parent.mkdir()
        (tmp_path / os.fsdecode(name) / "x").touch()
    assert content_digest(tmp_path / os.fsdecode(b"\xff")) == content_digest(tmp_path / os.fsdecode(b"\xfe"))
    digest = content_digest(tmp_path)
    (tmp_path / os.fsdecode(b"\xff")).rename(tmp_path / os.fsdecode(b"\xfd"))
    assert content_digest(tmp_path) != digest


SIZE, PIECE = (128 << 20) + 1000, 64 << 10  # more than is read as a whole


@pytest.mark.parametrize("position", [0, PIECE - 1, (SIZE - PIECE) * 7 // 63, SIZE - 1])
def test_of_a_large_file_the_size_and_64_pieces_are_read(tmp_path, position):
    for name, size in (("a", SIZE), ("b", SIZE), ("c", SIZE + 1)):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(size)  # sparse
    assert content_digest(tmp_path / "a") == content_digest(tmp_path / "b") != content_digest(tmp_path / "c")
    with (tmp_path / "a").open("r+b") as stream:
        stream.seek(position)
        stream.write(b"x")
    assert content_digest(tmp_path / "a") != content_digest(tmp_path / "b")
