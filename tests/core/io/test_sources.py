"""Files, folders and patterns: which files they stand for, in which order, and which are refused."""

import os
from pathlib import Path

import pytest

from nlpkit.core.io.sources import expanded
from nlpkit.errors import DataError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("好\n", encoding="utf-8")


def test_files_stay_as_they_were_named():
    make("b.txt", "a.jsonl")
    names = ["b.txt", "./a.jsonl", "-", "", "missing", "b.txt"]
    assert expanded(names) == names
    assert expanded([]) == []


def test_a_folder_is_its_files_by_name_and_those_of_folders_in_it():
    make("in/b.txt", "in/a.txt", "in/a/z.txt", "in/a/b/c.txt", "in/中.txt", "in/10", "in/9")
    names = ["in/10", "in/9", "in/a/b/c.txt", "in/a/z.txt", "in/a.txt", "in/b.txt", "in/中.txt"]
    assert expanded(["in"]) == expanded(["in/"]) == names
    assert expanded(["in/b.txt", "in/a", "in/b.txt"]) == ["in/b.txt", "in/a/b/c.txt", "in/a/z.txt", "in/b.txt"]
    assert expanded([str(Path("in").absolute())]) == [str(Path(name).absolute()) for name in names]


def test_hidden_names_and_those_with_an_underscore_are_left_out():
    make("in/a", "in/.b", "in/_SUCCESS", "in/.git/x", "in/_temporary/0/part", "in/c/.d", "in/c_d")
    assert expanded(["in"]) == ["in/a", "in/c_d"]
    assert expanded(["in/.b", "in/_temporary"]) == ["in/.b", "in/_temporary/0/part"]  # by name
    make("_in/.x/a")
    assert expanded(["_in/.x"]) == ["_in/.x/a"]


def test_other_things_than_files_are_left_out():
    make("in/a")
    Path("in/empty").mkdir()
    os.mkfifo("in/fifo")
    Path("in/broken").symlink_to("nothing")
    Path("in/link").symlink_to("a")
    assert expanded(["in"]) == ["in/a", "in/link"]
    assert expanded(["in/fifo", "in/broken"]) == ["in/fifo", "in/broken"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[b-z].txt", ["b.txt"]),
        ("in/*", ["in/c.txt"]),
        ("**/*.txt", ["a.txt", "b.txt", "in/c.txt", "in/d/e.txt"]),
        ("in*", ["in.txt.d"]),
        ("./a*", ["a.txt"]),
    ],
)
def test_a_pattern_is_the_files_that_it_fits(pattern, names):
    make("b.txt", "a.txt", "in/c.txt", "in/d/e.txt", "in.txt.d")
    assert expanded([pattern]) == names


def test_a_name_with_brackets_that_exists_is_no_pattern():
    make("data[1].txt", "data1.txt", "in[2]/a", "in2/b", "what?")
    assert expanded(["data[1].txt", "in[2]", "what?"]) == ["data[1].txt", "in[2]/a", "what?"]
    assert expanded(["data[12].txt"]) == ["data1.txt"]
    assert expanded(["in[2]/*"]) == ["in2/b"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("empty", "empty: has no file to read"),
        ("hidden", "hidden: has no file to read"),
        ("nothing/*.txt", "nothing/*.txt: fits no file"),
        ("emp*", "emp*: fits no file"),  # a folder
        ("[z-", "[z-: fits no file"),
        ("mixed", "mixed: has files of several formats (1 csv, 2 jsonl, 1 text); name those of one, e.g. 'DIR/*.txt'"),
        ("mixed/*n*", "mixed/*n*: has files of several formats (1 csv, 1 jsonl)"),
    ],
)
def test_what_has_no_file_or_files_of_several_formats(path, message):
    Path("empty/folder").mkdir(parents=True)
    make("hidden/.a", "mixed/a.jsonl", "mixed/b.JSON.gz", "mixed/c.csv", "mixed/d")
    Path("mixed/c.csv").rename("mixed/nc.csv")
    Path("mixed/a.jsonl").rename("mixed/na.jsonl")
    Path("mixed/b.JSON.gz").rename("mixed/b.ndjson")
    message = message.replace("(1 csv, 1 jsonl)", "(1 csv, 2 jsonl)")
    with pytest.raises(DataError) as found:
        expanded(["-", path])
    assert str(found.value).startswith(message)


def test_a_folder_may_have_compressed_files_of_its_format():
    make("in/a.jsonl", "in/b.jsonl.gz", "in/c.json", "in/d.NDJSON.zst")
    assert len(expanded(["in"])) == 4


@pytest.mark.parametrize("name", ["n" * 256, "n" * 250 + "*" * 10, "a\0b", os.fsdecode(b"\xff")])
def test_a_name_that_no_file_can_have_is_left_to_its_reader(name):
    assert expanded([name]) == [name]
