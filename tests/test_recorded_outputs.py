"""The commands print what they printed before: keys, their order, texts and offsets exactly, scores closely."""

import os
from pathlib import Path

import pytest
from recorded_outputs import COMMANDS, prepare, read, run


def close(value, expected):
    """Whether two JSON values are equal, with numbers that differ by rounding on another CPU."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and [*value] == [*expected] and all(close(value[k], expected[k]) for k in value)
    if isinstance(expected, list):
        return isinstance(value, list) and len(value) == len(expected) and all(map(close, value, expected))
    if isinstance(expected, float):
        return value == pytest.approx(expected, rel=1e-3, abs=2e-3)
    return type(value) is type(expected) and value == expected


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The outputs by name; commands may read what those before them wrote."""
    folder, before = tmp_path_factory.mktemp("recorded"), Path.cwd()
    os.chdir(folder)
    try:
        prepare()
        return {name: run(words, stdin) for name, words, stdin in COMMANDS}
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS if name])
def test_the_output_is_the_recorded_one(outputs, name):
    expected = read(name)
    assert len(outputs[name]) == len(expected) > 0
    for found, recorded in zip(outputs[name], expected, strict=True):
        assert close(found, recorded), f"{found}\nwas: {recorded}"


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        ({"a": 0.5}, {"a": 0.5001}, True),
        ({"a": 0.5}, {"a": 0.51}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1, 2], [1], False),
        ("甲", "乙", False),
        (True, 1, False),
    ],
)
def test_what_counts_as_equal(value, expected, same):
    assert close(value, expected) is same
