"""Published schemas: JSON Lines or one array, and one clear line for anything else."""

import gzip

import pytest

from nlpkit.core.formats.schema import read_schema
from nlpkit.errors import DataError


@pytest.fixture
def read(tmp_path):
    def run(content):
        path = tmp_path / "schema.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [(line.number, value) for line, value in read_schema(str(path))]

    return run


@pytest.mark.parametrize(
    ("content", "objects"),
    [
        ('{"a": 1}\n\n{"b": "中"}\n', [(1, {"a": 1}), (3, {"b": "中"})]),
        ('\n[{"a": 1},\n {"b": "中"}]\n', [(2, {"a": 1}), (2, {"b": "中"})]),
        (gzip.compress(b'[{"a": 1}]', mtime=0), [(1, {"a": 1})]),
        ("[]", []),
        ("", []),
        (" \n\n", []),
    ],
)
def test_objects_with_their_lines(read, content, objects):
    assert read(content) == objects


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n[{", r"schema\.json:2: not a valid JSON array \(.+\)$"),
        ('[{"a": 1}, 2]', r"schema\.json:1: an array of JSON objects is expected, this holds int$"),
        ('[["a"]]', r"schema\.json:1: an array of JSON objects is expected, this holds list$"),
        ('{"a": 1}\n[]', r"schema\.json:2: a JSON object is expected, this is list"),
        ("质押", r"schema\.json:1: not valid JSON"),
        (b"\xff", r"schema\.json:1: not valid utf-8"),
    ],
)
def test_what_is_no_schema_is_one_line(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        list(read_schema(str(tmp_path / "none.json")))
