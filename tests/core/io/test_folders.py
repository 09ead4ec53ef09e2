"""Folders to write to: which are refused, and that nothing is left of one that failed."""

import orjson
import pytest

from nlpkit.core.io.folders import FolderKind, check_folder, making_folder, new_folder
from nlpkit.errors import OutputError, UsageError


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


KIND = FolderKind("a thing", "thing.json", {"task": "it", "format": None}, (".building",))
MANIFEST = {"task": "it", "format": 1}


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
