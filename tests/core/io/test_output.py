"""Where results are written: files that appear when complete, special files and descriptors that are never replaced."""

import bz2
import errno
import gzip
import lzma
import os
import resource
import stat
import subprocess
import sys
import threading

import pytest
from support import environment

from nlpkit.core.io.output import (
    Target,
    compressor,
    content_suffix,
    is_file_output,
    is_stdout,
    open_output,
    replacing,
    sync,
)
from nlpkit.core.io.records import read_lines, write_json
from nlpkit.errors import DataError, OutputError

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def written(path, content=b"x\n"):
    with open_output(path) as stream:
        stream.write(content)


def written_as_a_file(path, content=b"x\n"):
    with replacing(path) as temporary:
        temporary.write_bytes(content)


WRITERS = pytest.mark.parametrize("write", [written, written_as_a_file])


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_a_file_appears_when_it_is_complete(tmp_path, name):
    path = tmp_path / name
    with open_output(path) as stream:
        stream.write(b"x\n")
        assert not path.exists()
    content = path.read_bytes()
    assert (gzip.decompress(content) if name.endswith("gz") else content) == b"x\n"
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError("x"), ValueError])
def test_nothing_is_left_half_written(tmp_path, name, error):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(type(error) if isinstance(error, Exception) else error), open_output(path) as stream:  # noqa: PT012
        stream.write(b"new")
        raise error
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", [name])  # noqa: PTH208


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"out.jsonl: cannot be written"):
            write_json(tmp_path / "out.jsonl", ({"text": "中" * 999} for _ in range(99)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


UNPACK = {".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}


@pytest.mark.parametrize("suffix", [".gz", ".GZ", ".xz", ".XZ", ".bz2", ".Bz2"])
def test_the_suffix_says_how_it_is_compressed(tmp_path, suffix):
    written(tmp_path / f"out.jsonl{suffix}", b"x\n" * 999)
    assert UNPACK[suffix.lower()]((tmp_path / f"out.jsonl{suffix}").read_bytes()) == b"x\n" * 999


@pytest.mark.parametrize("suffix", [".zst", ".ZST"])
def test_zstandard(tmp_path, suffix):
    zstandard = pytest.importorskip("zstandard")
    written(tmp_path / f"out{suffix}", b"x\n" * 999)
    packed = (tmp_path / f"out{suffix}").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == b"x\n" * 999


def test_zstandard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(OutputError, match=r"out.zst: Zstandard needs an extra; .*nlpkit\[zstd\]"):
        written(tmp_path / "out.zst")
    assert listed(tmp_path) == []


@pytest.mark.parametrize("name", ["out.lz4", "out.zip", "out.jsonl.Z", "out.tgz"])
def test_an_archive_that_is_not_written_is_refused(tmp_path, name):
    with pytest.raises(OutputError, match="is not written; name it"):
        written(tmp_path / name)
    assert listed(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.jsonl", ".jsonl"), ("a.JSONL.GZ", ".jsonl"), ("a.npy", ".npy"), ("a.zst", ""), ("-", ""), ("d.d/a", "")],
)
def test_the_suffix_of_the_content(name, suffix):
    assert content_suffix(name) == suffix


@WRITERS
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, write, mode):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(mode)
    if not mode & 0o200 and not IS_ROOT:
        with pytest.raises(OutputError, match="read-only"):
            write(path)
        return
    write(path)
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (mode, b"x\n")


@pytest.mark.skipif(not IS_ROOT, reason="only root may give files away")
@WRITERS
def test_a_file_that_is_replaced_keeps_its_owner(tmp_path, write):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o640)


@pytest.mark.skipif(not IS_ROOT, reason="only root may give files away")
def test_our_group_does_not_get_what_was_given_to_another(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    path.chmod(0o664)

    def refused(*args):
        raise PermissionError

    monkeypatch.setattr(os, "chown", refused)
    written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@WRITERS
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link(tmp_path, write, exists):
    (tmp_path / "folder").mkdir()
    if exists:
        (tmp_path / "folder" / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/target")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "target").read_bytes() == b"x\n"
    assert listed(tmp_path / "folder") == ["target"]


@WRITERS
@pytest.mark.parametrize("name", ["n" * 255, "名" * 85, "😀" * 63 + "abc"])
def test_names_of_255_bytes(tmp_path, write, name):
    assert len(os.fsencode(name)) == 255
    write(tmp_path / name)
    assert listed(tmp_path) == [name]


def test_a_name_that_is_not_utf_8(tmp_path):
    name = os.fsdecode(b"\xb2\xe2.jsonl")
    written(tmp_path / name)
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xb2\xe2.jsonl"]  # noqa: PTH208


@WRITERS
def test_places_that_cannot_be_written(tmp_path, write):
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for name, message in [
        ("no/out", "there is no folder .*no"), ("", "is a directory"), ("f/out", "Not a directory"),
        ("loop", "Too many levels"), ("a", "Too many levels"), ("a/out", "Too many levels"), ("n" * 256, "too long"),
        ("new/", "is a directory"),
    ]:  # fmt: skip
        with pytest.raises(OutputError, match=message) as caught:
            write(f"{tmp_path}/{name}")
        assert "\n" not in str(caught.value)
    with pytest.raises(OutputError, match="'': is a directory"):
        write("")
    assert listed(tmp_path) == ["a", "b", "f", "loop"]


@WRITERS
def test_a_fifo_is_written_to(tmp_path, write):
    fifo = tmp_path / "p"
    os.mkfifo(fifo)
    found = []
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()))
    reader.start()
    write(fifo, b"x\n" * 99999)
    reader.join(10)
    assert found == [b"x\n" * 99999]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert listed(tmp_path) == ["p"]
    assert not is_file_output(fifo)


@pytest.mark.skipif(not IS_ROOT, reason="only root may make devices")
@WRITERS
def test_a_device_is_written_to(tmp_path, write):
    for name, minor in [("null", 3), ("full", 7)]:
        try:
            os.mknod(tmp_path / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            (tmp_path / name).open("wb").close()
        except OSError:
            pytest.skip("no devices may be made here")
    write(tmp_path / "null")
    with pytest.raises(OutputError, match=r"full: cannot be written .*No space left.*; free some space"):
        write(tmp_path / "full")
    assert all(stat.S_ISCHR((tmp_path / name).stat().st_mode) for name in listed(tmp_path))
    assert listed(tmp_path) == ["full", "null"]


SCRIPT = """
import sys
from nlpkit.core.io.output import open_output, replacing
for path in sys.argv[1:]:
    with open_output(path) as stream:
        stream.write(b"one\\n")
    with replacing(path) as temporary:
        temporary.write_bytes(b"two\\n")
"""


@pytest.mark.parametrize(
    ("paths", "redirection"),
    [
        ("-", "> f"), ("/dev/stdout", "> f"), ("/dev/fd/1", "> f"), ("/proc/self/fd/1", ">> f"), ("link", "> f"),
        ("f", "> f"), ("hard", ">> f"), ("/dev/fd/7", "7> f"), ("/dev/stderr", "2> f"), ("f", "7>> f"),
    ],
)  # fmt: skip
def test_a_file_that_the_shell_has_opened_is_written_where_it_stands(tmp_path, paths, redirection):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "hard").hardlink_to(tmp_path / "f")
    (tmp_path / "link").symlink_to("/dev/stdout" if os.path.exists("/dev/stdout") else "f")  # noqa: PTH110
    target = redirection.split()[-1]
    number = redirection.split(">")[0]
    command = f"{{ echo head >&{number or 1}; {sys.executable} script.py {paths}; echo tail >&{number or 1}; }}"
    done = subprocess.run(
        ["bash", "-c", f"{command} {redirection}"], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / target).read_text() == "head\none\ntwo\ntail\n"


def test_what_is_stdout(tmp_path):
    assert is_stdout(None)
    assert is_stdout("-")
    assert not is_stdout(tmp_path / "new")
    assert is_file_output(tmp_path / "new")
    assert not is_file_output("-")


@pytest.mark.parametrize("suffix", [".gz", ".GZ", ".xz", ".bz2", ".zst"])
def test_compressed_frames_can_be_written_one_after_another(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    compress = compressor(path)
    parts = [b"one\n", b"", b"two\n" * 999]
    path.write_bytes(b"".join(map(compress, parts)))
    assert [line.text for line in read_lines([str(path)])] == ["one"] + ["two"] * 999
    assert [compress(part) for part in parts] == [compressor(path)(part) for part in parts]


@pytest.mark.parametrize("name", [None, "-", "out", "out.jsonl", "out.gz.txt"])
def test_most_names_say_no_compression(name):
    assert compressor(name) is None


def test_a_target_gives_a_file_its_name(tmp_path):
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o604)
    for name in ("old", "new"):
        target = Target.of(tmp_path / name)
        assert (target.old is None) == (name == "new")
        temporary = target.temporary()
        temporary.write_text("content")
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(f".{name}.")
        target.install(temporary)
        assert (tmp_path / name).read_text() == "content"
    assert listed(tmp_path) == ["new", "old"]
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_a_target_that_is_a_link_is_followed_or_replaced(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    assert Target.of(tmp_path / "link").path == tmp_path.resolve() / "real"
    target = Target.of(tmp_path / "link", follow=False)
    assert (target.path, target.old) == (tmp_path / "link", None)
    target.install(target.temporary())
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "old"


def test_a_target_in_a_folder_that_is_missing(tmp_path):
    with pytest.raises(OutputError, match=rf"/no/out: cannot be written \(there is no folder {tmp_path}/no\)"):
        Target.of(tmp_path / "no" / "out").temporary()


def test_a_name_with_a_slash_at_its_end_is_no_file(tmp_path):
    assert is_file_output(tmp_path / "new")
    assert not is_file_output(f"{tmp_path}/new/")


def test_files_and_folders_can_be_synced(tmp_path):
    (tmp_path / "a").write_text("x")
    for path in (tmp_path / "a", tmp_path):
        sync(path)
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "b")
    assert (tmp_path / "a").read_text() == "x"


def test_a_full_disk_is_an_error_of_sync_and_a_system_without_sync_is_none(tmp_path, monkeypatch):
    called = []

    def fail(descriptor):
        called.append(descriptor)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    code = errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        sync(tmp_path)
    code = errno.EINVAL
    sync(tmp_path)
    assert len(called) == 2
