"""Folders to write to: which are refused, and that nothing is left of one that failed."""

from dataclasses import dataclass

import orjson
import pytest

from nlpkit.core.io.folders import FolderKind, check_folder, making_folder, new_folder
from nlpkit.errors import ModelError, OutputError, UsageError


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


@dataclass
class Content:
    """The manifest of a thing."""

    task: str
    size: int = 3
    version: str = "0.0"
    format: int = 3


CURE = "make it again"
MARKS = {"task": "it", "format": None}
KIND = FolderKind("a thing", "thing.json", Content, MARKS, (".building",), ModelError, CURE, formats=(2, 3))
MANIFEST = {"task": "it", "format": 3}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, None),
        ({"thing.json": MANIFEST, "notes.txt": ""}, None),
        ({".building/state": ""}, None),
        ({"notes.txt": ""}, "has other things in it, such as notes.txt; name a new folder"),
        ({".hidden": ""}, "has other things in it, such as .hidden"),
        ({"thing.json": {"task": "other", "format": 1}}, "its thing.json is not that of a thing"),
        ({"thing.json": {"task": "it"}}, "its thing.json is not that of a thing"),
        ({"thing.json": "[" * 100_000}, "its thing.json is not that of a thing"),
        ({"thing.json": "mine", ".building/state": ""}, "its thing.json is not that of a thing"),
        ({"thing.json/x": ""}, "its thing.json is not that of a thing"),
    ],
)
def test_a_folder_with_other_things_is_refused(tmp_path, files, message):
    for name, content in files.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else orjson.dumps(content))
    if message is None:
        check_folder(tmp_path / "out", KIND)
        return
    with pytest.raises(OutputError, match=message):
        check_folder(tmp_path / "out", KIND)


def test_a_manifest_comes_back(tmp_path):
    KIND.write(tmp_path, Content("it", 7))
    assert listed(tmp_path) == ["thing.json"]
    assert KIND.read(tmp_path) == Content("it", 7)
    assert KIND.is_complete(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"task": "other", "format": 3}, "/thing.json: is not that of a thing; make it again"),
        ({"format": 3}, "/thing.json: is not that of a thing; make it again"),
        (MANIFEST | {"format": 4, "version": "9.9", "x": 1}, ": made by nlpkit 9.9, newer than this one (0.1.0); upgr"),
        (MANIFEST | {"format": 1}, ": made by nlpkit ?, which this one (0.1.0) no longer reads; make it again"),
        (MANIFEST | {"format": "3"}, "/thing.json: broken or of another version (format must be a whole number, "),
        (MANIFEST | {"x": 1}, "/thing.json: broken or of another version (unknown field 'x'); make it again"),
        (MANIFEST | {"size": "3"}, "/thing.json: broken or of another version (size must be a whole number, "),
        ([], "/thing.json: broken or of another version (it must be an object, not a list); make it again"),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path, content, message):
    (tmp_path / "thing.json").write_bytes(orjson.dumps(content))
    with pytest.raises(ModelError) as caught:
        KIND.read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}{message}")


def test_an_old_format_is_read_and_a_missing_manifest_reported(tmp_path):
    with pytest.raises(FileNotFoundError):
        KIND.read(tmp_path)
    assert not KIND.is_complete(tmp_path)
    (tmp_path / "thing.json").write_bytes(orjson.dumps(MANIFEST | {"format": 2}))
    assert KIND.read(tmp_path) == Content("it", format=2)


def test_what_cannot_become_a_folder(tmp_path):
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    check_folder(tmp_path / "a" / "b", KIND)
    for path in (tmp_path / "f", tmp_path / "f" / "a"):
        with pytest.raises(UsageError, match="is a file; name a folder"):
            check_folder(path, KIND)
    with pytest.raises(OutputError, match="Too many levels"):
        check_folder(tmp_path / "loop" / "a", KIND)
    assert listed(tmp_path) == ["f", "loop"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_new_folder_goes_again_after_an_error(tmp_path, exists):
    folder = tmp_path / "a" / "b"
    if exists:
        folder.mkdir(parents=True)
    for keep in (False, True):
        with pytest.raises(KeyError), making_folder(folder, lambda keep=keep: keep):  # noqa: PT012
            (folder / "c" / "d").mkdir(parents=True)
            (folder / "e").touch()
            raise KeyError
        assert (folder / "e").exists() is keep
        assert folder.exists() is (exists or keep)
    with pytest.raises(KeyError), making_folder(folder):  # what was there before stays, too
        raise KeyError
    assert listed(folder) == ["c", "e"]


def test_a_folder_that_appears_when_it_is_complete(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "out"):
        raise KeyError
    assert listed(tmp_path) == []
    with new_folder(tmp_path / ("名" * 85)) as folder:
        (folder / "a").touch()
    assert listed(tmp_path / ("名" * 85)) == ["a"]
    with pytest.raises(OutputError, match="has other things in it, such as a"), new_folder(tmp_path / ("名" * 85)):
        pass


def test_missing_parents_of_a_new_folder(tmp_path):
    """They are created, and go again after an error; one with something in it stays."""
    with new_folder(tmp_path / "a" / "b" / "out") as folder:
        (folder / "x").write_bytes(b"1")
    assert (tmp_path / "a" / "b" / "out" / "x").read_bytes() == b"1"
    with pytest.raises(KeyError), new_folder(tmp_path / "c" / "d" / "out"):
        raise KeyError
    assert not (tmp_path / "c").exists()
    with pytest.raises(KeyError), new_folder(tmp_path / "c" / "d" / "out"):  # noqa: PT012
        (tmp_path / "c" / "other").write_bytes(b"")
        raise KeyError
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["other"]
